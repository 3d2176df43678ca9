"""Wait until a socket can be read, for a bounded time, in greenlets as in threads."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable

from urllib3.util.wait import wait_for_read

Wait = Callable[[socket.socket, "float | None"], bool]


class _Silence(Exception):
    """Nothing came in time."""


def _wait_in_greenlet(sock: socket.socket, seconds: float | None) -> bool:
    from gevent.socket import wait_read

    try:
        wait_read(sock.fileno(), timeout=seconds, timeout_exc=_Silence)
    except _Silence:
        return False
    return True


def _wait_in_thread(sock: socket.socket, seconds: float | None) -> bool:
    return wait_for_read(sock, timeout=seconds)


def choose() -> Wait:
    """Return the way to wait that fits how this process was started."""
    if "gevent.monkey" in sys.modules:
        from gevent import monkey

        if monkey.is_module_patched("socket"):
            return _wait_in_greenlet
    return _wait_in_thread
