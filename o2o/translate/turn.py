"""What an answer in the making is: a turn, as the loop around it sees it; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from o2o.errors import Refused, UpstreamInvalid

Choice = dict[str, Any]
"""One entry of a chunk's `choices`: index, delta (or text), logprobs, finish_reason."""


class Ask(NamedTuple):
    """What to ask Ollama now."""

    path: Literal["chat", "generate"]
    payload: Mapping[str, Any]
    patient: bool = False
    """Ollama may be silent for long, since it holds calls and schemas back until they are whole."""


class Stamp(NamedTuple):
    """All of a completion that comes from outside the pure code."""

    id: str
    created: int
    model: str
    fingerprint: str | None = None


class Turn(Protocol):
    """One answer in the making.

    While `ask` is set: send it, `feed` every batch of replies, then `close` after `done:true`; or give `refused`
    what Ollama said instead. Each returns choices for the caller, and may set a new `ask` when something has to
    be asked again. When `ask` is None the turn is over, and what was returned last is the end of it.

    When one of them raises, or the answer breaks, `rest` returns what had come before and was not said yet.
    """

    ask: Ask | None

    def feed(self, replies: Sequence[dict[str, Any]]) -> list[Choice]: ...
    def close(self) -> list[Choice]: ...
    def refused(self, refused: Refused) -> list[Choice]: ...
    def rest(self) -> list[Choice]: ...


_TEXT = (str, type(None))


def texts(part: Any, name: str) -> tuple[str | None, str | None]:
    """Return the text under `name` in a part of a reply, and its thinking; raises UpstreamInvalid.

    What answers at Ollama's address may be another server, whose JSON looks almost alike.
    """
    if not isinstance(part, dict):
        raise UpstreamInvalid
    text, thinking = part.get(name), part.get("thinking")
    if not isinstance(text, _TEXT) or not isinstance(thinking, _TEXT):
        raise UpstreamInvalid
    return text, thinking
