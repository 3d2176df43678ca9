"""From pieces to Ollama's lines: limits, stop strings, log probabilities and the counts of the last line."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from o2o.practice.answers import Piece

Shape = Literal["chat", "generate"]
_ALTERNATIVES = (" practice", " the", " a", ",", ".", " and", " of", "\n", " to", " in", " is", " it")


@dataclass(frozen=True)
class Generated:
    """What was generated before an end came; `evaluated` counts tokens, the end token among them."""

    pieces: Sequence[Piece]
    reason: Literal["stop", "length"]
    evaluated: int


def limited(pieces: Sequence[Piece], limit: int | None, stop: Sequence[str]) -> Generated:
    """Return `pieces` up to `limit` tokens or the first of the stop strings, whichever comes first.

    A stop string is not part of the answer, wherever it stands; a call that is cut is no call.
    """
    allowed = pieces if limit is None else pieces[:limit]
    text = "".join(piece.text for piece in allowed)
    ends = [(at, at + len(word)) for word in stop if word and (at := text.find(word)) >= 0]
    if ends:
        start, end = min(ends)
        return Generated(list(_up_to(allowed, start)), "stop", len(list(_up_to(allowed, end))))
    if limit is not None and limit <= len(pieces):
        return Generated(allowed, "length", limit)
    return Generated(pieces, "stop", len(pieces) + 1)


def _up_to(pieces: Sequence[Piece], length: int) -> Iterator[Piece]:
    for piece in pieces:
        if length <= 0:
            return
        whole = len(piece.text) <= length
        yield piece if whole else Piece(piece.kind, piece.text[:length])
        length -= len(piece.text)


@dataclass(frozen=True)
class Speech:
    """An answer in the making: everything but the times.

    `lines` has an entry for each token; None where Ollama says nothing, as while it collects a tool call.
    """

    model: str
    shape: Shape
    generated: Generated
    prompt_tokens: int
    load_ns: int
    top: int | None
    """How many alternatives each log probability has; None without log probabilities."""
    context: Sequence[int] | None = None
    resumed: int = 0
    """Thinking tokens that a second, constrained run took into its prompt."""

    def lines(self, now: Callable[[], str]) -> Iterator[dict[str, Any] | None]:
        """Yield one line, or None, for each token; `now` gives the time in Ollama's notation."""
        index = 0
        before: Piece | None = None
        for piece in self.generated.pieces:
            if self.resumed and before and before.kind == "thinking" != piece.kind:
                # Ollama: an empty line stands where the second run begins.
                yield self._line({"content": ""}, now(), None)
            logprobs = None if self.top is None else [logprob(piece.text, self.top)]
            message = self._message(piece, index, now)
            index += piece.call is not None
            yield None if message is None and logprobs is None else self._line(message, now(), logprobs)
            before = piece

    def _message(self, piece: Piece, index: int, now: Callable[[], str]) -> dict[str, Any] | None:
        if piece.kind == "content":
            return {"content": piece.text}
        if piece.kind == "thinking":
            return {"content": "", "thinking": piece.text}
        return (
            None if piece.call is None else {"content": "", "tool_calls": [_tool_call(piece, index, now())]}
        )

    def _line(
        self, message: dict[str, Any] | None, created_at: str, logprobs: list[Any] | None
    ) -> dict[str, Any]:
        line = {**self._head(message or {"content": ""}, created_at), "done": False}
        return line if logprobs is None else {**line, "logprobs": logprobs}

    def _head(self, message: dict[str, Any], created_at: str) -> dict[str, Any]:
        head: dict[str, Any] = {"model": self.model, "created_at": created_at}
        if self.shape == "chat":
            return {**head, "message": {"role": "assistant", **message}}
        head["response"] = message["content"]
        return {**head, "thinking": message["thinking"]} if message.get("thinking") else head

    def last(self, created_at: str, total_ns: int, eval_ns: int) -> dict[str, Any]:
        """Return the last line of a stream; times in nanoseconds."""
        return {**self._head({"content": ""}, created_at), **self._end(total_ns, eval_ns)}

    def whole(self, created_at: str, total_ns: int, eval_ns: int) -> dict[str, Any]:
        """Return the one object that answers when nothing is streamed."""
        pieces = self.generated.pieces
        message: dict[str, Any] = {"content": _joined(pieces, "content")}
        if thinking := _joined(pieces, "thinking"):
            message["thinking"] = thinking
        calls = [piece for piece in pieces if piece.call is not None]
        if calls:
            message["tool_calls"] = [
                _tool_call(piece, index, created_at) for index, piece in enumerate(calls)
            ]
        answer = {**self._head(message, created_at), **self._end(total_ns, eval_ns)}
        if self.top is not None:
            answer["logprobs"] = [logprob(piece.text, self.top) for piece in pieces]
        return answer

    def _end(self, total_ns: int, eval_ns: int) -> dict[str, Any]:
        end: dict[str, Any] = {"done": True, "done_reason": self.generated.reason}
        if self.context is not None:
            end["context"] = list(self.context)
        prompt_ns = max(1, total_ns - eval_ns - self.load_ns)
        return {
            **end,
            "total_duration": max(total_ns, self.load_ns + prompt_ns + eval_ns),
            "load_duration": self.load_ns,
            "prompt_eval_count": self.prompt_tokens + self.resumed,
            "prompt_eval_duration": prompt_ns,
            "eval_count": max(1, self.generated.evaluated - self.resumed),
            "eval_duration": max(1, eval_ns),
        }


def _joined(pieces: Sequence[Piece], kind: str) -> str:
    return "".join(piece.text for piece in pieces if piece.kind == kind)


def _tool_call(piece: Piece, index: int, moment: str) -> dict[str, Any]:
    call = piece.call or {}
    digits = zlib.crc32(f"{moment} {index} {call}".encode())
    name = "".join("abcdefghijklmnopqrstuvwxyz0123456789"[digits // 36**place % 36] for place in range(6))
    return {"id": f"call_{name}{index:02d}", "function": {"index": index, **call}}


def logprob(text: str, top: int) -> dict[str, Any]:
    """Return the log probability of one token in Ollama's shape, with `top` alternatives, itself first."""
    own = _entry(text, -(zlib.crc32(text.encode()) % 900 + 1) / 1000)
    if not top:
        return own
    others = [word for word in _ALTERNATIVES if word != text]
    words = [others[at % len(others)] + "s" * (at // len(others)) for at in range(top - 1)]
    ranked = [_entry(word, round(own["logprob"] - math.log(2 + at), 6)) for at, word in enumerate(words)]
    return {**own, "top_logprobs": [{**own}, *ranked]}


def _entry(text: str, value: float) -> dict[str, Any]:
    return {"token": text, "logprob": value, "bytes": list(text.encode())}
