"""What a chat body asks, worked out once: the payload for Ollama, and how its answer is to be read; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from o2o.errors import BadRequest, clip
from o2o.schemas import ChatRequest
from o2o.translate import format as formats, messages, options, thinking, tools
from o2o.translate.facts import Facts, can
from o2o.translate.ollama_options import seed_of
from o2o.translate.policy import Policy, Resolved
from o2o.translate.tools import Call, ToolPlan
from o2o.translate.window import Kept

Stage = Literal["plain", "form", "tools first", "forced"]
"""Which answer is wanted: any, one in a form, calls or else one in a form, a call."""

_KNOWN_ELSEWHERE = frozenset(["ttl"])
"""Names that are honoured though no schema has them."""
_WITHOUT_EFFECT = ("store", "raw", "template")
_CHOICES = (("tool_choice", ("tools",)), ("function_call", ("functions",)))
_NO_DEMAND = (None, "none", "auto")


@dataclass(frozen=True)
class Question:
    """One chat request in Ollama's terms."""

    requested: str
    payload: dict[str, Any]
    policy: Policy
    facts: Facts | None
    stage: Stage = "plain"
    tools: ToolPlan | None = None
    format: formats.Format | None = None
    reasoning: str = "both"
    prefill: str = ""
    logprobs: bool = False
    limit: int | None = None
    patient: bool = False
    ignored: list[str] = field(default_factory=list)
    kept: Kept | None = None

    @property
    def offered(self) -> ToolPlan | None:
        """The tools that the model may call; None where it may call none."""
        plan = self.tools
        return None if plan is None or plan.mode == "none" else plan

    def form_payload(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Return the second of two steps: the same conversation, without tools, in the wanted form."""
        assert self.format is not None
        made = {name: value for name, value in payload.items() if name != "tools"}
        if self.tools is not None and "tools" not in payload:
            made["messages"] = _without(payload["messages"], tools.prompt_description(self.tools))
        made["format"] = self.format.payload()
        if can(self.facts, "thinking"):
            made["think"] = _think(False, True, self.facts)
        return made

    def corrected(self, payload: dict[str, Any], text: str, wrong: str | None) -> dict[str, Any]:
        """Return the payload of a second try at a call, which says what was wrong with the first."""
        assert self.tools is not None
        return self._told(payload, self.tools, text, wrong)

    def demanding(self, payload: dict[str, Any], call: Call, wrong: str) -> tuple[dict[str, Any], ToolPlan]:
        """Return the payload that demands a call anew whose arguments were wrong, and the plan that it follows."""
        assert self.tools is not None
        plan = self.tools.demanding(call.name)
        made = self._told(payload, plan, tools.shown_call(call), wrong)
        try:
            made["format"] = tools.forced_format(plan)
        except BadRequest:
            pass  # no grammar can say this schema: the model has to manage by itself
        return made, plan

    def _told(self, payload: dict[str, Any], plan: ToolPlan, text: str, wrong: str | None) -> dict[str, Any]:
        """Return a payload that goes on after a failed try at a call; a model that thought does not again."""
        made = dict(payload)
        if can(self.facts, "thinking"):
            made["think"] = _think(False, True, self.facts)
        if text:
            problem = (
                f"Its arguments were wrong: {wrong}." if wrong else "It was not a call of one of the tools."
            )
            told = f"{problem} {tools.nudge(plan)}"
            said = [{"role": "assistant", "content": text}, {"role": "user", "content": told}]
            made["messages"] = [*payload["messages"], *said]
        return made

    def reseeded(self, k: int) -> Question:
        """Return the question for choice `k`: where a seed was given each has its own, so that they differ."""
        seed = self.payload.get("options", {}).get("seed")
        return self if seed is None else self._with_option("seed", seed_of(seed, k))

    def with_window(self, window: int | None) -> Question:
        """Return the same question for another window."""
        if window is None or window == self.num_ctx:
            return self
        return self._with_option("num_ctx", window)

    def keeping(self, kept: Kept | None) -> Question:
        """Return the same question, which wants no window, for the one that the model is loaded with."""
        return self if kept is None else replace(self.with_window(kept.window), kept=kept)

    @property
    def num_ctx(self) -> int | None:
        """The window that is asked for, if one is."""
        window: int | None = self.payload.get("options", {}).get("num_ctx")
        return window

    def _with_option(self, name: str, value: int) -> Question:
        changed = {**self.payload.get("options", {}), name: value}
        return replace(self, payload={**self.payload, "options": changed})


def ask(
    body: ChatRequest,
    resolved: Resolved,
    *,
    policy: Policy,
    facts: Facts | None,
    version: tuple[int, ...] | None = None,
    num_ctx_header: int | None = None,
    images: Mapping[str, str] | None = None,
) -> Question:
    """Translate a chat body; raises BadRequest for what cannot be done."""
    _refuse_unsupported(body)
    sampling = options.sampling(
        body, policy=policy, defaults=resolved.defaults, facts=facts, num_ctx_header=num_ctx_header
    )
    ignored = list(sampling.ignored)
    plan = tools.choose(body)
    wanted = formats.wish(body)
    wish = thinking.wish(body, defaults=resolved.defaults, facts=facts, version=version)
    ignored += wish.ignored
    said = messages.to_ollama(body["messages"], facts=facts, images=images or {})
    if can(facts, "tools") is False:
        said = tools.in_words(said)
    payload: dict[str, Any] = {"model": resolved.target, "messages": said, "stream": True}
    if not _truncate(body, policy):
        payload["truncate"] = False
    if sampling.options:
        payload["options"] = sampling.options
    if sampling.keep_alive is not None:
        payload["keep_alive"] = sampling.keep_alive
    logprobs = _add_logprobs(body, payload)
    stage = _add_tools(payload, plan, wanted, facts, policy)
    constrained = stage != "plain"
    think = _think(wish.think, constrained, facts)
    if think is not None:
        payload["think"] = think
    ignored += _without_effect(body)
    refuse_ignored(ignored, policy)
    return Question(
        requested=resolved.requested,
        payload=payload,
        policy=policy,
        facts=facts,
        stage=stage,
        tools=plan,
        format=wanted,
        reasoning=wish.shown(policy.reasoning),
        prefill=_prefill(payload["messages"], facts),
        logprobs=logprobs,
        limit=sampling.limit,
        patient=constrained or "tools" in payload,
        ignored=ignored,
    )


def _refuse_unsupported(body: ChatRequest) -> None:
    modalities = body.get("modalities") or []
    if "audio" in modalities or body.get("audio") is not None:
        param = "modalities" if "audio" in modalities else "audio"
        raise _unsupported(param, "Ollama's models answer in text only.")
    if body.get("moderation") is not None:
        raise _unsupported("moderation", "There is no moderation on this server.")
    if body.get("web_search_options") is not None:
        raise _unsupported("web_search_options", "There is no web search on this server.")
    if body.get("use_beam_search"):
        raise _unsupported("use_beam_search", "Ollama has no beam search.")
    if body.get("continue_final_message"):
        _check_begun(body)


def _check_begun(body: ChatRequest) -> None:
    """Raise BadRequest where an answer is to go on that nobody has begun, or is to begin anew as well."""
    name = "continue_final_message"
    if body["messages"][-1]["role"] != "assistant":
        why = "the last message is not the assistant's, so there is nothing to continue"
    elif body.get("add_generation_prompt"):
        why = "it contradicts 'add_generation_prompt'"
    else:
        return
    raise BadRequest(f"Invalid '{name}': {why}.", code="invalid_value", param=name)


def _unsupported(param: str, why: str) -> BadRequest:
    return BadRequest(
        f"Unsupported parameter: '{param}' is not supported. {why}", code="unsupported_parameter", param=param
    )


def _truncate(body: ChatRequest, policy: Policy) -> bool:
    asked = body.get("truncate")
    return policy.truncate if asked is None else bool(asked)


def _add_logprobs(body: ChatRequest, payload: dict[str, Any]) -> bool:
    top = body.get("top_logprobs")
    if not body.get("logprobs"):
        if top:
            raise BadRequest(
                "Invalid 'top_logprobs': it needs 'logprobs' to be true.",
                code="invalid_value",
                param="top_logprobs",
            )
        return False
    payload["logprobs"] = True
    if top:
        payload["top_logprobs"] = top
    return True


def _add_tools(
    payload: dict[str, Any],
    plan: ToolPlan | None,
    wanted: formats.Format | None,
    facts: Facts | None,
    policy: Policy,
) -> Stage:
    """Put tools and format into the payload; return how the answer is to be read."""
    offered = plan is not None and plan.mode != "none"
    if not offered or plan is None:
        if wanted is None:
            return "plain"
        payload["format"] = wanted.payload()
        return "form"
    native = can(facts, "tools") is not False
    if plan.mode == "required":
        payload["format"] = tools.forced_format(plan)
        if native:
            payload["tools"] = tools.to_ollama(plan)
        _add_system(payload, tools.nudge(plan) if native else tools.prompt_description(plan))
        return "forced"
    if native or policy.tools_fallback == "error":
        payload["tools"] = tools.to_ollama(plan)
    else:
        _add_system(payload, tools.prompt_description(plan))
    return "plain" if wanted is None else "tools first"


def _add_system(payload: dict[str, Any], text: str) -> None:
    """Add to the system message in front, or put one there."""
    said = payload["messages"]
    if said and said[0]["role"] == "system":
        first = {**said[0], "content": f"{said[0]['content']}\n\n{text}"}
        payload["messages"] = [first, *said[1:]]
    else:
        payload["messages"] = [{"role": "system", "content": text}, *said]


def _without(said: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """Take away what `_add_system` has added."""
    first = said[0]
    if not text or first["role"] != "system" or text not in first["content"]:
        return said
    left = first["content"].replace(text, "").strip("\n")
    return [{**first, "content": left}, *said[1:]] if left else said[1:]


def _think(wish: bool | str | None, constrained: bool, facts: Facts | None) -> bool | str | None:
    """Return what to send as `think`; a model that thinks obeys a grammar only when it does not."""
    if not constrained or not can(facts, "thinking"):
        return wish
    if facts is not None and facts.harmony and not wish:
        return "low"  # harmony: `false` and a format give an empty answer
    return False if wish is None else wish


def _prefill(said: list[dict[str, Any]], facts: Facts | None) -> str:
    """Return the text that the caller wants continued, where Ollama may repeat it."""
    if not said or said[-1]["role"] != "assistant" or (facts is not None and facts.way == "rendered"):
        return ""
    return str(said[-1].get("content") or "")


def _without_effect(body: ChatRequest) -> list[str]:
    """Return what is accepted and does nothing, though a caller might count on it."""
    names = [name for name in _WITHOUT_EFFECT if body.get(name)]
    for choice, offer in _CHOICES:
        if body.get(choice) not in _NO_DEMAND and not any(body.get(name) for name in offer):
            names.append(choice)
    return names


def unknown(body: Mapping[str, Any], known: frozenset[str], policy: Policy) -> list[str]:
    """Return the parameters that nobody knows, for x-o2o-ignored; raises BadRequest where those are refused."""
    names = [name for name in body if name not in known and name not in _KNOWN_ELSEWHERE]
    if names and policy.strict:
        raise BadRequest(f"Unrecognized request argument supplied: {clip(names[0])}")
    return names


def refuse_ignored(names: Sequence[str], policy: Policy) -> None:
    """Raise BadRequest for the first of some parameters without effect, where the operator wants those refused."""
    if names and policy.strict:
        raise _unsupported(names[0], "It has no effect on this server (O2O_STRICT).")
