"""OpenAI's sampling parameters and their unofficial companions -> Ollama's `options` and `keep_alive`.

What counts when something is said twice: OpenAI's own parameter and other names at the top of the body, then
`options`, then the defaults of an alias, then the model's own (by sending nothing). Nothing is sent that
nobody asked for: Ollama's own /v1 forces `temperature: 1` on models that were made with another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from o2o.errors import BadRequest, Forbidden
from o2o.translate.facts import Facts
from o2o.translate.ollama_options import GONE, OPTIONS, RUNNER, check_option, seed, wrong_type
from o2o.translate.policy import Policy

Body = Mapping[str, Any]

_OTHER_NAMES = {"repetition_penalty": "repeat_penalty"}
_LIMITS = ("max_tokens", "max_completion_tokens")
_RESULTS = ("tool", "function")
_KEEP_ALIVES = ("keep_alive", "ttl")
_NUMBER = re.compile(r"[-+]?[0-9]{1,15}(?:\.[0-9]{0,15})?", re.ASCII)
# What Go's time.ParseDuration reads; both of Unicode's letters for micro are in use.
_DURATION = re.compile(
    r"[-+]?(?:(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:ns|us|µs|μs|ms|s|m|h)){1,8}",
    re.ASCII,
)
_ABOUT_THE_MODEL = frozenset(
    (
        "stop",
        "reasoning_effort",
        "reasoning",
        "thinking",
        "think",
        "enable_thinking",
        "chat_template_kwargs",
        "format",
        "json_schema",
        "guided_json",
        "guided_choice",
        "guided_regex",
        "structured_outputs",
        "tools",
        "functions",
    )
)


@dataclass
class Sampling:
    """What to send: `options` and `keep_alive` (None for neither).

    `limit` is how many tokens the answer may have, None for no limit that we know; `ignored` has the names of
    parameters without effect, for x-o2o-ignored.
    """

    options: dict[str, Any] = field(default_factory=dict)
    keep_alive: float | str | None = None
    limit: int | None = None
    ignored: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Given:
    """A value, and the place in the body where it stands."""

    value: Any
    param: str


def sampling(
    body: Body,
    *,
    policy: Policy,
    defaults: Body,
    facts: Facts | None,
    num_ctx_header: int | None = None,
    default_limit: int | None = None,
    zero_limit: bool = False,
) -> Sampling:
    """Translate the sampling parameters of a body; `defaults` are those of an alias.

    `default_limit` takes the place of the policy's default for endpoints that have their own. A limit of 0 is
    refused unless `zero_limit`: then `limit` is 0 and Ollama is asked for one token, the fewest it can make.
    Raises BadRequest for values that Ollama would choke on, Forbidden for what only the operator may set.
    """
    done = Sampling()
    given = _collect(body, OPTIONS, done.ignored)
    _refuse_runner(body, given, num_ctx_header, policy)
    for name in _LIMITS:
        if body.get(name) is not None:
            given["num_predict"] = _Given(body[name], name)
    none_wanted = zero_limit and "num_predict" in given and given["num_predict"].value == 0
    if none_wanted:
        del given["num_predict"]
    options = _checked(given, defaults, OPTIONS)
    _set_stop(options, facts)
    _set_window(options, given, num_ctx_header, policy)
    wish = options.pop("num_predict", None)
    if none_wanted:
        done.limit, options["num_predict"] = 0, 1
    else:
        fallback = default_limit if default_limit is not None else policy.default_max_tokens
        tokens = _tokens(fallback if wish is None else wish, policy.max_tokens)
        if tokens is not None:
            options["num_predict"] = tokens
            done.limit = tokens if tokens > 0 else None
    done.options = options
    done.keep_alive = _keep_alive(body, defaults)
    _check_logit_bias(body, policy, done.ignored)
    return done


def runner(body: Body, *, policy: Policy, defaults: Body, num_ctx_header: int | None = None) -> Sampling:
    """Translate only what concerns the loaded model, for endpoints that generate nothing."""
    done = Sampling()
    given = _collect(body, RUNNER, done.ignored)
    _refuse_runner(body, given, num_ctx_header, policy)
    done.options = _checked(given, defaults, RUNNER)
    if num_ctx_header is not None and "num_ctx" not in given:
        done.options["num_ctx"] = num_ctx_header
    done.keep_alive = _keep_alive(body, defaults)
    return done


def needs_facts(body: Body, defaults: Body | None = None) -> bool:
    """Tell whether translating this body is better done with the model's facts at hand.

    They are for the model's own stop strings, for thinking, tools and formats, for what it can hear, for whether
    it understands past calls, and for whether it repeats the beginning of an answer that it is to continue.
    """
    if defaults and ("stop" in defaults or "think" in defaults):
        return True
    if not _ABOUT_THE_MODEL.isdisjoint(body) and any(
        body.get(name) not in (None, "", [], {}) for name in _ABOUT_THE_MODEL
    ):
        return True
    if _mapping(body.get("options")).get("stop"):
        return True
    if _mapping(body.get("response_format")).get("type", "text") != "text":
        return True
    messages = body.get("messages") or ()
    return _is_begun(messages) or any(map(_is_special, messages))


def _is_begun(messages: Any) -> bool:
    return bool(messages) and _mapping(messages[-1]).get("role") == "assistant"


def _is_special(message: Any) -> bool:
    """Tell whether a message is the result of a call, or has something to be heard."""
    if not isinstance(message, dict):
        return False
    if message.get("role") in _RESULTS:
        return True
    content = message.get("content")
    return isinstance(content, list) and any(_mapping(part).get("type") == "input_audio" for part in content)


def _collect(body: Body, names: Iterable[str], ignored: list[str]) -> dict[str, _Given]:
    """Gather what is given of `names`; what stands at the top of the body beats `options`."""
    given: dict[str, _Given] = {}
    nested = body.get("options")
    if nested is not None and not isinstance(nested, Mapping):
        raise wrong_type("options", "an object", nested)
    for name, value in (nested or {}).items():
        if value is None:
            continue
        if name in names:
            given[name] = _Given(value, f"options.{name}")
        else:
            ignored.append(f"options.{name}")
    for other, name in _OTHER_NAMES.items():
        if name in names and body.get(other) is not None:
            given[name] = _Given(body[other], other)
    for name, value in body.items():
        if value is None:
            continue
        if name in names:
            given[name] = _Given(value, name)
        elif name in GONE:
            ignored.append(name)
    return given


def _checked(given: Mapping[str, _Given], defaults: Body, names: Iterable[str]) -> dict[str, Any]:
    options = {name: value for name, value in defaults.items() if name in names}
    for name, one in given.items():
        options[name] = check_option(name, one.value, one.param)
    # -1 is Ollama's word for random; OpenAI has none.
    if "seed" in given and given["seed"].param == "seed":
        options["seed"] = seed(options["seed"])
    return options


def _set_stop(options: dict[str, Any], facts: Facts | None) -> None:
    # Ollama: what is sent replaces the model's own stop strings.
    stops = [text for text in options.pop("stop", ()) if text]
    if stops:
        own = facts.stops if facts is not None else ()
        options["stop"] = list(dict.fromkeys([*stops, *own]))


def _set_window(
    options: dict[str, Any], given: Mapping[str, _Given], header: int | None, policy: Policy
) -> None:
    if "num_ctx" in given:
        return
    if header is not None:
        options["num_ctx"] = header
    elif policy.num_ctx is not None:
        options.setdefault("num_ctx", policy.num_ctx)


def _tokens(wish: int | None, cap: int | None) -> int | None:
    if cap is not None and (wish is None or not 0 < wish <= cap):
        return cap
    return wish


def _refuse_runner(
    body: Body, given: Mapping[str, _Given], num_ctx_header: int | None, policy: Policy
) -> None:
    """Raise Forbidden when a caller changes how models are loaded, where only the operator may."""
    if not policy.lock_runner_options:
        return
    params = [one.param for name, one in given.items() if name in RUNNER]
    params += [name for name in _KEEP_ALIVES if body.get(name) is not None]
    if num_ctx_header is not None:
        params.append("num_ctx")
    if params:
        raise Forbidden(
            f"'{params[0]}' cannot be set by callers of this server (O2O_LOCK_RUNNER_OPTIONS).",
            param=params[0],
        )


def _keep_alive(body: Body, defaults: Body) -> float | str | None:
    for name in _KEEP_ALIVES:
        if body.get(name) is not None:
            return _duration(body[name], name)
    default = defaults.get("keep_alive")
    return None if default is None else _duration(default, "keep_alive")


def _duration(value: Any, param: str) -> float | str:
    """Return a duration as Ollama reads it: a number of seconds or Go's notation, never digits in a string."""
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text):
            return float(text) if "." in text else int(text)
        if _DURATION.fullmatch(text):
            return text
        raise BadRequest(
            f"Invalid '{param}': expected a number of seconds or a duration such as '10m'.",
            code="invalid_value",
            param=param,
        )
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong_type(param, "a number of seconds or a duration such as '10m'", value)
    return value


def _check_logit_bias(body: Body, policy: Policy, ignored: list[str]) -> None:
    bias = body.get("logit_bias")
    if not bias or not any(_mapping(bias).values()):
        return
    if policy.logit_bias == "error":
        raise BadRequest(
            "Unsupported parameter: 'logit_bias' cannot be honoured, since Ollama has nothing like it.",
            code="unsupported_parameter",
            param="logit_bias",
        )
    ignored.append("logit_bias")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
