"""A line: what ties one caller's request to the upstream connections made for it.

Whoever waits for Ollama sits in a blocking read. A line lets somebody else end that read from outside: the
watcher when the caller hangs up, a timer when the deadline passes, the drain when the server stops.
Nothing here looks at the caller's own socket and nothing here waits.
"""

from __future__ import annotations

import _socket
import socket
import threading
from collections.abc import Callable
from typing import Any

from o2o.errors import CallerGone, O2OError

_lock = threading.Lock()
"""Of all lines: nobody holds it for longer than a few system calls, and making one for each costs more."""


class Line:
    """One caller's request, as far as it can be cut from outside; safe from any thread or greenlet."""

    __slots__ = ("_callbacks", "_closed", "_lock", "_sockets", "deadline", "reason")

    def __init__(self, deadline: float | None = None) -> None:
        self.deadline = deadline
        """When the request must be over, on the monotonic clock; None: never."""
        self.reason: O2OError | None = None
        """Why the line was cut; None while it is whole."""
        self._lock = _lock
        self._sockets: list[Any] = []
        self._callbacks: list[Callable[[], object]] = []
        self._closed = False

    def __repr__(self) -> str:
        state = "closed" if self._closed else "whole" if self.reason is None else repr(self.reason)
        return f"<Line {state}, {len(self._sockets)} sockets>"

    def attach(self, sock: Any) -> None:
        """Remember an upstream socket, plain or TLS, so that `cut` can end it.

        Attaching again does nothing. Raises the reason if the line was cut, CallerGone if it was closed.
        """
        with self._lock:
            self._check()
            if not any(known is sock for known in self._sockets):
                self._sockets.append(sock)

    def detach(self, sock: Any) -> None:
        """Forget a socket; call it before the connection goes back to a pool, where others may get it."""
        with self._lock:
            self._sockets = [known for known in self._sockets if known is not sock]

    def on_cut(self, wake: Callable[[], object]) -> None:
        """Call `wake` once when the line is cut, in the thread that cuts; at once if it already is.

        `wake` must neither wait nor raise.
        """
        with self._lock:
            if self.reason is None:
                if not self._closed:
                    self._callbacks.append(wake)
                return
        wake()

    def cut(self, error: O2OError) -> None:
        """End every attached socket and make `check` and `attach` raise `error`; the first reason wins."""
        with self._lock:
            if self.reason is not None or self._closed:
                return
            self.reason = error
            # Under the lock: `detach` waits, so no connection is ended after it went back to its pool.
            for sock in self._sockets:
                _shut_down(sock)
            self._sockets = []
            callbacks, self._callbacks = self._callbacks, []
        for wake in callbacks:
            wake()

    def check(self) -> None:
        """Raise the reason if the line was cut."""
        if self.reason is not None:
            raise self.reason.with_traceback(None)

    def close(self) -> None:
        """Forget everything: the request is over. A later `cut` does nothing, a later `attach` raises."""
        with self._lock:
            self._closed = True
            self._sockets = []
            self._callbacks = []

    def _check(self) -> None:
        self.check()
        if self._closed:
            raise CallerGone


def _shut_down(sock: Any) -> None:
    # The kernel's own shutdown, past the wrappers: it wakes a blocked reader in any thread or greenlet.
    # gevent's method may only be called in the thread of its hub, and `SSLSocket.shutdown` first drops its
    # TLS object, so that the owner's next write would be one in the clear.
    plain = getattr(sock, "_sock", sock)  # gevent
    try:
        if isinstance(plain, _socket.socket):
            _socket.socket.shutdown(plain, socket.SHUT_RDWR)
        elif hasattr(plain, "socket"):  # urllib3's TLS inside TLS
            _shut_down(plain.socket)
        else:
            plain.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # closed or never connected: there is nothing to end
