"""Embeddings passed on without reading their numbers; pure.

Theory of operation: Ollama writes `{"model":…,"embeddings":[[…],[…]],…}` without spaces, and the numbers inside are
what OpenAI's answer has too. So a vector's text is cut out at `],[` and set between the words of an OpenAI entry.
`rows` says whether bytes have that shape; whatever else they are is for the parser, and a law in the property tests
holds both to the same answer. As base64 each vector is read alone, so that thousands never exist as Python floats
at once. One byte is looked for at a time: that is many times faster than looking for three.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from o2o.pages import Bytes

_BEGIN, _BETWEEN, _END = b'"embeddings":[[', b"],[", b"]]"
_OF_NUMBERS = b"0123456789.,-+eE[]"
_PART = 128 * 1024
"""Bytes to pass on at a time."""
_READ_PART = 512 * 1024
"""Bytes to read at a time, which takes a millisecond or two."""
_floats = msgspec.json.Decoder(list[float])


class Rows(NamedTuple):
    """The texts of vectors inside a reply: where each begins and ends, and the reply's tokens."""

    raw: Bytes
    spans: list[tuple[int, int]]
    tokens: int


def rows(raw: Bytes) -> Rows | None:
    """Return where the vectors are in a reply to /api/embed, or None if it has another shape.

    What stands in the vectors is for `are_numbers`, or for who reads them.
    """
    begin = raw.find(_BEGIN)
    end = raw.rfind(_END)
    if begin < 0 or end < begin + len(_BEGIN):
        return None
    around = _object(bytes(raw[:begin]) + b'"embeddings":[' + bytes(raw[end + 1 :]))
    if around is None or around.get("embeddings") != [] or "error" in around:
        return None
    tokens = around.get("prompt_eval_count", 0)
    spans = _spans(raw, begin + len(_BEGIN), end)
    if type(tokens) is not int or spans is None:
        return None
    return Rows(raw, spans, tokens)


def _spans(raw: Bytes, at: int, end: int) -> list[tuple[int, int]] | None:
    """Return where vectors begin and end, or None where anything else is in brackets, or nothing."""
    spans: list[tuple[int, int]] = []
    while (close := raw.find(b"]", at, end + 1)) != end:
        if raw[close : close + len(_BETWEEN)] != _BETWEEN:
            return None
        spans.append((at, close))
        at = close + len(_BETWEEN)
    spans.append((at, end))
    return None if any(a == b or raw.find(b"[", a, b) >= 0 for a, b in spans) else spans


def are_numbers(found: Rows) -> bool:
    """Tell whether there is nothing but numbers, as far as their characters tell."""
    raw, begin, end = found.raw, found.spans[0][0], found.spans[-1][1]
    return not any(
        bytes(raw[at : min(at + _PART, end)]).translate(None, _OF_NUMBERS) for at in range(begin, end, _PART)
    )


def width(found: Rows) -> int | None:
    """Return how many numbers each vector has, or None if they differ."""
    widths = {found.raw[a:b].count(b",") for a, b in found.spans}
    return widths.pop() + 1 if len(widths) == 1 else None


def entries(replies: list[Rows]) -> Iterator[bytes]:
    """Yield the entries of OpenAI's `data` for all vectors, with the commas between them, in large parts."""
    index = 0
    out: list[bytes] = []
    size = 0
    for reply in replies:
        view = memoryview(reply.raw)
        for a, b in reply.spans:
            head = b'%s{"object":"embedding","index":%d,"embedding":[' % (b"," if index else b"", index)
            out += (head, bytes(view[a:b]), b"]}")
            size += len(head) + b - a + 2
            index += 1
            if size >= _PART:
                yield b"".join(out)
                out, size = [], 0
    if out:
        yield b"".join(out)


def length(replies: list[Rows]) -> int:
    """Return how many bytes `entries` yields."""
    index = total = 0
    for reply in replies:
        for a, b in reply.spans:
            total += (
                len(b'{"object":"embedding","index":%d,"embedding":[]}' % index)
                + (b - a)
                + (1 if index else 0)
            )
            index += 1
    return total


def packed_entries(replies: list[Rows]) -> Iterator[bytes]:
    """Yield the entries with vectors as base64 of little-endian float32, in large parts.

    Raises ValueError for what is no vector.
    """
    index = size = 0
    out: list[bytes] = []
    for reply in replies:
        view = memoryview(reply.raw)
        for a, b in reply.spans:
            text = base64.b64encode(_packed(view[a - 1 : b + 1]))
            comma = b"," if index else b""
            out.append(b'%s{"object":"embedding","index":%d,"embedding":"%s"}' % (comma, index, text))
            index += 1
            size += b - a
            if size >= _READ_PART:
                yield b"".join(out)
                out, size = [], 0
    if out:
        yield b"".join(out)


def _packed(vector: memoryview) -> bytes:
    try:
        numbers = _floats.decode(vector)
        return struct.pack(f"<{len(numbers)}f", *numbers)
    except (msgspec.DecodeError, OverflowError) as error:
        raise ValueError("an embedding is no list of numbers") from error


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
