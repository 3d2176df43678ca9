"""Large images that go to Ollama as they came: neither decoded with their body nor encoded again; pure.

Theory of operation: in a body of megabytes nearly all bytes are base64 of images, and base64 is the same text in the
caller's JSON and in Ollama's. So `cut` takes it out of the body before anything is parsed, and leaves a mark that no
caller can write; `Cut.put` sets a `VerbatimURL` where the mark was. It is a string with the beginning of the URL, and
knows where the whole is. What is made of it for Ollama holds a `Verbatim`, at which `encode` ends one part of the
payload and begins another, so that the bytes are sent from where they were received.

Bodies without images must not pay for it: an image of so many characters is under one of a few places that are looked
at, each for a moment.

Only what is plainly an image's URL is taken: other places, other spellings and everything wrong are for the plain
way, which parses the whole body. A law in the property tests holds both to the same payload.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

LEAST = 64 * 1024
"""Characters of base64 that are worth it."""

_PROBE = 128
"""Bytes to look at in each place; prose has a space in them, and JSON a quote."""
_HEAD = 200
"""Bytes in which the head of a data URL ends, if it is a usual one."""
_USUAL = re.compile(rb"data:[A-Za-z0-9/+.=; -]*;base64", re.IGNORECASE)
_SHOWN = 64
"""Characters of base64 that a VerbatimURL begins with."""
_PIECE = 64 * 1024
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

_MARK = "\U0010ffff"
_MARK_BYTES = _MARK.encode()
# Half of the mark, as an escape: who writes it could make a mark of their own.
_ESCAPED_MARK = re.compile(rb"\\u[dD][bB][fF][fF]")
# No byte of UTF-8.
_GAP = b"\xff"


class Verbatim:
    """Standard, padded base64, as bytes in a body that was received."""

    __slots__ = ("view",)

    def __init__(self, view: memoryview) -> None:
        self.view = view

    def __len__(self) -> int:
        return len(self.view)


Base64 = str | Verbatim


class VerbatimURL(str):
    """The beginning of a data URL; the base64 of all of it is in `verbatim`."""

    verbatim: Verbatim

    def __new__(cls, begin: str, verbatim: Verbatim) -> VerbatimURL:
        """Return a string that knows its rest."""
        url = super().__new__(cls, begin)
        url.verbatim = verbatim
        return url


class Cut(NamedTuple):
    """A body's JSON with marks in it, and what was there."""

    rest: bytes
    urls: list[VerbatimURL]

    def put(self, body: Any) -> bool:
        """Set the URLs in place of the marks in the messages of `body`; return whether these were all marks."""
        found = 0
        for part in _parts(body):
            holder, key = part, "image_url"
            if isinstance(part.get(key), dict):
                holder, key = part[key], "url"
            mark = holder.get(key)
            if isinstance(mark, str) and mark[:1] == _MARK:
                holder[key] = self.urls[int(mark[1:])]
                found += 1
        return found == len(self.urls)


def _parts(body: Any) -> list[dict[str, Any]]:
    """Return all parts of all messages, whatever else a body that nobody has validated yet may be."""
    messages = _list(body.get("messages")) if isinstance(body, dict) else []
    contents = [_list(one.get("content")) for one in messages if isinstance(one, dict)]
    return [part for content in contents for part in content if isinstance(part, dict)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def cut(
    raw: bytes | bytearray, *, least: int = LEAST, breathe: Callable[[], object] = lambda: None
) -> Cut | None:
    """Return a body without its images of at least `least` characters, or None where there are none.

    `breathe` is called after each.
    """
    kept: list[bytes] = []
    urls: list[VerbatimURL] = []
    done, step = 0, least // 2
    at = step
    while at < len(raw):
        if raw[at : at + min(_PROBE, least // 4)].translate(None, _ALPHABET):
            at += step
            continue
        begin, end = raw.rfind(b'"', done, at), raw.find(b'"', at)
        if end < 0:
            break
        url = _url(raw, begin + 1, end, least) if begin >= 0 else None
        if url is not None:
            kept += (bytes(raw[done : begin + 1]), b"%s%d" % (_MARK_BYTES, len(urls)))
            urls.append(url)
            done = end
            breathe()
        at = end + step
    if not urls:
        return None
    rest = b"".join((*kept, raw[done:]))
    if rest.count(_MARK_BYTES) > len(urls) or _ESCAPED_MARK.search(rest):
        return None
    return Cut(rest, urls)


def _url(raw: bytes | bytearray, begin: int, end: int, least: int) -> VerbatimURL | None:
    """Return what stands between two quotes if it is a large image in a usual data URL."""
    comma = raw.find(b",", begin, begin + _HEAD)
    if comma < 0 or end - comma <= least or not _USUAL.fullmatch(raw, begin, comma):
        return None
    text = memoryview(raw)[comma + 1 : end]
    if not is_base64(text):
        return None
    return VerbatimURL(raw[begin : comma + 1 + _SHOWN].decode("ascii"), Verbatim(text))


def is_base64(text: str | memoryview) -> bool:
    """Tell whether `text` is standard, padded base64 without anything else in it, as `base64.b64decode` would."""
    size = len(text)
    if size % 4:
        return False
    end = _bytes(text[-2:])
    size -= len(end) - len(end.rstrip(b"="))
    pieces = (text[at : min(at + _PIECE, size)] for at in range(0, size, _PIECE))
    # Whether anything else is in it is known many times sooner than what it means.
    return not any(_bytes(piece).translate(None, _ALPHABET) for piece in pieces)


def _bytes(text: str | memoryview) -> bytes:
    return bytes(text) if isinstance(text, memoryview) else text.encode(errors="replace")


def encode(payload: Any) -> list[bytes | memoryview]:
    """Return the parts of a payload's JSON; several where it holds `Verbatim`s."""
    gaps: list[memoryview] = []

    def leave(value: Any) -> msgspec.Raw:
        if not isinstance(value, Verbatim):
            raise TypeError(f"no JSON is known for {type(value).__name__}")
        gaps.append(value.view)
        return _QUOTED_GAP

    encoded = msgspec.json.Encoder(enc_hook=leave).encode(payload)
    if not gaps:
        return [encoded]
    first, *others = encoded.split(_GAP)
    parts: list[bytes | memoryview] = [first]
    for gap, part in zip(gaps, others, strict=True):
        parts += (gap, part)
    return parts


_QUOTED_GAP = msgspec.Raw(b'"' + _GAP + b'"')
