"""A raw socket server: each connection is served by a function of the test's own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import TracebackType

Serve = Callable[[socket.socket, int], None]
"""Gets the connection and its number, from 0; the connection is closed afterwards."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def chunk(text: bytes) -> bytes:
    """Return `text` as one chunk."""
    return b"%x\r\n%s\r\n" % (len(text), text)


def read_request(connection: socket.socket) -> tuple[str, dict[str, str], bytes]:
    """Read one request: its first line, headers (lower case) and body; ("", {}, b"") at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        got = connection.recv(65536)
        if not got:
            return "", {}, b""
        data += got
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    return first, headers, body


class RawServer:
    """Listens on a free port of 127.0.0.1 until closed."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            number = self.connections
            self.connections += 1
            threading.Thread(target=self._work, args=(connection, number), daemon=True).start()

    def _work(self, connection: socket.socket, number: int) -> None:
        try:
            self._serve(connection, number)
        except OSError:
            pass
        finally:
            connection.close()

    def __enter__(self) -> RawServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # shutdown wakes accept; closing alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()
