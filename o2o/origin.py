"""Which web pages may call: CORS, and the guard that a server without keys needs.

A browser sends requests from any page to any address it can reach, this one included. It tells the page's
origin; and when a page's own name is made to point here (DNS rebinding), the name gives it away. With keys
none of this matters: a page that has no key gets nothing.

Pure: strings in, headers or an error out.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Protocol

from o2o.errors import Forbidden, clip

# Those of Ollama's list: pages of this machine and of desktop apps.
_LOCAL_ORIGIN = re.compile(
    r"https?://(localhost|[a-z0-9.-]+\.localhost|127(\.[0-9]{1,3}){3}|0\.0\.0\.0|\[::1\])(:[0-9]{1,5})?"
    r"|(app|file|tauri|vscode-webview|vscode-file)://[^\s/]*"
)

_LOCAL_SUFFIXES = (".localhost", ".local", ".lan", ".home.arpa", ".internal")

_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,2000}")

# What a page may read beside what browsers always show.
_EXPOSED = "X-Request-ID, x-o2o-ignored, x-o2o-warning, x-o2o-num-ctx"

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class Headers(Protocol):
    """The headers of a request, by name in any case."""

    def get(self, key: str, default: str, /) -> str: ...


class Origins:
    """Which origins and host names are welcome; `keyed` tells that callers need a key."""

    def __init__(
        self, *, cors_origins: Iterable[str], allowed_hosts: Iterable[str], keyed: bool, machine_name: str
    ) -> None:
        self._origins = _any_of(cors_origins)
        self._hosts = _any_of([machine_name, *allowed_hosts])
        self._keyed = keyed

    def judge(self, origin: str | None, host: str | None) -> Forbidden | None:
        """Return what to answer a request with this Origin and this Host, or None when it may pass."""
        if self._keyed:
            return None
        if host and not self._is_our_name(host):
            return Forbidden(
                f"This server does not answer to the name '{clip(_name(host))}'. To allow it, put it into "
                "O2O_ALLOWED_HOSTS, or protect the server with O2O_API_KEYS.",
                code="host_not_allowed",
            )
        if origin and not self._may_call(origin) and not _is_same(origin, host or ""):
            return Forbidden(
                f"Web pages from '{clip(origin)}' may not call this server. To allow them, put that origin into "
                "O2O_CORS_ORIGINS, or protect the server with O2O_API_KEYS.",
                code="origin_not_allowed",
            )
        return None

    def cors(self, origin: str | None, headers: Headers) -> dict[str, str]:
        """Return the headers that let a page of this origin read the answer; `headers` are the request's.

        Never for credentials: a key is a header, not a cookie.
        """
        if not origin or not self._may_call(origin):
            return {"Vary": "Origin"}
        allowed = {
            "Vary": "Origin",
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": _EXPOSED,
        }
        if headers.get("Access-Control-Request-Method", ""):
            allowed |= _preflight(headers)
        return allowed

    def _may_call(self, origin: str) -> bool:
        origin = origin.lower()
        return bool(_LOCAL_ORIGIN.fullmatch(origin) or self._origins.fullmatch(origin))

    def _is_our_name(self, host: str) -> bool:
        name = _name(host)
        if "." not in name or name.endswith(_LOCAL_SUFFIXES) or _is_address(name):
            return True
        return bool(self._hosts.fullmatch(name) or self._hosts.fullmatch(host.lower()))


def _preflight(headers: Headers) -> dict[str, str]:
    wanted = headers.get("Access-Control-Request-Headers", "")
    allowed = {
        "Vary": "Origin, Access-Control-Request-Headers",
        "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
        "Access-Control-Max-Age": "86400",
    }
    if _HEADER_NAMES.fullmatch(wanted):
        allowed["Access-Control-Allow-Headers"] = wanted
    if headers.get("Access-Control-Request-Private-Network", "") == "true":
        # Chromium asks when a public page calls a private address.
        allowed["Access-Control-Allow-Private-Network"] = "true"
    return allowed


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    # A star stands for any part of a name, as in Ollama's own lists; alone it stands for everything.
    wild = (
        "[!-~]*" if pattern == "*" else re.escape(pattern.lower()).replace(r"\*", r"[^/\s]*")
        for pattern in patterns
        if pattern
    )
    return re.compile("|".join(wild))


def _name(host: str) -> str:
    """Return the name in a Host header: without port, brackets and the dot of the root."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_same(origin: str, host: str) -> bool:
    scheme, _, authority = origin.lower().partition("://")
    port = _DEFAULT_PORTS.get(scheme)
    return port is not None and authority.removesuffix(port) == host.strip().lower().removesuffix(port)
