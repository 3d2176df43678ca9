"""How the text of a setting becomes a value, and how a value is shown again.

A kind knows its name (as the documentation says it), how to read a text, and how to write a default.
Pure: no environment, no network, no files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_WHOLE = re.compile(r"[0-9]{1,15}", re.ASCII)
_DECIMAL = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{0,6})?|\.[0-9]{1,6})", re.ASCII)
_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^\s/,]*", re.ASCII | re.IGNORECASE)
_HOST_NAME = re.compile(r"[A-Za-z0-9_.*:\[\]-]+", re.ASCII)
_PRINTABLE = re.compile(r"[\x21-\x7e]+", re.ASCII)
_FLAGS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
MOST_SECONDS = 10_000_000
"""About 115 days; timers of operating systems cannot count for ever."""
OLLAMA_PORT = 11434


@dataclass(frozen=True)
class Kind:
    """A sort of setting: `read` turns text into a value or raises ValueError with half a sentence."""

    name: str
    read: Callable[[str], Any]
    show: Callable[[Any], str] = str
    secret: bool = False


def text() -> Kind:
    """Return the kind of free text without control characters."""
    return Kind("text", _read_text)


def secret() -> Kind:
    """Return the kind of one secret that travels in a header."""
    return Kind("secret", _read_secret, secret=True)


def secrets_list() -> Kind:
    """Return the kind of comma-separated secrets."""
    return Kind(
        "secrets, comma separated", lambda raw: _read_list(raw, _read_secret), _show_list, secret=True
    )


def origins() -> Kind:
    """Return the kind of comma-separated web origins, such as https://chat.example.com."""
    return Kind("origins, comma separated", lambda raw: _read_list(raw, _read_origin), _show_list)


def host_names() -> Kind:
    """Return the kind of comma-separated host names."""
    return Kind("host names, comma separated", lambda raw: _read_list(raw, _read_host_name), _show_list)


def flag() -> Kind:
    """Return the kind of yes or no."""
    return Kind("true or false", _read_flag, lambda value: "true" if value else "false")


def whole(least: int = 1, most: int = 10**15, unit: str = "") -> Kind:
    """Return the kind of whole numbers between `least` and `most`, both included."""

    def read(raw: str) -> int:
        if not _WHOLE.fullmatch(raw):
            raise ValueError("is not a whole number")
        number = int(raw)
        if not least <= number <= most:
            raise ValueError(f"must be between {least} and {most}")
        return number

    return Kind(unit or "whole number", read)


def seconds() -> Kind:
    """Return the kind of seconds above zero, whole or decimal."""

    def read(raw: str) -> float:
        if not _DECIMAL.fullmatch(raw):
            raise ValueError("is not a number of seconds, such as 30 or 0.5")
        number = float(raw)
        if not 0 < number <= MOST_SECONDS:
            raise ValueError(f"must be above 0 and at most {MOST_SECONDS} seconds")
        return number

    return Kind("seconds", read, lambda value: f"{value:g}")


def choice(*words: str) -> Kind:
    """Return the kind that takes one of `words`, in any case."""

    def read(raw: str) -> str:
        if raw.lower() not in words:
            raise ValueError(f"is none of {', '.join(words)}")
        return raw.lower()

    return Kind(" or ".join(words), read)


def address() -> Kind:
    """Return the kind of an address to listen on: a host name or an IP literal, without a port."""
    return Kind("host name or IP address", _read_address)


def base_url() -> Kind:
    """Return the kind of the URL of an Ollama server."""
    return Kind("URL", _read_base_url)


def ollama_host() -> Kind:
    """Return the kind of OLLAMA_HOST in Ollama's own notation; the value is a URL to call."""
    return Kind("Ollama's notation", read_ollama_host)


def read_ollama_host(raw: str) -> str:
    """Return the URL that Ollama's notation means to a client.

    `0.0.0.0`, `host`, `host:port`, `:port`, `[::1]:port` and URLs. Without a scheme the port is 11434, with
    one it is the scheme's. An address to listen on everywhere is called on loopback.
    """
    raw = raw.strip().strip("\"'")
    scheme, separator, rest = raw.partition("://")
    if not separator:
        scheme, rest = "http", raw
    authority, slash, path = rest.partition("/")
    if authority.count(":") > 1 and not authority.startswith("["):
        authority = f"[{authority}]"
    host, port = _split_port(authority)
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
    if port is None and not separator:
        port = OLLAMA_PORT
    return _read_base_url(f"{scheme}://{host}{'' if port is None else f':{port}'}{slash}{path}")


def _split_port(authority: str) -> tuple[str, int | None]:
    bare, colon, port = authority.rpartition(":")
    if not colon or "]" in port:
        return authority, None
    # Ollama takes its default for a port that is none; a typing error should not go unnoticed here.
    if not _WHOLE.fullmatch(port) or not 0 < int(port) <= 65535:
        raise ValueError("has no usable port")
    return bare, int(port)


def _read_base_url(raw: str) -> str:
    if "://" not in raw:
        return read_ollama_host(raw)
    _read_text(raw)
    try:
        parts = urlsplit(raw)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or " " in raw:
        raise ValueError("is not a URL such as http://localhost:11434")
    if "@" in parts.netloc:
        raise ValueError("must not carry a password; O2O_UPSTREAM_API_KEY is for that")
    if parts.query or parts.fragment:
        raise ValueError("must not carry a query or a fragment")
    path = parts.path.rstrip("/")
    if path.endswith(("/v1", "/api")):
        raise ValueError(
            f"must not end with {path[path.rindex('/') :]}: o2o adds the paths of Ollama's API itself"
        )
    return f"{parts.scheme}://{parts.netloc}{path}"


def _read_text(raw: str) -> str:
    if not raw.isprintable():
        raise ValueError("contains characters that cannot be printed")
    return raw


def _read_secret(raw: str) -> str:
    if not _PRINTABLE.fullmatch(raw):
        raise ValueError("contains a blank or a character that is not ASCII, which no header can carry")
    return raw


def _read_origin(raw: str) -> str:
    if not _ORIGIN.fullmatch(raw.rstrip("/")):
        raise ValueError(f"contains {raw!r}, which is no origin such as https://chat.example.com")
    return raw.rstrip("/").lower()


def _read_host_name(raw: str) -> str:
    if not _HOST_NAME.fullmatch(raw):
        raise ValueError(f"contains {raw!r}, which is no host name (leave out http:// and paths)")
    return raw.lower()


def _read_flag(raw: str) -> bool:
    if raw.lower() not in _FLAGS:
        raise ValueError("is neither true nor false")
    return _FLAGS[raw.lower()]


def _read_address(raw: str) -> str:
    bare = raw[1:-1] if raw.startswith("[") and raw.endswith("]") else raw
    if "://" in raw or "/" in raw or not _HOST_NAME.fullmatch(bare):
        raise ValueError("is not a host name or an IP address")
    if bare.count(":") == 1:
        raise ValueError("must not carry a port; PORT is for that")
    return bare


def _read_list(raw: str, read: Callable[[str], str]) -> tuple[str, ...]:
    entries = [entry.strip() for entry in raw.split(",")]
    return tuple(dict.fromkeys(read(entry) for entry in entries if entry))


def _show_list(value: tuple[str, ...]) -> str:
    return ",".join(value)
