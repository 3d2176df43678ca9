"""The caller's socket as gunicorn's response writes to it: patient with the slow, not with the dead.

gevent's own `sendall` counts a time-out over the whole call and by the wall clock; here it counts from the last
byte that the caller took, on the monotonic clock.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import gevent.socket
import gevent.ssl

_SMALL = 1 << 16
"""A body up to this many bytes is copied behind its headers, to leave in one send."""


class CallerSocket:
    """Wraps the gevent socket of a caller for one response; `flush` it at the end. All else is the socket's.

    The first piece is the head of the response: it waits for the second, since the two come right after each
    other and one packet is better than two. A failed write, or one of which the caller took no byte for
    `seconds`, calls `gone` and raises BrokenPipeError, which gunicorn takes for a departure.
    """

    def __init__(self, sock: Any, seconds: float, gone: Callable[[], object]) -> None:
        self._sock = sock
        self._seconds = seconds
        self._gone = gone
        self._tls = isinstance(sock, gevent.ssl.SSLSocket)
        # gevent's own send does no more than this one on a socket that does not block, as its sockets never do.
        self._send_now = None if self._tls else sock._sock.send
        self._head: bytes | None = None
        self._headless = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def sendall(self, data: bytes) -> None:
        """Send all of `data`, however slowly the caller takes it."""
        if self._headless:
            self._headless, self._head = False, data
            return
        if self._head is not None:
            head, self._head = self._head, None
            if len(data) <= _SMALL:
                data = head + data
            else:
                self._send(head)
        if self._send_now is not None:
            try:
                sent = self._send_now(data)
            except OSError:  # no room, or no caller: both are the business of `_send`
                sent = 0
            if sent == len(data):
                return
            self._send(memoryview(data)[sent:])
        else:
            self._send(data)

    def flush(self) -> None:
        """Send what waits for company."""
        if self._head is not None:
            head, self._head = self._head, None
            self._send(head)

    def sendfile(self, *args: Any, **options: Any) -> Any:
        """Send a file, after what waits."""
        self.flush()
        return self._sock.sendfile(*args, **options)

    def _send(self, data: bytes | memoryview) -> None:
        try:
            sent = self._try(data)
            if sent < len(data):
                self._send_patiently(memoryview(data)[sent:])
        except OSError as error:
            self._gone()
            raise BrokenPipeError(errno.EPIPE, "The caller takes no more bytes") from error

    def _send_patiently(self, left: memoryview) -> None:
        until = time.monotonic() + self._seconds
        while left:
            with contextlib.suppress(TimeoutError):
                gevent.socket.wait_write(self._sock.fileno(), timeout=max(0.0, until - time.monotonic()))
            # After a time-out too: Linux calls a socket writable only when a third of its buffer is free, and
            # a slow caller may need minutes for those megabytes while it takes single bytes all the time.
            sent = self._try(left)
            if sent:
                left = left[sent:]
                until = time.monotonic() + self._seconds
            elif time.monotonic() >= until:
                # Closing has to throw away what nobody will fetch; otherwise the kernel keeps it for minutes.
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raise TimeoutError

    def _try(self, data: bytes | memoryview) -> int:
        """Send what the kernel takes at once; return how much that was."""
        if self._tls:
            # gevent's TLS socket does not look at the time-out of a call.
            self._sock.settimeout(0.0)
            try:
                return int(self._sock.send(data))
            finally:
                self._sock.settimeout(None)
        try:
            return int(self._sock.send(data, 0, 0.0))
        except BlockingIOError:
            return 0
