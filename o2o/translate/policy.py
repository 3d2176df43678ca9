"""What the operator decided that changes a translation, and which model a request means.

`app` builds one `Policy` from the settings; every field means what the setting of the same name says in
`docs/configuration.md`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

from o2o.errors import BadRequest, Forbidden
from o2o.translate.names import canonical, is_cloud
from o2o.translate.ollama_options import OPTIONS, check_option

MergeRoles = Literal["auto", "always", "never"]
Reasoning = Literal["both", "reasoning_content", "reasoning", "tags", "hide"]
OnLogitBias = Literal["error", "ignore"]
ToolsFallback = Literal["error", "prompt"]

_PREFIXES = ("ollama/", "openai/")
_OTHER_DEFAULTS = ("think", "keep_alive")
_WORDS: dict[str, bool] = {"true": True, "false": False}
_NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name for a model, with defaults: options of Ollama, `think` and `keep_alive`."""

    target: str
    defaults: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's choices, with the defaults of the settings."""

    strict: bool = False
    truncate: bool = False
    embed_truncate: bool = False
    num_ctx: int | None = None
    max_num_ctx: int | None = None
    default_max_tokens: int | None = None
    max_tokens: int | None = None
    completions_max_tokens: int = 16
    completions_template: bool = False
    max_n: int = 16
    merge_roles: MergeRoles = "auto"
    logit_bias: OnLogitBias = "error"
    reasoning: Reasoning = "both"
    tools_fallback: ToolsFallback = "error"
    tool_rescue: bool = True
    lock_runner_options: bool = False
    allow_cloud: bool = True
    timings: bool = False
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    default_model: str | None = None
    default_model_for_unknown: bool = False
    fetch_images: bool = False


class Resolved(NamedTuple):
    """The name that answers carry, the one Ollama is asked for, and the defaults of an alias."""

    requested: str
    target: str
    defaults: Mapping[str, object]


def resolve(requested: str | None, policy: Policy, *, known: Callable[[str], bool] | None = None) -> Resolved:
    """Return which model a request means.

    An alias leads to its target, once; `ollama/` and `openai/` in front of a name are dropped where no alias
    has it. A missing name means the default model, and so does one that `known` denies where the policy says
    so. Raises BadRequest when there is no name, Forbidden for a cloud model where those are not allowed.
    """
    name = requested or policy.default_model
    if not name:
        raise BadRequest(
            "Missing required parameter: 'model'.", code="missing_required_parameter", param="model"
        )
    found = _follow(name, policy)
    unknown = known is not None and not known(found.target)
    if unknown and policy.default_model_for_unknown and policy.default_model:
        default = _follow(policy.default_model, policy)
        found = Resolved(name, default.target, default.defaults)
    check_cloud(found.target, policy)
    return found


def check_cloud(target: str, policy: Policy, *, remote: bool = False) -> None:
    """Raise Forbidden when `target` runs in Ollama's cloud, by its name or as `remote`, and may not."""
    if not policy.allow_cloud and (remote or is_cloud(target)):
        raise Forbidden(
            "Models that run in Ollama's cloud are turned off on this server (O2O_ALLOW_CLOUD).",
            param="model",
        )


def parse_aliases(text: str) -> dict[str, Alias]:
    """Read the notation of O2O_MODEL_ALIASES: `gpt-4o=llama3.2,coder=qwen3:8b?num_ctx=32768&think=false`.

    Values of defaults may be percent-encoded; `stop` may stand there several times. Raises ValueError with
    a sentence that says what is wrong.
    """
    aliases: dict[str, Alias] = {}
    seen: set[str] = set()
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, equals, rest = (part.strip() for part in entry.partition("="))
        target, _, query = rest.partition("?")
        target = target.strip()
        if not (name and equals and target) or "?" in name:
            raise ValueError(f"{entry!r} is no alias; write name=model, as in gpt-4o=llama3.2")
        if canonical(name) in seen:
            raise ValueError(f"the alias {name!r} is there twice")
        seen.add(canonical(name))
        aliases[name] = Alias(target, _defaults(query, name))
    return aliases


def alias_of(name: str, policy: Policy) -> Alias | None:
    """Return the alias called `name`, as it is spelled or as Ollama would match it."""
    found = policy.aliases.get(name)
    if found is not None or not policy.aliases:
        return found
    wanted = canonical(name)
    return next((alias for other, alias in policy.aliases.items() if canonical(other) == wanted), None)


def _follow(name: str, policy: Policy) -> Resolved:
    alias = alias_of(name, policy)
    if alias is None:
        bare = next((name[len(p) :] for p in _PREFIXES if name.lower().startswith(p)), "") or name
        alias = alias_of(bare, policy) if bare != name else None
        if alias is None:
            return Resolved(name, bare, _NOTHING)
    return Resolved(name, alias.target, alias.defaults)


def _defaults(query: str, alias: str) -> dict[str, object]:
    defaults: dict[str, Any] = {}
    for pair in filter(None, query.split("&")):
        name, equals, raw = pair.partition("=")
        name = name.strip()
        if not equals:
            raise ValueError(f"the default {pair!r} of the alias {alias!r} has no value")
        if name == "stop":
            defaults.setdefault("stop", []).append(unquote(raw))
            continue
        if name in defaults:
            raise ValueError(f"the alias {alias!r} has the default {name!r} twice")
        defaults[name] = _typed(name, unquote(raw.strip()), alias)
    return defaults


def _typed(name: str, raw: str, alias: str) -> object:
    value = _value(raw)
    if name in _OTHER_DEFAULTS:
        return value
    if name not in OPTIONS:
        near = difflib.get_close_matches(name, [*OPTIONS, *_OTHER_DEFAULTS], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"{name!r} is no default that the alias {alias!r} can have{hint}")
    try:
        return check_option(name, value, name)
    except BadRequest as error:
        raise ValueError(f"a default of the alias {alias!r} is wrong: {error.message}") from error


def _value(raw: str) -> bool | int | float | str:
    if raw.lower() in _WORDS:
        return _WORDS[raw.lower()]
    for read in (int, float):
        try:
            number = read(raw)
        except ValueError:
            continue
        # "nan" and "inf" are words here, and 1_000 is no number in a URL.
        return number if raw.lower().strip("+-") not in ("nan", "inf", "infinity") and "_" not in raw else raw
    return raw
