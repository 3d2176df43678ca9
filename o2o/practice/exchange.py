"""One connection of the practice upstream: requests are read, answers are written, departures are noticed."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from socketserver import BaseServer
from typing import Any, Protocol


class PeerLeft(ConnectionError):
    """The other side closed the connection while it was being answered."""


class Answering(Protocol):
    """Who decides what is written, and hears what becomes of connections."""

    def answer(self, handler: Exchange, method: str, path: str, body: bytes) -> None: ...
    def connection_opened(self, handler: Exchange) -> None: ...
    def connection_closed(self, handler: Exchange) -> None: ...
    def peer_left(self, handler: Exchange) -> None: ...


class Listening(BaseServer):
    """A server whose connections are answered by `practice`."""

    practice: Answering


class Exchange(BaseHTTPRequestHandler):
    """One connection; its methods write the answer to the request that is being served."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listening
    chunked = False

    # --- for PracticeServer.answer

    def begin(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Send the status line and the headers; Date is added, Transfer-Encoding decides the framing."""
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
            self.chunked = self.chunked or (name.lower(), value) == ("transfer-encoding", "chunked")
        self.send_header("Date", formatdate(usegmt=True))
        self.end_headers()

    def write(self, data: bytes) -> None:
        """Send a piece of the body, as a chunk of its own when the body is chunked."""
        if data:
            self.send_raw(b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data)

    def end(self) -> None:
        """End the body."""
        if self.chunked:
            self.send_raw(b"0\r\n\r\n")

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are; raise PeerLeft when nobody is there to take them."""
        try:
            self.connection.sendall(data)
        except OSError as error:
            raise PeerLeft from error

    def pause(self, seconds: float) -> None:
        """Wait; raise PeerLeft at once when the other side closes meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if not self._readable(left):
                return
            if self.has_left():
                raise PeerLeft
            # Bytes of a next request wait there: they are no reason to hurry.
            time.sleep(min(left, 0.01))

    def has_left(self) -> bool:
        """Return whether the other side has closed the connection; does not wait."""
        try:
            return self._readable(0) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _readable(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self.connection, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    # --- http.server's side

    def setup(self) -> None:
        super().setup()
        self.server.practice.connection_opened(self)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.server.practice.connection_closed(self)

    def respond(self) -> None:
        """Read the request and have it answered."""
        self.chunked = False
        try:
            body = self._read_body()
            self.server.practice.answer(self, self.command, self.path, body)
        except ConnectionError:
            self.close_connection = True
            self.server.practice.peer_left(self)

    # http.server finds its methods by these names.
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = respond  # noqa: N815 - http.server

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(iter(self._read_chunk, b""))
        return self._read_exactly(int(self.headers.get("Content-Length") or 0))

    def _read_chunk(self) -> bytes:
        size = int(self.rfile.readline().partition(b";")[0] or b"0", 16)
        data = self._read_exactly(size)
        while self.rfile.readline() not in (b"\r\n", b"\n", b""):
            continue
        return data

    def _read_exactly(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise PeerLeft
        return data

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name for it
        """Log nothing."""
