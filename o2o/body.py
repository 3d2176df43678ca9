"""Read a request body: counted, timed, guarded JSON.

The WSGI stream is read here and not by Flask, which cuts a chunked body at its limit without a word. `parse`
is pure: bytes in, values out, and everything it accepts means the same to every reader of JSON.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import msgspec

from o2o import verbatim
from o2o.errors import BadRequest, CallerGone, O2OError, RequestTimeout, RequestTooLarge, clip

MAX_DEPTH = 64
"""How deep arrays and objects may nest."""

MAX_DIGITS = 400
"""How many digits a number may have, exponent included."""

MAX_VALUES = 1_000_000
"""How many values a body may hold: a few bytes each on the wire, fifty and more in memory, decoded in one go."""

_PIECE = 1 << 20
_CHUNKED_PIECE = 1 << 16

_HINT = "This likely means that the request was not sent as JSON, or that it was cut or changed on its way."
_BOM = b"\xef\xbb\xbf"


class Patience(Protocol):
    """How long a body may take; `hangup.Watch` is one."""

    @property
    def late(self) -> bool:
        """True once the time is over."""

    def reading(self, seconds: float) -> AbstractContextManager[None]:
        """Let the time run inside the block."""


Hold = Callable[[int], object]
"""Told of every so many bytes that are kept; may raise when there are too many in all."""


def _freely(size: int) -> None:
    """Let every body be kept."""


def read_json(
    environ: Mapping[str, Any],
    *,
    limit: int,
    seconds: float,
    patience: Patience,
    hold: Hold = _freely,
    short_ways: bool = True,
) -> Any:
    """Return the JSON value in the body of a WSGI request, of at most `limit` bytes, sent within `seconds`.

    `hold` is told of the pieces of a large body as they come. With `short_ways` large images are `VerbatimURL`s.
    Raises BadRequest (400, 415), RequestTimeout, RequestTooLarge, CallerGone when the connection broke, and what
    `hold` raises.
    """
    check_type(environ.get("CONTENT_TYPE", ""), environ.get("HTTP_CONTENT_ENCODING", ""))
    raw = read(environ, limit=limit, seconds=seconds, patience=patience, hold=hold)
    value = parse(raw, short_ways=short_ways)
    if len(raw) > _PIECE:
        time.sleep(0)
    return value


def check_type(content_type: str, content_encoding: str) -> None:
    """Raise BadRequest unless the headers allow the body to be plain JSON; saying nothing is fine."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in {"", "application/json"}:
        shown = clip(content_type.strip())
        raise BadRequest(
            f"Unsupported content type: '{shown}'. This API method only accepts 'application/json' requests, "
            f"but you specified the header 'Content-Type: {shown}'.",
            code="unsupported_content_type",
        )
    if content_encoding.strip().lower() not in {"", "identity"}:
        raise BadRequest(
            f"Unsupported content encoding: '{clip(content_encoding.strip())}'. Send the body uncompressed.",
            code="unsupported_content_encoding",
            status=415,
        )


# --- bytes


def read(
    environ: Mapping[str, Any], *, limit: int, seconds: float, patience: Patience, hold: Hold = _freely
) -> bytes | bytearray:
    """Return the body of a WSGI request; raises as `read_json`."""
    length = _content_length(environ)
    if length is not None and length > limit:
        raise _too_large(limit, length)
    if length is None and not _is_terminated(environ):
        return b""
    try:
        with patience.reading(seconds):
            body = _read(environ["wsgi.input"], length, limit, patience, hold)
    except _broken() as error:
        raise _reading_failed(error, patience) from error
    if patience.late:
        raise RequestTimeout
    if length is not None and len(body) < length:
        raise BadRequest(f"The request body ended after {len(body)} of {length} bytes.")
    return body


def _read(stream: Any, length: int | None, limit: int, patience: Patience, hold: Hold) -> bytes | bytearray:
    body = bytearray()
    while not patience.late:
        wanted = _CHUNKED_PIECE if length is None else min(_PIECE, length - len(body))
        piece: bytes = stream.read(wanted) if wanted else b""
        if len(piece) == length:
            return piece
        if not piece:
            break
        if len(body) + len(piece) > limit:
            raise _too_large(limit, None)
        hold(len(piece))
        body += piece
        time.sleep(0)  # under gevent: a large body must not hold up the streams of others
    return body


def _broken() -> tuple[type[Exception], ...]:
    # An early end is an OSError everywhere; a wrong chunk is one in Werkzeug and a ParseException in gunicorn.
    gunicorns: Any = sys.modules.get("gunicorn.http.errors")
    return (OSError,) if gunicorns is None else (OSError, gunicorns.ParseException)


