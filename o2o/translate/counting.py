"""Count a prompt's tokens: let the model read it and make one token; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from o2o.errors import Refused
from o2o.translate import faults
from o2o.translate.asking import Question
from o2o.translate.messages import merge_roles
from o2o.translate.turn import Ask, Choice

# What is done to the answer does not change the prompt, and may make one token impossible.
_ABOUT_THE_ANSWER = ("format", "logprobs", "top_logprobs")


class CountTurn:
    """A turn that says nothing; `tokens` has the count when it is over.

    A prompt that does not fit is counted too, by the refusal.
    """

    def __init__(self, question: Question) -> None:
        self.tokens = 0
        self.num_ctx = question.num_ctx
        self._question = question
        self._merged = False
        payload = {name: value for name, value in question.payload.items() if name not in _ABOUT_THE_ANSWER}
        payload["options"] = {**payload.get("options", {}), "num_predict": 1}
        self._payload: dict[str, Any] = {**payload, "truncate": False}
        self.ask: Ask | None = Ask("chat", self._payload)

    def feed(self, replies: Sequence[dict[str, Any]]) -> list[Choice]:
        """Take a batch of replies."""
        for reply in replies:
            self.tokens = int(reply.get("prompt_eval_count") or self.tokens)
        return []

    def close(self) -> list[Choice]:
        """Take the end."""
        self.ask = None
        return []

    def refused(self, refused: Refused) -> list[Choice]:
        """Read the count from an overflow; raise what any other refusal means."""
        self.ask = None
        found = faults.overflow(refused)
        if found is not None and found.n_prompt_tokens is not None:
            self.tokens = found.n_prompt_tokens
            return []
        if faults.is_role_order(refused) and not self._merged:
            self._merged = True
            self._payload = {**self._payload, "messages": merge_roles(self._payload["messages"])}
            self.ask = Ask("chat", self._payload)
            return []
        raise faults.to_error(
            refused, model=self._question.requested, about="messages", tools=False, limit=None
        )

    def rest(self) -> list[Choice]:
        """Return nothing: a count says nothing."""
        return []
