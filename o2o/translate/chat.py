"""POST /v1/chat/completions: one choice in the making, and the shapes of chunks and completions; pure.

Theory of operation. A `Question` is what a body asks, worked out once: the payload, the tools, the form. A
`ChatTurn` asks it, and gives what is replied to a `Reading`, which knows what may be said at once and what has to be
whole before; what is said is said by a `Speaker`. An answer may have to be asked for again (see `reading`), and what
Ollama refuses may be asked in another form: with a larger window, or with its roles merged.

When an answer breaks, what has come is said before the failure, but for half a call that is demanded and half an
answer that is to be checked: those were never to be seen as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from o2o.errors import O2OError, Refused
from o2o.translate import faults
from o2o.translate.asking import Question
from o2o.translate.messages import merge_roles
from o2o.translate.reading import Again, reading
from o2o.translate.speaker import Speaker, fold
from o2o.translate.turn import Ask, Choice, Stamp, texts
from o2o.translate.usage import Usage, figure
from o2o.translate.window import larger_window

_NO_MESSAGE: dict[str, Any] = {}


class ChatTurn:
    """One choice of a chat completion in the making.

    `merged`: this model's template has refused the order of roles before, so they are merged at once. Without
    `short_way` every reply is taken the long way, which gives the same choices.
    """

    def __init__(
        self,
        question: Question,
        *,
        new_id: Callable[[], str],
        index: int = 0,
        whole: bool = False,
        merged: bool = False,
        short_way: bool = True,
    ) -> None:
        self._short_way = short_way
        self.question = question
        self.warnings: list[str] = []
        self.usage = Usage()
        self.final: dict[str, Any] = {}
        """The last reply: Ollama's own figures."""
        self._whole = whole
        self._grown = False
        self._may_merge = question.policy.merge_roles == "auto"
        plan = question.tools
        self._legacy = plan is not None and plan.legacy
        self._speaker = Speaker(index, mode=question.reasoning, new_id=new_id, legacy=self._legacy)
        self.ask: Ask | None = None
        self._ask_for(Again(question.payload, question.stage))
        if question.policy.merge_roles == "always" or (merged and self._may_merge):
            self._merge()

    @property
    def num_ctx(self) -> int | None:
        """The window that was asked for, if one was."""
        window: int | None = self._again.payload.get("options", {}).get("num_ctx")
        return window

    def _ask_for(self, again: Again) -> None:
        self._again = again
        self._reading = reading(self.question, self._speaker, again, self.warnings, whole=self._whole)
        self.ask = Ask("chat", again.payload, self.question.patient)

    # --- what Ollama says

    def feed(self, replies: Sequence[dict[str, Any]]) -> list[Choice]:
        """Take a batch of replies; return the choices they give."""
        reading, at = self._reading, 0
        plain = reading.plain
        if replies and not plain:  # what is first may only open the way
            self._take(replies[0])
            at, plain = 1, reading.plain
        if plain and self._short_way:
            at = self._say_plain(replies, at)
        for reply in replies[at:]:
            self._take(reply)
        return self._speaker.take()

    def _take(self, reply: dict[str, Any]) -> None:
        reading = self._reading
        message = reply.get("message") or _NO_MESSAGE
        content, thinking = texts(message, "content")
        self.usage.count(thinking, content)
        if self.question.logprobs:
            reading.note(reply.get("logprobs") or (), content, thinking)
        if thinking:
            reading.think(thinking)
        if content:
            reading.content(content)
        for call in message.get("tool_calls") or ():
            reading.call(call)
        if reply.get("done"):
            self.final = reply
        if reading.direct:
            self._speaker.start()  # after each reply, so that it does not matter how they come

    def _say_plain(self, replies: Sequence[dict[str, Any]], at: int) -> int:
        """Say the replies from `at` on that are nothing but text; return where the others begin.

        This is the short way of most tokens. It does what the long way does, which a law holds it to.
        """
        said: list[str] = []
        for reply in replies[at:]:
            message = reply.get("message")
            if (
                type(message) is not dict
                or "thinking" in message
                or "tool_calls" in message
                or reply.get("done")
            ):
                break
            text = message.get("content")
            if type(text) is not str or not text:
                break
            said.append(text)
        self.usage.count_texts(len(said))
        if self._whole and said:  # a whole answer is the fold of its choices: one is as good as many
            self._speaker.pieces(["".join(said)])
        else:
            self._speaker.pieces(said)
        return at + len(said)

    def close(self) -> list[Choice]:
        """Take the end of Ollama's answer; return the last choices, or set a new ask."""
        self.usage.add(self.final)
        cut = self.final.get("done_reason") == "length"
        return self._end(cut=cut, tokens=figure(self.final, "eval_count"))

    def _end(self, *, cut: bool, tokens: int) -> list[Choice]:
        self.ask = None
        again = self._reading.end(cut=cut, tokens=tokens)
        if again is not None:
            self._ask_for(again)
        elif self._speaker.calls:
            self._speaker.finish("function_call" if self._legacy else "tool_calls")
        else:
            self._speaker.finish("length" if cut else "stop")
        return self._speaker.take()

    # --- what Ollama says instead

    def refused(self, refused: Refused) -> list[Choice]:
        """Take Ollama's refusal: ask in another form, end a cut call as `length`, or raise what it means."""
        self.ask = None
        if not refused.midway and (self._grow(refused) or self._merge_for(refused)):
            return []
        limit = self.question.limit
        if limit is not None and "tools" in self._again.payload and faults.is_cut_call(refused):
            self.usage.cut(limit)
            return self._end(cut=True, tokens=0)
        raise self._error(refused)

    def rest(self) -> list[Choice]:
        """Return what had come before the answer broke and was not said yet."""
        self.ask = None
        self._reading.break_off()
        return self._speaker.take()

    def _error(self, refused: Refused) -> O2OError:
        question = self.question
        tools = "tools" in self._again.payload
        return faults.to_error(
            refused, model=question.requested, about="messages", tools=tools, limit=question.limit
        )

    def _grow(self, refused: Refused) -> bool:
        """Ask once more with a larger window, when the loaded one is nobody's choice."""
        if self._grown:
            return False
        question = self.question
        window = larger_window(
            refused, question.policy, question.facts, sent=self.num_ctx, kept=question.kept
        )
        if window is None:
            return False
        self._grown = True
        self.warnings.append("num_ctx_grown")
        payload = self._again.payload
        options = {**payload.get("options", {}), "num_ctx": window}
        self._ask_for(self._again._replace(payload={**payload, "options": options}))
        return True

    def _merge_for(self, refused: Refused) -> bool:
        return self._may_merge and faults.is_role_order(refused) and self._merge()

    def _merge(self) -> bool:
        """Ask with the roles merged, if that makes a difference and was not done before."""
        payload = self._again.payload
        merged = merge_roles(payload["messages"])
        if merged == payload["messages"]:
            return False
        if self._may_merge:
            self.warnings.append("roles_merged")
        self._may_merge = False
        self._ask_for(self._again._replace(payload={**payload, "messages": merged}))
        return True


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