def _reading_failed(error: Exception, patience: Patience) -> O2OError:
    if patience.late:
        return RequestTimeout()
    if isinstance(error, ConnectionError):
        return CallerGone()
    return BadRequest("The request body could not be read: it is malformed or ended early.")


def _content_length(environ: Mapping[str, Any]) -> int | None:
    given = environ.get("CONTENT_LENGTH") or ""
    if not given:
        return None
    if not (given.isascii() and given.isdigit()) or len(given) > 18:
        raise BadRequest("The header 'Content-Length' must be a whole number.")
    return int(given)


def _is_terminated(environ: Mapping[str, Any]) -> bool:
    # Otherwise the server would let us read on into the next request, or wait for it.
    return bool(environ.get("wsgi.input_terminated"))


def _too_large(limit: int, length: int | None) -> RequestTooLarge:
    read = "" if length is None else f" ({length} bytes announced)"
    return RequestTooLarge(f"Maximum content size limit ({limit}) exceeded{read}.")


# --- values


def parse(raw: bytes | bytearray, *, short_ways: bool = True) -> Any:
    """Return the value of a JSON text, or raise BadRequest.

    UTF-8 without a byte order mark and without surrogates; arrays and objects nest at most MAX_DEPTH deep; a
    number has at most MAX_DIGITS digits, integers are exact and other numbers finite; of a repeated key the
    last value counts; there are at most MAX_VALUES values. With `short_ways` large images are `VerbatimURL`s.
    """
    if short_ways and len(raw) > verbatim.LEAST and (cut := verbatim.cut(raw, breathe=_breathe)) is not None:
        with contextlib.suppress(BadRequest):  # the plain way tells what is wrong, and where
            value = _parse(cut.rest)
            if cut.put(value):
                return value
    return _parse(raw)


def _breathe() -> None:
    time.sleep(0)


def _parse(raw: bytes | bytearray) -> Any:
    if raw.startswith(_BOM):
        raise _not_json("a byte order mark comes before it")
    _check_count(raw)
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _not_json(str(error)) from None
    except RecursionError:
        raise _too_deep() from None
    _check_depth(value)
    _check_digits(raw)
    return value


def _not_json(why: str) -> BadRequest:
    return BadRequest(f"We could not parse the JSON body of your request. (HINT: {_HINT} Details: {why}.)")


def _too_deep() -> BadRequest:
    return _not_json(f"arrays and objects nest deeper than {MAX_DEPTH}")


_FEW = 1000
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def _check_count(raw: bytes | bytearray) -> None:
    # A value takes two bytes at least, and most large bodies are images, which have no commas.
    if len(raw) < 2 * MAX_VALUES or _has_few_commas(raw) or raw.count(b",") < MAX_VALUES:
        return
    if _STRING.sub(b"", raw).count(b",") >= MAX_VALUES:
        raise _not_json(f"it holds more than {MAX_VALUES} values")


def _has_few_commas(raw: bytes | bytearray) -> bool:
    at = -1
    for _ in range(_FEW):  # looking for the next one is many times faster than counting bytes
        at = raw.find(b",", at + 1)
        if at < 0:
            return True
    return False


_CONTAINERS = {dict, list}


def _check_depth(value: Any) -> None:
    # Level by level: no recursion, and leaves are dropped without another look.
    level = [value] if type(value) in _CONTAINERS else []
    for _ in range(MAX_DEPTH):
        children: list[Any] = []
        for parent in level:
            children += parent.values() if type(parent) is dict else parent
        level = [child for child in children if type(child) in _CONTAINERS]
        if not level:
            return
    raise _too_deep()


_STRIDE = 37
_LONG = b"0" * (MAX_DIGITS + 1)
_LONG_SAMPLED = b"0" * (MAX_DIGITS // _STRIDE)
_IN_NUMBERS = bytes(0x30 if chr(byte) in "0123456789+-.eE" else byte for byte in range(256))
_NOT_DIGIT = re.compile(r"[^0-9]")


def _check_digits(raw: bytes | bytearray) -> None:
    # A long run of what numbers are made of shows in every 37th byte already; most bodies have none.
    if _LONG_SAMPLED not in raw[::_STRIDE].translate(_IN_NUMBERS) or _LONG not in raw.translate(_IN_NUMBERS):
        return
    # Only a parser knows whether it is a number or stands in a string.
    json.loads(raw.decode(), parse_int=_check_number, parse_float=_check_number)


def _check_number(literal: str) -> None:
    if len(literal) > MAX_DIGITS and len(_NOT_DIGIT.sub("", literal)) > MAX_DIGITS:
        raise _not_json(f"a number has more than {MAX_DIGITS} digits")
