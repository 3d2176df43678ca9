"""Who is calling: keys, known by their digests only.

A key travels in `Authorization: Bearer`, as OpenAI's clients send it, in `api-key` (Azure's) or in `x-api-key`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from typing import Protocol

from o2o.errors import Unauthorized

OPEN_PATHS = frozenset({"/", "/health", "/healthz", "/readyz"})
"""Paths that need no key: whoever watches over the process has none."""

_LONG_ENOUGH_TO_SHOW = 20
_BEARER = re.compile(r"\s*bearer\s+(.*)", re.IGNORECASE | re.DOTALL)

_NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
    "auth (i.e. Authorization: Bearer YOUR_KEY)."
)
_WRONG_KEY = "Incorrect API key provided: {}. Whoever runs this server can give you one."


class Headers(Protocol):
    """The headers of a request, by name in any case; values are bytes as latin-1, as WSGI has them."""

    def get(self, key: str, default: str, /) -> str: ...


def is_open(path: str) -> bool:
    """Tell whether a path may be asked without a key."""
    return path in OPEN_PATHS


class Keys:
    """The keys that open this server; what a log may show of one is its id, 8 hexadecimal digits."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._known = [(_digest(raw), _key_id(key)) for key in keys for raw in _spellings(key)]

    def __repr__(self) -> str:
        return f"<Keys {sorted({key_id for _, key_id in self._known})}>"

    def check(self, headers: Headers) -> str:
        """Return the id of the key that a request shows, or raise Unauthorized."""
        shown = list(_shown(headers))
        if not shown:
            raise Unauthorized(_NO_KEY, headers={"WWW-Authenticate": "Bearer"})
        found = ""
        for key in shown:
            digest = _digest(_bytes(key))
            for known, key_id in self._known:
                # All of them, so that the time tells nothing.
                if hmac.compare_digest(digest, known):
                    found = found or key_id
        if not found:
            message = _WRONG_KEY.format(_masked(shown[0]))
            raise Unauthorized(message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
        return found


def _shown(headers: Headers) -> Iterator[str]:
    bearer = _BEARER.fullmatch(headers.get("Authorization", ""))
    for key in (bearer[1] if bearer else "", headers.get("api-key", ""), headers.get("x-api-key", "")):
        if key.strip():
            yield key.strip()


def _bytes(key: str) -> bytes:
    try:
        return key.encode("latin-1")
    except UnicodeEncodeError:  # not from a WSGI server
        return key.encode("utf-8", "surrogateescape")


def _spellings(key: str) -> set[bytes]:
    # Clients put what is not ASCII into a header in either way.
    return {_bytes(key), key.encode("utf-8", "surrogateescape")}


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _key_id(key: str) -> str:
    # Of its own, so that the log holds no part of what keys are compared by.
    return hashlib.sha256(b"o2o key id " + key.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _masked(key: str) -> str:
    if len(key) < _LONG_ENOUGH_TO_SHOW or not (key.isascii() and key.isprintable()):
        return "***"
    return f"{key[:3]}***{key[-4:]}"
