"""Whom Ollama lets in while it listens on a loopback address: by `Host` and by `Origin`."""

from __future__ import annotations

import ipaddress
import re
import socket

_LOCAL_ORIGIN = re.compile(
    r"https?://(localhost|127\.0\.0\.1|0\.0\.0\.0)(:\d+)?|(app|file|tauri|vscode-webview|vscode-file)://.*"
)


def allowed(host: str, origin: str) -> bool:
    """Return whether a request with these two headers, empty where absent, is answered at all."""
    return _host_allowed(host) and (not origin or bool(_LOCAL_ORIGIN.fullmatch(origin)))


def _host_allowed(header: str) -> bool:
    name = re.sub(r":\d+$", "", header).strip("[]").lower()
    if name in ("", "localhost", socket.gethostname().lower()):
        return True
    if name.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_private or address.is_unspecified
