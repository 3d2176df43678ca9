"""The address to listen on: whether that can work, and what it means to others."""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import NamedTuple

from o2o.config import looks_like_triplet


class Trouble(NamedTuple):
    """Why nothing can listen there, with the remedy; `lasting` when waiting cannot help."""

    text: str
    lasting: bool


def problem(host: str, port: int) -> Trouble | None:
    """Look the name up and bind for a moment; return what is in the way, or None."""
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        return Trouble(_unresolved(host), lasting=True)
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            probe.listen(1)
    except OSError as error:
        return Trouble(refusal(host, port, error), lasting=error.errno != errno.EADDRINUSE)
    return None


def refusal(host: str, port: int, error: OSError) -> str:
    """Return in plain words why the system does not let us listen there."""
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else 8001
        return f"Port {port} on {host} is in use. Take another one: PORT={other} make run."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"HOST={host} is no address of this machine. Try O2O_HOST=0.0.0.0 or O2O_HOST=127.0.0.1."
    if error.errno == errno.EACCES:
        return (
            f"Port {port} may not be used by this user; ports below 1024 often may not. PORT=8001 make run."
        )
    return f"Nothing can listen on {host}, port {port}: {error.strerror}."


def free_port(host: str) -> int:
    """Return a port of `host` that nobody listens on at the moment."""
    family, _, _, _, where = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind(where)
        port: int = probe.getsockname()[1]
    return port


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach `host`."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def url(host: str, port: int) -> str:
    """Return the URL under which this machine reaches a server on `host` and `port`."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _unresolved(host: str) -> str:
    if looks_like_triplet(host):
        return (
            f"HOST={host} is the name of a compiler, not of a machine: conda sets HOST to that. "
            "Set O2O_HOST, which beats HOST: O2O_HOST=0.0.0.0 make run."
        )
    return (
        f"HOST={host} is not a name or address of this machine. Try O2O_HOST=0.0.0.0 or O2O_HOST=127.0.0.1."
    )
