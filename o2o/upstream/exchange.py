"""One request to Ollama and its answer, on one connection, in two steps.

Theory of operation: `requests` sends and waits in one call, and Ollama sends not even a header before the first
token, so all the waiting would happen inside that call, where no heartbeat could be sent. `OllamaAdapter` is a
`requests` adapter whose pools lend out connections, so that an `Exchange` can send first and wait afterwards:
`read(until)` gives body bytes, or None when the time has passed in silence. Connections, TLS, pooling and
connect time-outs stay those of `requests` and urllib3.

A connection that was kept alive may have been closed by Ollama in the meantime. When such a one ends before a
single byte of the answer, the request is sent once more on a fresh connection; nothing else is ever repeated.
"""

from __future__ import annotations

import _socket
import socket
import ssl
import struct
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from requests.exceptions import ReadTimeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from o2o.errors import O2OError, UpstreamBroken, UpstreamTimeout, UpstreamTruncated, UpstreamUnavailable
from o2o.upstream.http1 import ResponseReader
from o2o.upstream.line import Line
from o2o.upstream.waiting import Waiting, wait_for

READ_SIZE = 16 * 1024
"""Bytes at a time: as many as there are tokens for in a processor's nearest cache, since all of a read are translated
at once; four times as much costs half as much again for each token."""
WHOLE_READ_SIZE = 256 * 1024
"""Bytes at a time where they are only collected."""
_JOINED = 64 * 1024
"""A request of up to so many bytes leaves in one send, whatever pieces it is given in."""
_DRAIN = 0.1
"""Seconds that the end of a finished answer is waited for, so that its connection can be kept."""
_FRESH = 0.1
"""Seconds for which an idle connection is taken to be open without a look. It may have been closed all the same, as it
may be right after a look; such a request is sent once more."""


class _Waited:
    """A connection that keeps how its socket is waited for; mixed into urllib3's own classes."""

    sock: Any
    _waiting: Waiting | None = None

    def waiting(self) -> Waiting:
        """Return the way to wait for this connection's socket, which is open."""
        if self._waiting is None:
            self._waiting = wait_for(self.sock)
        return self._waiting

    def close(self) -> None:
        """Close the connection, and what waits for it before that."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.close()
        super().close()  # type: ignore[misc]  # a connection's


class _Connection(_Waited, HTTPConnection):
    """A plain connection."""


class _TLSConnection(_Waited, HTTPSConnection):
    """A TLS connection."""


class _Lending:
    """What a pool needs so that an exchange can borrow a connection; mixed into urllib3's own classes.

    Idle connections are kept here, the latest on top, and not in urllib3's queue: its look whether one was
    closed meanwhile costs more than all of the rest.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._idle: list[tuple[_Waited, float]] = []
        weakref.finalize(self, _close_all, self._idle)

    def lend(self: Any) -> _Waited:
        """Return an idle connection that is still open, or a new one that is not connected yet."""
        idle: list[tuple[_Waited, float]] = self._idle
        while idle:
            connection, since = idle.pop()
            if time.monotonic() - since < _FRESH or _is_quiet(connection.sock):
                return connection
            connection.close()
        made: _Waited = self._new_conn()
        return made

    def take_back(self: Any, connection: _Waited) -> None:
        """Keep a connection whose answer was read to the end."""
        self._idle.append((connection, time.monotonic()))

    def close(self) -> None:
        """Close all idle connections."""
        _close_all(self._idle)
        super().close()  # type: ignore[misc]  # a pool's


def _close_all(idle: list[tuple[_Waited, float]]) -> None:
    while idle:
        idle.pop()[0].close()


def _is_quiet(sock: Any) -> bool:
    """Tell whether an idle connection is open and has nothing to say, as it should."""
    if sock is None:
        return False
    plain = getattr(sock, "_sock", sock)  # gevent's own recv would wait
    try:
        _socket.socket.recv(plain, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except (BlockingIOError, InterruptedError):
        return True
    except OSError:
        pass
    return False


def _be_rude(sock: Any) -> None:
    """Let closing reset the connection: who is blocked in writing to it does not notice a polite end for long."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class _Pool(_Lending, HTTPConnectionPool):
    """Plain connections that can be borrowed."""

    ConnectionCls = _Connection


class _TLSPool(_Lending, HTTPSConnectionPool):
    """TLS connections that can be borrowed."""

    ConnectionCls = _TLSConnection


class OllamaAdapter(HTTPAdapter):
    """A `requests` adapter that can also lend a connection for an exchange."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)  # type: ignore[no-untyped-call, unused-ignore]  # requests has no types
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def pool_for(self, request: PreparedRequest, verify: bool | str) -> _Pool | _TLSPool:
        """Return the pool that holds connections for this request."""
        pool = self.get_connection_with_tls_context(request, verify)
        if not isinstance(pool, _Lending):
            raise TypeError("the pool manager made a pool that cannot lend")
        return pool  # type: ignore[return-value]  # both classes above, and only they, mix _Lending in


_NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError)
"""A socket was readable, but what came is not yet something to read: half a TLS record, for one."""
_FAILURES = (HTTPError, OSError, ValueError)
"""What sockets and urllib3 raise; ValueError where a file descriptor is gone."""


