"""Bytes, however cut, to replies: one JSON object a line; pure.

Theory of operation: only `\\n` ends a line (JSON may hold U+2028 and other characters that `str.splitlines`
breaks at, and a UTF-8 character may be cut between two reads, so everything stays bytes until a line is whole).
All complete lines of one read are decoded in one go. When one of them is no JSON object, those before it are
still given, and `error` holds what is wrong; nothing is read after that.
"""

from __future__ import annotations

from typing import Any, TypedDict

import msgspec

from o2o.errors import UpstreamInvalid

MAX_LINE = 16 * 1024 * 1024
"""Bytes; one line of Ollama's is at most 8 MB by its own limit."""

Reply = dict[str, Any]
"""One JSON object of Ollama's; of its fields those that `_Line` names."""


class _Message(TypedDict, total=False):
    content: str | None
    thinking: str | None
    tool_calls: list[dict[str, Any]] | None


class _Line(TypedDict, total=False):
    """The fields that anybody reads; decoding only these is a third faster, and what is of another type is invalid."""

    message: _Message | None
    response: str | None
    thinking: str | None
    logprobs: list[dict[str, Any]] | None
    done: bool
    done_reason: str | None
    error: Any
    prompt_eval_count: int
    prompt_eval_cached_count: int
    prompt_eval_duration: int
    eval_count: int
    eval_duration: int
    load_duration: int
    total_duration: int


_lines: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(_Line)


class Splitter:
    """Turn pieces of a body into replies."""

    __slots__ = ("_pieces", "_size", "error")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self.error: UpstreamInvalid | None = None

    def feed(self, data: bytes) -> list[Reply]:
        """Return the replies that `data` completes."""
        end = data.rfind(b"\n") + 1
        if not end:
            self._keep(data)
            return []
        block = data[:end]
        if self._pieces:
            self._pieces.append(block)
            block = b"".join(self._pieces)
            self._pieces.clear()
        self._size = 0
        if end < len(data):
            self._keep(data[end:])
        return self._decode(block)

    def close(self) -> list[Reply]:
        """Return what a last line without an end gives, if it is a whole reply."""
        rest = b"".join(self._pieces)
        self._pieces.clear()
        if not rest.strip():
            return []
        replies = self._decode(rest)
        self.error = None  # a line that was cut is not an invalid one
        return replies

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > MAX_LINE:
            self.error = UpstreamInvalid("A line of Ollama's answer is too long.")
            self._pieces.clear()
            return
        if data:
            self._pieces.append(data)

    def _decode(self, block: bytes) -> list[Reply]:
        try:
            return _lines.decode_lines(block)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._decode_singly(block)

    def _decode_singly(self, block: bytes) -> list[Reply]:
        replies: list[Reply] = []
        for line in block.split(b"\n"):
            if not line.strip():
                continue
            try:
                replies.append(_lines.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self.error = UpstreamInvalid()
                break
        return replies
