"""POST /v1/chat/completions: what to ask Ollama, and what its replies become; pure.

Theory of operation. A `Question` is what a body asks, worked out once: the payload, the tools, the format. A
`ChatTurn` asks it and says the answer through its speaker. Most answers go straight through. Some have to be
held back until they are whole, because they may have to be asked again or read differently:

    forced call     tool_choice names a call: the content is constrained JSON that becomes calls
    two steps       tools and a schema: first with the tools; a text answer is asked again with the schema
    schema, whole   a whole answer that breaks its schema is asked for once more
    no thinking     thinking was switched off: what arrives as thinking all the same may be the whole answer
    leaked calls    text that looks like a call is held back until it is one, or is not

`stage` says which way the current ask is to be read. What Ollama refuses may be asked again in another form: a
larger window, other roles; `refused` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from o2o.errors import O2OError, Refused, ResponseFormatViolation, ToolCallParseError
from o2o.translate import faults
from o2o.translate.asking import Question
from o2o.translate.logprobs import Collector
from o2o.translate.messages import merge_roles
from o2o.translate.policy import Policy
from o2o.translate.speaker import Speaker, fold
from o2o.translate.tools import Call, Rescue, check_arguments, read_forced
from o2o.translate.turn import Ask, Choice, Stamp
from o2o.translate.usage import Usage

_SWALLOWED = 10
"""Tokens that nobody saw, from which on an empty answer with tools is a call that Ollama swallowed."""


class ChatTurn:
    """One choice of a chat completion in the making."""

    def __init__(
        self,
        question: Question,
        *,
        policy: Policy,
        new_id: Callable[[], str],
        index: int = 0,
        whole: bool = False,
        merged: bool = False,
    ) -> None:
        self.question = question
        self.warnings: list[str] = []
        self.usage = Usage()
        self.final: dict[str, Any] = {}
        """The last reply: Ollama's own figures."""
        self._policy = policy
        self._whole = whole
        self._payload = dict(question.payload)
        if merged:
            self._payload["messages"] = merge_roles(self._payload["messages"])
        self._merged = merged or policy.merge_roles == "never"
        self._grown = False
        self._tries = 0
        plan = question.tools
        self._speaker = Speaker(
            index, mode=question.reasoning, new_id=new_id, legacy=bool(plan and plan.legacy)
        )
        self._stage = question.stage
        self._begin()
        self.ask: Ask | None = self._asking()

    # --- asking

    def _asking(self) -> Ask:
        return Ask("chat", self._payload, self.question.patient)

    def _begin(self) -> None:
        """Make ready to read a new answer."""
        question = self.question
        plan = question.tools
        self._thoughts: list[str] = []
        self._text: list[str] = []
        self._seen_calls: list[Call] = []
        self._prefill = question.prefill
        self._entries = Collector() if question.logprobs else None
        rescue = (
            plan is not None and plan.mode != "none" and self._policy.tool_rescue and self._stage == "plain"
        )
        self._rescue = Rescue(plan) if rescue and plan is not None else None
        self._holds = self._stage in ("forced", "tools first") or (
            self._whole and question.format is not None
        )
        self._hide_thoughts = question.thinking_off

    def _again(self, payload: dict[str, Any]) -> None:
        self._payload = payload
        self._begin()
        self.ask = self._asking()

    # --- reading

    def feed(self, replies: Sequence[dict[str, Any]]) -> list[Choice]:
        """Take a batch of replies; return the choices they give."""
        for reply in replies:
            message = reply.get("message") or {}
            thinking = message.get("thinking")
            content = message.get("content")
            self.usage.count(thinking, content)
            if thinking:
                self._think(thinking)
            if self._entries is not None:
                self._entries.add(reply.get("logprobs"), about_content=not thinking)
            if content:
                self._say(content)
            for call in message.get("tool_calls") or ():
                self._call(call)
            if reply.get("done"):
                self.final = reply
        if not self._holds:
            self._speaker.start()
        return self._speaker.take()

    def _think(self, text: str) -> None:
        if self._hide_thoughts or self._holds:
            self._thoughts.append(text)
        else:
            self._speaker.reasoning(text)

    def _say(self, text: str) -> None:
        if self._prefill:
            text = self._strip_prefill(text)
            if not text:
                return
        if self._rescue is not None:
            text = self._rescue.feed(text)
            if not text:
                return
        if self._holds:
            self._text.append(text)
            return
        self._let_out_thoughts()
        self._speak(text)

    def _speak(self, text: str) -> None:
        entries = None if self._entries is None else self._entries.take(text)
        if self.question.format is not None:
            self._text.append(text)
        self._speaker.content(text, entries)

    def _let_out_thoughts(self) -> None:
        """Content has come after all: what was held back was thinking indeed."""
        if self._thoughts:
            self._speaker.reasoning("".join(self._thoughts))
            self._thoughts = []
            self._hide_thoughts = False

    def _strip_prefill(self, text: str) -> str:
        """Take away the caller's own beginning, which the native path repeats in its first line."""
        prefill, self._prefill = self._prefill, ""
        if text.startswith(prefill):
            return text[len(prefill) :]
        if prefill.startswith(text):
            self._prefill = prefill[len(text) :]
            return ""
        return text

    def _call(self, raw: dict[str, Any]) -> None:
        plan = self.question.tools
        if plan is None or plan.mode == "none":
            return  # a built-in parser reads calls although no tools were sent
        function = raw.get("function") or {}
        call = plan.call(function.get("name"), function.get("arguments"))
        if call is None:
            raise ToolCallParseError("The model called a tool that was not offered.")
        self._seen_calls.append(call)
        if not self._holds and (plan.parallel or not self._speaker.calls):
            self._let_out_thoughts()
            self._speaker.call(call)

    # --- the end

    def close(self) -> list[Choice]:
        """Take the end of Ollama's answer; return the last choices, or set a new ask."""
        self.ask = None
        self.usage.add(self.final)
        cut = self.final.get("done_reason") == "length"
        if self._rescue is not None:
            self._end_rescue()
        if self._stage == "forced":
            self._end_forced(cut)
        elif self._stage == "tools first":
            self._end_tools_first(cut)
        else:
            self._end_plain(cut)
        if self.ask is None:
            self._finish(cut)
        return self._speaker.take()

    def _end_rescue(self) -> None:
        assert self._rescue is not None
        text, calls = self._rescue.close()
        self._rescue = None
        if text:
            self._say(text)
        if calls:
            self.warnings.append("tool_call_rescued")
        plan = self.question.tools
        for call in calls:
            self._seen_calls.append(call)
            if not self._holds and (plan is None or plan.parallel or not self._speaker.calls):
                self._let_out_thoughts()
                self._speaker.call(call)

    def _end_plain(self, cut: bool) -> None:
        if self._holds:  # a whole answer with a schema
            text = "".join(self._text) or "".join(self._thoughts)
            if not cut and not self._seen_calls and self._ask_again_for_schema(text):
                return
            self._release()
            return
        if self._thoughts:
            thoughts = "".join(self._thoughts)
            self._thoughts = []
            if self._speaker.said or self._speaker.calls:
                self._speaker.reasoning(thoughts)
            else:  # thinking was switched off: this is the answer
                self._entries = None
                self._speak(thoughts)
        self._check_swallowed(cut)
        if not cut and not self._speaker.calls:
            self._check_format("".join(self._text))

    def _release(self) -> None:
        """Say what was held back."""
        self._holds = False
        thoughts, text = "".join(self._thoughts), "".join(self._text)
        self._thoughts, self._text = [], []
        if thoughts and self.question.thinking_off and not text and not self._seen_calls:
            thoughts, text = "", thoughts
            self._entries = None
        if thoughts:
            self._speaker.reasoning(thoughts)
        if text:
            form = self.question.format
            self._speak(text if form is None or self._seen_calls else form.bare(text))
        self._say_calls(self._seen_calls)

    def _say_calls(self, calls: Sequence[Call]) -> None:
        plan = self.question.tools
        for call in calls if plan is None or plan.parallel else calls[:1]:
            self._speaker.call(call)

    def _check_swallowed(self, cut: bool) -> None:
        """Raise where Ollama read a call, could not make sense of it, and said nothing about it."""
        speaker = self._speaker
        offered = self.question.tools is not None and self.question.tools.mode != "none"
        if offered and not cut and not (speaker.said or speaker.calls or speaker.thought):
            if int(self.final.get("eval_count") or 0) >= _SWALLOWED:
                raise ToolCallParseError

    def _ask_again_for_schema(self, text: str) -> bool:
        wanted = self.question.format
        assert wanted is not None
        wrong = wanted.violation(text)
        if wrong is None:
            return False
        if self._tries == 0:
            self._tries += 1
            self._again(self._payload)
            return True
        if wanted.strict:
            raise ResponseFormatViolation
        self.warnings.append("response_format")
        return False

    def _check_format(self, text: str) -> None:
        wanted = self.question.format
        if wanted is None or wanted.violation(text) is None:
            return
        if wanted.strict:
            raise ResponseFormatViolation
        self.warnings.append("response_format")

    def _end_forced(self, cut: bool) -> None:
        """Read the constrained content, or the calls that the model made by itself, as the calls asked for."""
        plan = self.question.tools
        assert plan is not None
        text = "".join(self._text) or "".join(self._thoughts)
        calls = self._seen_calls or read_forced(text, plan)
        wrong = next((found for call in calls if (found := check_arguments(call, plan))), None)
        if calls and wrong is None:
            if self._text and self._thoughts and not self.question.thinking_off:
                self._speaker.reasoning("".join(self._thoughts))
            self._say_calls(calls)
            return
        if cut:
            return  # the limit fell into the call: `length`, and nothing is invented
        if self._tries > 0:
            raise ToolCallParseError(
                "The model did not produce a valid call of the tool that was asked for."
                + (f" The arguments were wrong: {wrong}" if wrong else "")
            )
        self._tries += 1
        self._again(self.question.corrected(self._payload, text, wrong))

    def _end_tools_first(self, cut: bool) -> None:
        """The first of two steps: calls are the answer; a text is asked for again in the schema's form."""
        if self._seen_calls or cut:
            self._release()
            return
        wanted = self.question.format
        assert wanted is not None
        text = "".join(self._text)
        if text and wanted.violation(text) is None:
            self._release()
            return
        if not text:
            self._check_swallowed(cut)
        if self._thoughts and not self.question.thinking_off:
            self._speaker.reasoning("".join(self._thoughts))
        self._stage = "plain"
        self._again(self.question.schema_payload())

    def _finish(self, cut: bool) -> None:
        plan = self.question.tools
        if self._speaker.calls:
            reason = "function_call" if plan is not None and plan.legacy else "tool_calls"
        else:
            reason = "length" if cut else "stop"
        self._speaker.finish(reason)

    # --- what Ollama said instead

    def refused(self, refused: Refused) -> list[Choice]:
        """Take Ollama's refusal: ask in another form, end a cut call as `length`, or raise what it means."""
        self.ask = None
        question = self.question
        offered = question.tools is not None and question.tools.mode != "none"
        if not refused.midway:
            if self._grow(refused) or self._merge(refused):
                self._begin()
                self.ask = self._asking()
                return []
        if offered and question.limit is not None and faults.is_cut_call(refused):
            self.usage.cut(question.limit)
            if self._holds:
                self._release()
            self._speaker.finish("length")
            return self._speaker.take()
        raise self.error(refused)

    def error(self, refused: Refused) -> O2OError:
        """Return what a refusal of Ollama's means to the caller."""
        question = self.question
        offered = question.tools is not None and question.tools.mode != "none"
        return faults.to_error(
            refused, model=question.requested, about="messages", tools=offered, limit=question.limit
        )

    def _grow(self, refused: Refused) -> bool:
        """Ask once more with a larger window, when the loaded one is nobody's choice."""
        if self._grown:
            return False
        window = self.question.larger_window(refused)
        if window is None:
            return False
        self._grown = True
        self._payload = {**self._payload, "options": {**self._payload.get("options", {}), "num_ctx": window}}
        self.warnings.append("num_ctx_grown")
        return True

    def _merge(self, refused: Refused) -> bool:
        if self._merged or not faults.is_role_order(refused):
            return False
        messages = merge_roles(self._payload["messages"])
        if messages == self._payload["messages"]:
            return False
        self._merged = True
        self._payload = {**self._payload, "messages": messages}
        self.warnings.append("roles_merged")
        return True

    @property
    def num_ctx(self) -> int | None:
        """The window that was asked for, if one was."""
        window: int | None = self._payload.get("options", {}).get("num_ctx")
        return window


def head(stamp: Stamp) -> dict[str, Any]:
    """Return the fields that every chunk of a stream begins with."""
    return {
        "id": stamp.id,
        "object": "chat.completion.chunk",
        "created": stamp.created,
        "model": stamp.model,
        "service_tier": "default",
        "system_fingerprint": stamp.fingerprint,
    }


def completion(stamp: Stamp, choices: list[Choice], usage: dict[str, Any]) -> dict[str, Any]:
    """Return the whole completion: the fold of its choices."""
    return {
        "id": stamp.id,
        "object": "chat.completion",
        "created": stamp.created,
        "model": stamp.model,
        "choices": fold(choices),
        "usage": usage,
        "service_tier": "default",
        "system_fingerprint": stamp.fingerprint,
    }
