"""The practice Ollama on a socket: HTTP/1.1 with keep-alive, lines as chunks, one thread a connection.

A subclass that overrides `PracticeServer.answer` decides how one request is answered; it writes with the
methods of the `Exchange` that it is given.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any, TypeVar

from o2o.practice import origins
from o2o.practice.exchange import Exchange, Listening
from o2o.practice.gojson import encode
from o2o.practice.routes import Ollama, Spoken, Whole, rfc3339

_Self = TypeVar("_Self", bound="PracticeServer")

JSON = "application/json; charset=utf-8"
NDJSON = "application/x-ndjson"
TEXT = "text/plain"
_BUFFERED = 2048
"""Go sends an answer of at most so many bytes with a Content-Length, a longer one chunked."""


class _Listener(ThreadingHTTPServer, Listening):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], practice: PracticeServer) -> None:
        self.practice = practice
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, Exchange)

    def server_bind(self) -> None:
        # HTTPServer asks the resolver for its own name here, which can take seconds.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A peer that resets its connection between two requests is no error of ours.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class PracticeServer:
    """A practice Ollama on a port of this machine; a context manager.

    `pace` is the time from one word to the next, in seconds. Port 0 means any free one; `url` tells which.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, pace: float = 0.02) -> None:
        self.host = host
        self.pace = pace
        self.ollama = Ollama()
        self._port = port
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None
        self._open: set[Exchange] = set()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url if self._listener else 'not started'}>"

    @property
    def port(self) -> int:
        """Return the port: the one that was asked for or, once started, the one that is taken."""
        return int(self._listener.server_address[1]) if self._listener else self._port

    @property
    def url(self) -> str:
        """Return the base address, without a slash at the end; complete once the server has started."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def start(self) -> None:
        """Listen, and answer in threads of this process; raise OSError when the port is taken."""
        self._listener = _Listener((self.host, self._port), self)
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and close every connection; safe to call twice."""
        if self._listener is None or self._thread is None:
            return
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()
        with self._lock:
            for exchange in self._open:
                with contextlib.suppress(OSError):
                    exchange.connection.shutdown(socket.SHUT_RDWR)
        self._thread = None

    def __enter__(self: _Self) -> _Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- what a subclass may change

    def answer(self, handler: Exchange, method: str, path: str, body: bytes) -> None:
        """Answer one request: the practice Ollama's words, in its own time."""
        started = time.perf_counter_ns()
        if not origins.allowed(handler.headers.get("Host", ""), handler.headers.get("Origin", "")):
            self._send(handler, Whole(403, ""))
            return
        answer = self.ollama.answer(method, path, body)
        if isinstance(answer, Whole):
            self._send(handler, answer)
        elif answer.stream:
            self._stream(handler, answer, started)
        else:
            self._send(handler, Whole(200, self._whole(handler, answer, started)))

    def connection_opened(self, handler: Exchange) -> None:
        """Note a new connection."""
        with self._lock:
            self._open.add(handler)

    def connection_closed(self, handler: Exchange) -> None:
        """Note that a connection is no more."""
        with self._lock:
            self._open.discard(handler)

    def peer_left(self, handler: Exchange) -> None:
        """Note that a peer left before its answer was complete."""

    # --- writing

    def _send(self, handler: Exchange, answer: Whole) -> None:
        text = isinstance(answer.body, str)
        data = answer.body.encode() if isinstance(answer.body, str) else encode(answer.body)
        headers = dict(answer.headers)
        if data:
            headers["Content-Type"] = _content_type(answer)
        if answer.as_stream or (len(data) > _BUFFERED and not text):
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(len(data))
        handler.begin(answer.status, headers.items())
        if handler.command != "HEAD":
            handler.write(data)
            handler.end()

    def _stream(self, handler: Exchange, answer: Spoken, started: int) -> None:
        begun = False
        first = 0
        for line in answer.speech.lines(self._now):
            handler.pause(self.pace)
            first = first or time.perf_counter_ns()
            if line is None:
                continue
            if not begun:
                self._begin_stream(handler)
            begun = True
            handler.write(encode(line) + b"\n")
        if not begun:
            self._begin_stream(handler)
        ended = time.perf_counter_ns()
        last = answer.speech.last(self._now(), ended - started, ended - (first or ended))
        handler.write(encode(last) + b"\n")
        handler.end()

    def _begin_stream(self, handler: Exchange) -> None:
        handler.begin(200, (("Content-Type", NDJSON), ("Transfer-Encoding", "chunked")))

    def _whole(self, handler: Exchange, answer: Spoken, started: int) -> dict[str, Any]:
        first = time.perf_counter_ns()
        for _ in answer.speech.generated.pieces:
            handler.pause(self.pace)
        ended = time.perf_counter_ns()
        return answer.speech.whole(self._now(), ended - started, ended - first)

    def _now(self) -> str:
        return rfc3339(self.ollama.now())


def _content_type(answer: Whole) -> str:
    if isinstance(answer.body, str):
        return TEXT if answer.status != 200 else f"{TEXT}; charset=utf-8"
    return "application/json" if answer.as_stream else JSON


def serve(
    host: str = "127.0.0.1", port: int = 11434, pace: float = 0.02, ready: Callable[[str], None] | None = None
) -> None:
    """Answer until interrupted; `ready` is called with the address once requests are taken."""
    with PracticeServer(host, port, pace) as server:
        if ready is not None:
            ready(server.url)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
