"""One request to Ollama and its answer, on one connection, in two steps.

Theory of operation: `requests` sends and waits in one call, and Ollama sends not even a header before the first
token, so all the waiting would happen inside that call, where no heartbeat could be sent. `OllamaAdapter` is a
`requests` adapter whose pools lend out connections, so that an `Exchange` can send first and wait afterwards:
`read(seconds)` gives body bytes, or None when the time has passed in silence. Connections, TLS, pooling and
connect time-outs stay those of `requests` and urllib3.

A connection that was kept alive may have been closed by Ollama in the meantime. When such a one ends before a
single byte of the answer, the request is sent once more on a fresh connection; nothing else is ever repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from o2o.errors import UpstreamBroken, UpstreamTruncated, UpstreamUnavailable
from o2o.upstream.http1 import ResponseReader
from o2o.upstream.line import Line
from o2o.upstream.waiting import Wait

READ_SIZE = 64 * 1024
_DRAIN = 0.1
"""Seconds that the end of a finished answer is waited for, so that its connection can be kept."""


class _Lending:
    """What a pool needs so that an exchange can borrow a connection; mixed into urllib3's own classes."""

    def lend(self: Any) -> HTTPConnection:
        connection: HTTPConnection = self._get_conn()
        return connection

    def fresh(self: Any) -> HTTPConnection:
        connection: HTTPConnection = self._new_conn()
        return connection

    def take_back(self: Any, connection: HTTPConnection) -> None:
        self._put_conn(connection)


class _Pool(_Lending, HTTPConnectionPool):
    """Plain connections that can be borrowed."""


class _TLSPool(_Lending, HTTPSConnectionPool):
    """TLS connections that can be borrowed."""


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


@contextmanager
def map_exceptions(line: Line, *, connecting: bool) -> Iterator[None]:
    """Turn what sockets and urllib3 raise into our errors; a cut line wins over its consequences."""
    try:
        yield
    except (HTTPError, OSError, ValueError) as error:  # ValueError: the file descriptor is gone
        line.check()
        if connecting:
            raise UpstreamUnavailable from error
        raise UpstreamBroken from error


class Exchange:
    """Send one request, then read its answer bit by bit; close it, whatever happens."""

    def __init__(
        self,
        pool: _Pool | _TLSPool,
        request: bytes,
        line: Line,
        *,
        wait: Wait,
        connect_timeout: float,
        send_timeout: float,
    ) -> None:
        self.reader = ResponseReader()
        self._pool = pool
        self._request = request
        self._line = line
        self._wait = wait
        self._connect_timeout = connect_timeout
        self._send_timeout = send_timeout
        self._connection: HTTPConnection | None = None
        self._sock: Any = None
        self._reused = False
        self._answered = False

    def open(self) -> None:
        """Connect and send; raises UpstreamUnavailable, or what cut the line."""
        with map_exceptions(self._line, connecting=True):
            self._connection = self._pool.lend()
            self._reused = self._connection.sock is not None
            try:
                self._send()
            except OSError:
                if not self._reused:
                    raise
                self._send_again()

    def read(self, seconds: float | None) -> bytes | None:
        """Return body bytes (b"" when there are none in what came), or None after `seconds` of silence.

        Raises UpstreamTruncated when the answer ends too early, UpstreamBroken on a reset.
        """
        if self.reader.error is not None:
            raise self.reader.error
        with map_exceptions(self._line, connecting=False):
            while True:
                if not self._readable(seconds):
                    self._line.check()
                    return None
                try:
                    data: bytes = self._sock.recv(READ_SIZE)
                except ConnectionError:
                    if not self._may_repeat():
                        raise
                    data = b""
                self._line.check()
                if data:
                    self._answered = True
                    return self.reader.feed(data)
                if not self._may_repeat():
                    break
                with map_exceptions(self._line, connecting=True):
                    self._send_again()
        if not self.reader.eof():
            raise UpstreamTruncated
        return b""

    def close(self) -> None:
        """Give the connection back if its answer was read to the end; otherwise end it, which stops Ollama."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._line.detach(self._sock)
        keep = self.reader.complete and self.reader.keep_alive and self._line.reason is None
        if not keep:
            connection.close()
        self._pool.take_back(connection)

    def drain(self) -> None:
        """Read the end of an answer that is complete in itself, so that the connection can be kept."""
        try:
            if not self.reader.complete and self._connection is not None and self._readable(_DRAIN):
                self.reader.feed(self._sock.recv(READ_SIZE))
        except Exception:  # noqa: BLE001  # whatever it is, the connection is closed instead of kept
            self.reader.keep_alive = False

    def _may_repeat(self) -> bool:
        return self._reused and not self._answered and self._line.reason is None

    def _readable(self, seconds: float | None) -> bool:
        pending = getattr(self._sock, "pending", None)  # TLS: bytes that were decrypted already
        if pending is not None and pending():
            return True
        return self._wait(self._sock, seconds)

    def _send(self) -> None:
        connection = self._connection
        assert connection is not None
        if connection.sock is None:
            connection.timeout = self._connect_timeout
            connection.connect()
        self._sock = connection.sock
        assert self._sock is not None
        self._line.attach(self._sock)
        self._sock.settimeout(self._send_timeout)
        self._sock.sendall(self._request)

    def _send_again(self) -> None:
        assert self._connection is not None
        self._line.detach(self._sock)
        self._connection.close()
        self._reused = False
        self._send()
