"""Images as OpenAI's callers write them -> base64 as Ollama takes it, and what an image may be.

A picture of 50 kB can be 400 million pixels in the memory of Ollama's runner, so sizes are read from the
headers of the formats that it can decode; nothing is decoded here.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from struct import unpack_from
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from o2o.errors import BadRequest, clip
from o2o.verbatim import Base64, Verbatim, VerbatimURL, is_base64

MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 50_000_000
MAX_COUNT = 16
"""Images and recordings in one request."""

_URL_SAFE = str.maketrans("-_", "+/")
# JPEG: segments that start a frame; the holes are tables and reserved ones.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
# Real ones have a few dozen before the frame; a file made of nothing else must not keep us busy.
_JPEG_SEGMENTS = 4096


_BEGINNINGS = (4 * 1024, 256 * 1024)
"""Characters of base64 that are decoded first: most images have their size in the first, photographs behind a smaller
picture of themselves, and a JPEG may have it anywhere."""


class Data:
    """Standard, padded base64 and the bytes that it means, which are decoded when somebody looks."""

    def __init__(self, text: Base64) -> None:
        self.text = text

    @cached_property
    def raw(self) -> bytes:
        """All bytes."""
        return self._decoded(None)

    @cached_property
    def begin(self) -> bytes:
        """The first bytes, or all of them where they are few."""
        return self._decoded(_BEGINNINGS[0])

    def beginnings(self) -> Iterator[bytes]:
        """Yield ever more of the bytes, at last all of them."""
        yield self.begin
        for size in _BEGINNINGS[1:]:
            yield self._decoded(size)
        yield self.raw

    def _decoded(self, size: int | None) -> bytes:
        text = self.text.view if isinstance(self.text, Verbatim) else self.text
        return base64.b64decode(text[:size])


def image(url: str, param: str, fetched: Mapping[str, str] | None = None) -> Base64:
    """Return the base64 of a data URL, or of an http(s) URL that `fetched` has; checked.

    Raises BadRequest with `param` for everything that is not an image Ollama could look at.
    """
    if isinstance(url, VerbatimURL):
        _check_length(len(url.verbatim) * 3 // 4 - 2, param)
        data = Data(url.verbatim)
    elif url[:5].lower() == "data:":
        data = data_url(url, param)
    elif fetched and url in fetched:
        data = from_base64(fetched[url], param)
    elif is_web(url):
        raise BadRequest(
            "This server does not fetch images from the web. Send the image itself as a data URL, "
            "'data:image/png;base64,…', or let the operator set O2O_FETCH_IMAGES=true.",
            code="invalid_image_url",
            param=param,
        )
    else:
        raise BadRequest(
            f"Invalid image URL: expected 'data:image/…;base64,…', but got '{clip(url, 40)}'.",
            code="invalid_image_url",
            param=param,
        )
    check_image(data, param)
    return data.text


def too_many(param: str) -> BadRequest:
    """Return the error for more images and recordings than a request may have."""
    return BadRequest(
        f"Too many images: a request may have at most {MAX_COUNT}.",
        code="array_above_max_length",
        param=param,
    )


def is_web(url: str) -> bool:
    """Tell whether `url` names something that would have to be fetched."""
    return url[:8].lower().startswith(("http://", "https://"))


def web_images(messages: Iterable[Any], param: str = "messages") -> dict[str, str]:
    """Return the http(s) URLs of the images in chat messages, each once, with the path where it stands."""
    urls: dict[str, str] = {}
    for i, message in enumerate(messages):
        content = message.get("content")
        for j, part in enumerate(content if isinstance(content, list) else ()):
            if part.get("type") == "image_url":
                url, place = part["image_url"], f"{param}[{i}].content[{j}].image_url"
                if not isinstance(url, str):
                    url, place = url["url"], f"{place}.url"
                if is_web(url):
                    urls.setdefault(url, place)
    return urls


def data_url(url: str, param: str, *, code: str = "invalid_base64_image") -> Data:
    """Return what a data URL holds, whatever its type, its parameters and its encoding."""
    head, comma, payload = url[5:].partition(",")
    if not comma:
        raise BadRequest("Invalid data URL: it has no comma.", code="invalid_image_url", param=param)
    if any(part.strip().lower() == "base64" for part in head.split(";")):
        return from_base64(unquote(payload) if "%" in payload else payload, param, code=code)
    raw = unquote_to_bytes(payload)
    _check_length(len(raw), param)
    return Data(base64.b64encode(raw).decode("ascii"))


def from_base64(text: str, param: str, *, code: str = "invalid_base64_image") -> Data:
    """Return the bytes of a base64 text that may have white space, the URL alphabet or no padding."""
    _check_length(len(text) * 3 // 4 - 2, param)
    if not is_base64(text):
        text = "".join(text.split()).rstrip("=")
        if "-" in text or "_" in text:
            text = text.translate(_URL_SAFE)
        text += "=" * (-len(text) % 4)
        if not is_base64(text):
            raise BadRequest("Invalid base64 data.", code=code, param=param)
    return Data(text)


def _check_length(length: int, param: str) -> None:
    if length > MAX_BYTES:
        raise BadRequest(
            f"The file is too large: {length} bytes, where {MAX_BYTES} are allowed.",
            code="image_file_too_large",
            param=param,
        )


def check_image(data: Data, param: str) -> None:
    """Raise BadRequest unless `data` begins like an image of a known format and of a bearable size."""
    if not data.begin:
        raise BadRequest("The image is empty.", code="empty_image_file", param=param)
    if not is_image(data.begin):
        raise BadRequest(
            "Unknown image format: PNG, JPEG, GIF, WebP and BMP can be read.",
            code="invalid_image_format",
            param=param,
        )
    sizes = (_size(raw) for raw in data.beginnings())
    width, height = next(((w, h) for w, h in sizes if w > 0 and h > 0), (0, 0))
    if not width:
        raise BadRequest("The image is damaged.", code="invalid_image", param=param)
    if width * height > MAX_PIXELS:
        raise BadRequest(
            f"The image is too large: {width} x {height} pixels, where {MAX_PIXELS} in all are allowed.",
            code="image_too_large",
            param=param,
        )


def is_image(raw: bytes) -> bool:
    """Tell whether `raw` begins with the signature of a known image format."""
    return raw.startswith((b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"\xff\xd8\xff", b"BM")) or (
        raw[:4] == b"RIFF" and raw[8:12] == b"WEBP"
    )


def _size(raw: bytes) -> tuple[int, int]:
    try:
        return size(raw)
    except (struct.error, IndexError):
        return 0, 0


def size(raw: bytes) -> tuple[int, int]:
    """Return width and height of an image with a known signature; (0, 0), struct.error or IndexError if cut."""
    if raw[:1] == b"\x89":
        width, height = unpack_from(">II", raw, 16)
    elif raw[:3] == b"GIF":
        width, height = unpack_from("<HH", raw, 6)
    elif raw[:2] == b"BM":
        # The first version of the format has 16 bits for each; in later ones a negative height is upside down.
        old = unpack_from("<I", raw, 14)[0] == 12
        width, height = unpack_from("<HH", raw, 18) if old else unpack_from("<ii", raw, 18)
    elif raw[:4] == b"RIFF":
        return _webp(raw)
    else:
        return _jpeg(raw)
    return width, abs(height)


def _webp(raw: bytes) -> tuple[int, int]:
    kind = raw[12:16]
    if kind == b"VP8 ":
        width, height = unpack_from("<HH", raw, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        bits = unpack_from("<I", raw, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        low, high, low2, high2 = unpack_from("<HBHB", raw, 24)
        return (low | high << 16) + 1, (low2 | high2 << 16) + 1
    return 0, 0


def _jpeg(raw: bytes) -> tuple[int, int]:
    at = 2
    for _ in range(_JPEG_SEGMENTS):
        marker = raw[at + 1]
        if raw[at] != 0xFF:
            break
        if marker == 0xFF:  # padding
            at += 1
        elif marker in _JPEG_BARE:
            at += 2
        elif marker in _JPEG_FRAMES:
            height, width = unpack_from(">HH", raw, at + 5)
            return width, height
        else:
            at += 2 + max(2, unpack_from(">H", raw, at + 2)[0])
    return 0, 0