@contextmanager
def map_exceptions() -> Iterator[None]:
    """Turn what `requests` raises in a short look-up into our errors."""
    try:
        yield
    except ReadTimeout as error:
        raise UpstreamTimeout from error
    except _FAILURES as error:
        raise UpstreamUnavailable from error


class Exchange:
    """Send one request, given in pieces, then read its answer bit by bit; close it, whatever happens."""

    __slots__ = (
        "_answered",
        "_connect_timeout",
        "_connection",
        "_line",
        "_pending",
        "_pool",
        "_recv",
        "_request",
        "_reused",
        "_send_timeout",
        "_sock",
        "_waiting",
        "reader",
    )

    def __init__(
        self,
        pool: _Pool | _TLSPool,
        request: Sequence[bytes | memoryview],
        line: Line,
        *,
        connect_timeout: float,
        send_timeout: float,
        short_ways: bool = True,
    ) -> None:
        self.reader = ResponseReader(short_way=short_ways)
        self._pool = pool
        self._request = request
        self._line = line
        self._connect_timeout = connect_timeout
        self._send_timeout = send_timeout
        self._connection: Any = None
        self._sock: Any = None
        self._recv: Any = None
        self._waiting: Any = None  # a Waiting once something was sent
        self._pending: Callable[[], int] | None = None
        self._reused = False
        self._answered = False

    def open(self) -> None:
        """Connect and send; raises UpstreamUnavailable, or what cut the line."""
        try:
            self._connection = self._pool.lend()
            self._reused = self._connection.sock is not None
            try:
                self._send()
            except OSError:
                if not self._reused:
                    raise
                self._send_again()
        except _FAILURES as error:
            self._line.check()
            raise UpstreamUnavailable from error

    def read(self, until: float, size: int = READ_SIZE) -> bytes | None:
        """Return body bytes (b"" when there are none in what came), or None at `until` on the monotonic clock.

        At most `size` bytes are taken from the socket.

        Raises UpstreamTruncated when the answer ends too early, UpstreamBroken on a reset, UpstreamInvalid for
        what is no HTTP.
        """
        reader, line, pending, waiting = self.reader, self._line, self._pending, self._waiting
        if reader.error is not None:
            raise reader.error
        while True:
            try:
                if (pending is None or not pending()) and not waiting.readable(until):
                    line.check()
                    return None
                data: bytes = self._recv(size)
            except _NOTHING_YET:
                continue
            except _FAILURES as error:
                if not self._may_repeat():
                    line.check()
                    raise UpstreamBroken from error
                data = b""
            if line.reason is not None:
                line.check()
            if data:
                self._answered = True
                return reader.feed(data)
            if not self._may_repeat():
                break
            try:
                self._send_again()
            except _FAILURES as error:
                line.check()
                raise UpstreamUnavailable from error
            pending, waiting = self._pending, self._waiting
        if not reader.eof():
            raise UpstreamTruncated
        return b""

    def close(self) -> None:
        """Give the connection back if its answer was read to the end; otherwise end it, which stops Ollama."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._line.detach(self._sock)
        if self.reader.complete and self.reader.keep_alive and self._line.reason is None:
            self._pool.take_back(connection)
            return
        if not self.reader.complete and self._sock is not None:
            _be_rude(self._sock)
        connection.close()

    def drain(self) -> None:
        """Read the end of an answer that is complete in itself, so that the connection can be kept."""
        try:
            if not self.reader.complete and self._connection is not None:
                if self._readable(time.monotonic() + _DRAIN):
                    self.reader.feed(self._sock.recv(READ_SIZE))
        except (O2OError, *_FAILURES):  # also when there is nothing to read yet
            self.reader.keep_alive = False

    def _may_repeat(self) -> bool:
        return self._reused and not self._answered and self._line.reason is None

    def _readable(self, until: float) -> bool:
        if self._pending is not None and self._pending():
            return True
        return bool(self._waiting.readable(until))

    def _send(self) -> None:
        connection = self._connection
        new = connection.sock is None
        if new:
            connection.timeout = self._connect_timeout
            connection.connect()
        self._sock = sock = connection.sock
        self._pending = getattr(sock, "pending", None)  # TLS: bytes that were decrypted already
        # gevent's own recv does no more than this one on a socket that does not block.
        self._recv = (sock if self._pending is not None else getattr(sock, "_sock", sock)).recv
        self._line.attach(sock)
        if new:
            sock.settimeout(0.0)  # the waiting is done by `_readable`
        self._waiting = connection.waiting()
        if sum(map(len, self._request)) <= _JOINED:
            self._send_all(b"".join(self._request))
        else:
            for piece in self._request:
                self._send_all(piece)

    def _send_all(self, data: bytes | memoryview) -> None:
        sock = self._sock
        if self._pending is None:
            try:
                sent = sock.send(data)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return
        else:
            sent = 0
        sock.settimeout(self._send_timeout)
        sock.sendall(memoryview(data)[sent:])
        sock.settimeout(0.0)

    def _send_again(self) -> None:
        self._line.detach(self._sock)
        self._connection.close()
        self._reused = False
        self._send()
