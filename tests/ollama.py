"""A fake Ollama: the practice upstream with a memory, with scripted answers, and with eyes on its connections.

    with FakeOllama() as ollama:
        ollama.script("/api/chat", stream(line_1, line_2), error(503, "server busy"))
        …
        assert ollama.asked("/api/chat")[0].body["model"] == "practice"

Each scripted answer is used once, in order; then the practice upstream answers again. Nothing here waits for a fixed
time: tests await what they expect, and fail when it does not come.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from o2o.practice import Exchange, PracticeServer
from o2o.practice.gojson import encode
from o2o.practice.server import JSON, NDJSON

Step = bytes | float | threading.Event | Literal["close", "reset"]
"""Bytes to send, seconds to wait, something to wait for, or an end: the connection is closed, or reset."""

Scripted = tuple[int, Mapping[str, str], Sequence[Step]]
"""Status, headers, steps. The headers go out with the first bytes, so that steps before them are silence."""

PATIENCE = 5.0
"""How long a test waits for what it expects, in seconds."""


def stream(*replies: Mapping[str, Any] | Step, status: int = 200) -> Scripted:
    """Return a streamed answer; a mapping is sent as one line."""
    steps = [encode(reply) + b"\n" if isinstance(reply, Mapping) else reply for reply in replies]
    return status, {"Content-Type": NDJSON}, steps


def whole(body: Any, status: int = 200, **headers: str) -> Scripted:
    """Return an answer that is one JSON body."""
    data = encode(body)
    return status, {"Content-Type": JSON, "Content-Length": str(len(data)), **headers}, [data]


def error(status: int, text: str, **headers: str) -> Scripted:
    """Return an error in Ollama's shape."""
    return whole({"error": text}, status, **headers)


@dataclass(eq=False)
class Connection:
    """One connection that was made; times are `time.monotonic`'s."""

    opened: float
    closed: float | None = None
    left: float | None = None
    """When it was noticed that the peer had closed before its answer was complete."""
    requests: int = 0


@dataclass(frozen=True)
class Seen:
    """One request that came; `headers` with small letters, `body` parsed where it is JSON."""

    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes
    at: float
    connection: Connection

    @property
    def body(self) -> Any:
        """Return the JSON that was sent, or None."""
        try:
            return json.loads(self.raw)
        except ValueError:
            return None


class FakeOllama(PracticeServer):
    """The practice upstream, fast, remembering, and obedient to scripts."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, pace: float = 0.0) -> None:
        super().__init__(host, port, pace)
        self.requests: list[Seen] = []
        self.connections: list[Connection] = []
        self._by_exchange: dict[Exchange, Connection] = {}
        self._scripts: dict[str, deque[Scripted]] = defaultdict(deque)
        self._changed = threading.Condition()

    # --- for tests

    def script(self, path: str, *answers: Scripted) -> None:
        """Answer the next requests for `path` with these, each once."""
        with self._changed:
            self._scripts[path].extend(answers)

    def take_unused(self) -> list[str]:
        """Forget the answers that nobody asked for; return their paths."""
        with self._changed:
            paths = [path for path, answers in self._scripts.items() for _ in answers]
            self._scripts.clear()
        return paths

    def asked(self, path: str) -> list[Seen]:
        """Return the requests for `path` so far, in order."""
        return [request for request in list(self.requests) if request.path == path]

    @property
    def open_connections(self) -> int:
        """Return how many connections are open now."""
        return sum(connection.closed is None for connection in list(self.connections))

    def await_that(self, true: Callable[[], object], what: str = "", patience: float = PATIENCE) -> None:
        """Wait until `true()` is; fail when that takes too long."""
        with self._changed:
            if not self._changed.wait_for(true, patience):
                raise AssertionError(f"{what or true} did not happen within {patience} s")

    def await_requests(self, count: int, path: str, patience: float = PATIENCE) -> list[Seen]:
        """Wait until `path` was asked for `count` times; return those requests."""
        self.await_that(lambda: len(self.asked(path)) >= count, f"request {count} for {path}", patience)
        return self.asked(path)

    def await_leavers(self, count: int = 1, patience: float = PATIENCE) -> list[Connection]:
        """Wait until `count` peers have left in the middle of an answer; return their connections."""
        self.await_that(lambda: len(self._leavers()) >= count, f"leaver {count}", patience)
        return self._leavers()

    def await_all_closed(self, patience: float = PATIENCE) -> None:
        """Wait until no connection is open."""
        self.await_that(lambda: not self.open_connections, "the end of all connections", patience)

    def _leavers(self) -> list[Connection]:
        return [connection for connection in list(self.connections) if connection.left is not None]

    # --- what happens

    def answer(self, handler: Exchange, method: str, path: str, body: bytes) -> None:
        """Remember the request; answer as scripted, or as the practice upstream does."""
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._changed:
            connection = self._by_exchange[handler]
            connection.requests += 1
            self.requests.append(Seen(method, path, headers, body, time.monotonic(), connection))
            script = self._scripts[path]
            scripted = script.popleft() if script else None
            self._changed.notify_all()
        if scripted is None:
            self.unscripted(handler, method, path, body)
        else:
            play(handler, *scripted)

    def unscripted(self, handler: Exchange, method: str, path: str, body: bytes) -> None:
        """Answer a request that no script is for, as the practice upstream does."""
        super().answer(handler, method, path, body)

    def connection_opened(self, handler: Exchange) -> None:
        """Remember a new connection."""
        super().connection_opened(handler)
        with self._changed:
            self._by_exchange[handler] = connection = Connection(time.monotonic())
            self.connections.append(connection)
            self._changed.notify_all()

    def connection_closed(self, handler: Exchange) -> None:
        """Remember when a connection ended."""
        super().connection_closed(handler)
        with self._changed:
            self._by_exchange.pop(handler).closed = time.monotonic()
            self._changed.notify_all()

    def peer_left(self, handler: Exchange) -> None:
        """Remember when a peer left early."""
        with self._changed:
            self._by_exchange[handler].left = time.monotonic()
            self._changed.notify_all()


def play(handler: Exchange, status: int, headers: Mapping[str, str], steps: Iterable[Step]) -> None:
    """Write a scripted answer; chunked, unless the headers name a length or close the connection."""
    names = {name.lower() for name in headers}
    framing = {} if names & {"content-length", "connection"} else {"Transfer-Encoding": "chunked"}
    begun = False
    for step in steps:
        if isinstance(step, bytes):
            if not begun:
                handler.begin(status, {**headers, **framing}.items())
            begun = True
            handler.write(step)
        elif isinstance(step, str):
            hang_up(handler, reset=step == "reset")
            return
        else:
            _wait(handler, step)
    if not begun:
        handler.begin(status, {**headers, **framing}.items())
    handler.end()


def _wait(handler: Exchange, step: float | threading.Event) -> None:
    if not isinstance(step, threading.Event):
        handler.pause(step)
        return
    while not step.is_set():
        handler.pause(0.01)


def hang_up(handler: Exchange, *, reset: bool) -> None:
    """End the connection where it stands, politely (FIN) or not (RST)."""
    handler.close_connection = True
    if reset:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            os.close(handler.connection.detach())
