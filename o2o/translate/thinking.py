"""How callers ask a model to think, or not, and how its reasoning is shown.

There are many ways to ask, from as many servers; OpenAI's own `reasoning_effort` beats the others, and `think`
stands for Ollama's. What Ollama takes is a boolean or a level, and only from models that can think.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from o2o.errors import BadRequest, clip
from o2o.translate.facts import Facts, can

Think = bool | str
Body = Mapping[str, Any]

_LEVELS = {
    "none": "none",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "max",
    "max": "max",
}
_RANKS = {name: rank for rank, name in enumerate(_LEVELS)}
_TYPES = {"enabled": True, "disabled": False, "adaptive": None, "auto": None}
_MOST = ("xhigh", "max")
_MAX_SINCE = (0, 22)


@dataclass(frozen=True)
class Wish:
    """What to send as `think`, None for nothing; `ignored` has the parameters that have no effect."""

    think: Think | None = None
    ignored: list[str] = field(default_factory=list)
    hidden: bool = False
    """The caller does not want to see the reasoning."""

    def shown(self, mode: str) -> str:
        """Return the mode in which reasoning is shown, given the operator's."""
        return "hide" if self.hidden else mode


_NO_WISH = Wish()


def wish(body: Body, *, defaults: Body, facts: Facts | None, version: tuple[int, ...] | None = None) -> Wish:
    """Return what a body, or else an alias, wants of the model's thinking.

    `version` is Ollama's, since `max` is a level only from 0.22 on. Raises BadRequest for an effort that nobody
    knows.
    """
    if _NAMES.isdisjoint(body) and "think" not in defaults:
        return _NO_WISH
    hidden = _hidden(body)
    ignored = [param for param, given in _budgets(body) if given is not None]
    ignored += _other_kwargs(body)
    cannot = can(facts, "thinking") is False
    for param, read in _WISHES:
        value = read(body)
        if value is None:
            continue
        think = _level(value, param, facts, version)
        if think is not False and cannot:
            return Wish(None, [param, *ignored], hidden)
        return Wish(think, ignored, hidden)
    default = defaults.get("think")
    own = _level(default, "think", facts, version) if isinstance(default, (bool, str)) else None
    return Wish(None if own and cannot else own, ignored, hidden)


def wants_most(body: Body, defaults: Body) -> bool:
    """Tell whether the wish is for as much thinking as there is, which only newer Ollamas have a word for."""
    if _NAMES.isdisjoint(body):
        return defaults.get("think") in _MOST
    said = (value for _, read in _WISHES if (value := read(body)) is not None)
    return next(said, defaults.get("think")) in _MOST


def reasoning_fields(text: str, mode: str) -> dict[str, str]:
    """Return the fields of a message or delta that carry reasoning; none when it is hidden or in tags."""
    if mode == "both":
        return {"reasoning_content": text, "reasoning": text}
    return {mode: text} if mode in ("reasoning_content", "reasoning") else {}


def _level(value: Think, param: str, facts: Facts | None, version: tuple[int, ...] | None) -> Think:
    if isinstance(value, bool):
        return value
    own = facts.thinking_values if facts is not None else None
    if own and value in own and value != "none":
        return value
    level = _LEVELS.get(value)
    if level is None:
        raise BadRequest(
            f"Invalid value: '{clip(value, 40)}'. Supported values are: 'none', 'minimal', 'low', 'medium', 'high', "
            "'xhigh', and 'max'.",
            code="invalid_value",
            param=param,
        )
    if level == "none":
        return False
    if own is not None:
        return _nearest(level, own)
    return "high" if level == "max" and (version is None or version < _MAX_SINCE) else level


def _nearest(level: str, own: tuple[str, ...]) -> Think:
    """Return the model's own level that comes closest; True where it has no levels that we know."""
    if level in own:
        return level
    known = [name for name in own if name in _RANKS and name != "none"]
    return min(known, key=lambda name: abs(_RANKS[name] - _RANKS[level]), default=True)


# --- where wishes stand, the strongest first


def _effort(body: Body) -> Think | None:
    return _think_value(body.get("reasoning_effort"))


def _reasoning_effort(body: Body) -> Think | None:
    return _think_value(_inner(body, "reasoning").get("effort"))


def _reasoning_enabled(body: Body) -> Think | None:
    return _flag(_inner(body, "reasoning").get("enabled"))


def _thinking_type(body: Body) -> Think | None:
    given = body.get("thinking")
    return _flag(given) if not isinstance(given, Mapping) else _TYPES.get(str(given.get("type")))


def _think(body: Body) -> Think | None:
    return _think_value(body.get("think"))


def _enable_thinking(body: Body) -> Think | None:
    return _flag(body.get("enable_thinking"))


def _template_effort(body: Body) -> Think | None:
    return _think_value(_inner(body, "chat_template_kwargs").get("reasoning_effort"))


def _template_enable(body: Body) -> Think | None:
    return _flag(_inner(body, "chat_template_kwargs").get("enable_thinking"))


def _template_thinking(body: Body) -> Think | None:
    return _flag(_inner(body, "chat_template_kwargs").get("thinking"))


def _reasoning_budget(body: Body) -> Think | None:
    budget = _inner(body, "reasoning").get("max_tokens")
    return None if not isinstance(budget, int) or isinstance(budget, bool) else budget > 0


_WISHES: tuple[tuple[str, Callable[[Body], Think | None]], ...] = (
    ("reasoning_effort", _effort),
    ("reasoning.effort", _reasoning_effort),
    ("reasoning.enabled", _reasoning_enabled),
    ("thinking", _thinking_type),
    ("think", _think),
    ("enable_thinking", _enable_thinking),
    ("chat_template_kwargs.reasoning_effort", _template_effort),
    ("chat_template_kwargs.enable_thinking", _template_enable),
    ("chat_template_kwargs.thinking", _template_thinking),
    ("reasoning.max_tokens", _reasoning_budget),
)


_KWARGS = ("reasoning_effort", "enable_thinking", "thinking")

_NAMES = frozenset(param.partition(".")[0] for param, _ in _WISHES) | {"include_reasoning"}


def _budgets(body: Body) -> tuple[tuple[str, Any], ...]:
    """Return the parameters that limit the thinking alone, which Ollama cannot."""
    return (
        ("reasoning.max_tokens", _inner(body, "reasoning").get("max_tokens")),
        ("thinking.budget_tokens", _inner(body, "thinking").get("budget_tokens")),
    )


def _other_kwargs(body: Body) -> list[str]:
    """Return what a caller wants to tell the template beside how to think: Ollama has no way to."""
    kwargs = _inner(body, "chat_template_kwargs")
    return [f"chat_template_kwargs.{name}" for name in kwargs if name not in _KWARGS]


def _hidden(body: Body) -> bool:
    return _inner(body, "reasoning").get("exclude") is True or body.get("include_reasoning") is False


def _inner(body: Body, name: str) -> Body:
    value = body.get(name)
    return value if isinstance(value, Mapping) else {}


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _think_value(value: Any) -> Think | None:
    return value if isinstance(value, (bool, str)) and value != "" else None
