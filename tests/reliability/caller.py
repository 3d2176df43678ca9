"""A caller on a plain socket: sees every byte of an answer and when it came, leaves when and how it likes."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, NamedTuple

PATIENCE = 30.0
"""How long a caller waits for the next byte, and for the end of an answer, in seconds."""

Endpoint = Literal["chat", "completions", "embeddings"]
PATHS: dict[Endpoint, str] = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
}


def body_for(endpoint: Endpoint, model: str, *, stream: bool = False, **more: Any) -> dict[str, Any]:
    """Return the smallest body that asks this endpoint for an answer."""
    asked: dict[str, Any] = {"model": model, **({"stream": True} if stream else {}), **more}
    if endpoint == "chat":
        return {"messages": [{"role": "user", "content": "Hello!"}], **asked}
    return {"prompt" if endpoint == "completions" else "input": "Hello!", **asked}


def request(
    path: str, body: Any = None, headers: Mapping[str, str] | None = None, method: str = "POST"
) -> bytes:
    """Return one request as bytes; a body that is not bytes is sent as JSON."""
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"Host": "localhost", **({"Content-Type": "application/json"} if raw else {}), **(headers or {})}
    if (raw or method == "POST") and "Transfer-Encoding" not in named:
        named.setdefault("Content-Length", str(len(raw)))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + raw


class Event(NamedTuple):
    """One event of a stream, or a comment, without the empty line; `at` is when its end came."""

    at: float
    text: str

    @property
    def is_comment(self) -> bool:
        return self.text.startswith(":")

    @property
    def value(self) -> Any:
        """The JSON in it, or the string `[DONE]`."""
        data = self.text.removeprefix("data: ")
        return data if data == "[DONE]" else json.loads(data)


@dataclass
class Answer:
    """One answer: what came, when, and whether its end did."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool
    """False when the connection ended before the answer's own end."""
    sent: float
    head_at: float
    ended: float
    events: list[Event] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it all took."""
        return self.ended - self.sent

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def values(self) -> list[Any]:
        """The events that are no comments."""
        return [event.value for event in self.events if not event.is_comment]

    @property
    def comments(self) -> list[Event]:
        return [event for event in self.events if event.is_comment]

    @property
    def done(self) -> bool:
        """Whether `[DONE]` came, last."""
        return bool(self.events) and self.events[-1].value == "[DONE]"

    @property
    def error(self) -> dict[str, Any] | None:
        """What the envelope holds: of the whole answer, or of the last event of a stream; None without one."""
        last = self.json if not self.is_stream else (self.values or [{}])[-1]
        error = last.get("error") if isinstance(last, dict) else None
        return error if isinstance(error, dict) else None

    @property
    def is_stream(self) -> bool:
        return self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """The chunks of a stream: no error, no `[DONE]`."""
        return [value for value in self.values if isinstance(value, dict) and "error" not in value]

    @property
    def text(self) -> str:
        """What the model said, of one choice."""
        if not self.is_stream:
            choice = self.json["choices"][0]
            return str(choice["message"]["content"] if "message" in choice else choice["text"])
        choices = [choice for chunk in self.chunks for choice in chunk["choices"]]
        return "".join(
            choice["delta"].get("content") or "" if "delta" in choice else choice["text"]
            for choice in choices
        )

    @property
    def finishes(self) -> list[str]:
        """The reasons with which choices ended."""
        pages = self.chunks if self.is_stream else [self.json]
        found = [choice.get("finish_reason") for page in pages for choice in page["choices"]]
        return [reason for reason in found if reason is not None]


class _Reading:
    """What is read of a connection, for one answer after the other: `http.client` would take a buffer for each."""

    def __init__(self, connection: socket.socket) -> None:
        self._file = connection.makefile("rb")

    def makefile(self, mode: str) -> _Reading:
        return self

    def close(self) -> None:
        """Leave it open for the next answer."""

    def shut(self) -> None:
        """Close it."""
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class Caller:
    """One connection to o2o; close it, whatever happens."""

    def __init__(self, port: int, *, received: int | None = None) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if received is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self._reading = _Reading(self.socket)
        self.sent = time.monotonic()
        self._response: http.client.HTTPResponse | None = None
        self._rest = b""

    def __enter__(self) -> Caller:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, data: bytes) -> Caller:
        """Send bytes."""
        self.sent = time.monotonic()
        self.socket.sendall(data)
        return self

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Caller:
        """Send one request."""
        return self.send(request(path, body, headers))

    def ask(self, endpoint: Endpoint, model: str, *, stream: bool = False, **more: Any) -> Caller:
        """Ask for an answer."""
        return self.post(PATHS[endpoint], body_for(endpoint, model, stream=stream, **more))

    def head(self) -> http.client.HTTPResponse:
        """Wait for the head of the answer."""
        self._response = http.client.HTTPResponse(self._reading)  # type: ignore[arg-type]  # it only makes a file of it
        self._response.begin()
        return self._response

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it comes; raises when it ends before its end."""
        assert self._response is not None
        while not self._response.isclosed() and (piece := self._response.read1(1 << 16)):
            yield piece
            if time.monotonic() - self.sent > PATIENCE:
                raise TimeoutError(f"no end of the answer within {PATIENCE} s")

    def events(self) -> Iterator[Event]:
        """Yield the events of a stream as they come; the connection may be read on."""
        for piece in self.pieces():
            *whole, self._rest = (self._rest + piece).split(b"\n\n")
            now = time.monotonic()
            yield from (Event(now, text.decode()) for text in whole)

    def answer(self) -> Answer:
        """Read the whole answer."""
        head = self.head()
        made = Answer(head.status, headers_of(head), b"", True, self.sent, time.monotonic(), 0.0)
        try:
            if made.is_stream:
                for event in self.events():
                    made.events.append(event)
                    made.body += event.text.encode() + b"\n\n"
                made.body += self._rest
            else:
                for piece in self.pieces():
                    made.body += piece
        except (http.client.IncompleteRead, ConnectionError):
            made.whole = False
        made.ended = time.monotonic()
        return made

    def rest(self) -> bytes:
        """Read everything until the server closes."""
        data: bytes = self._reading.read()
        return data

    def close(self) -> None:
        """Leave."""
        self._reading.shut()
        self.socket.close()

    def half_close(self) -> None:
        """Say that nothing more will be sent, and stay."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave impolitely."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


def headers_of(response: http.client.HTTPResponse) -> dict[str, str]:
    """Return the headers of an answer, their names in small letters."""
    return {name.lower(): value for name, value in response.getheaders()}


def ask(port: int, endpoint: Endpoint, model: str, *, stream: bool = False, **more: Any) -> Answer:
    """Ask for an answer on a connection of its own, and read it."""
    with Caller(port) as caller:
        return caller.ask(endpoint, model, stream=stream, **more).answer()


def send(port: int, data: bytes) -> Answer:
    """Send bytes on a connection of its own, and read one answer."""
    with Caller(port) as caller:
        return caller.send(data).answer()


def get(port: int, path: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Get a page."""
    return send(port, request(path, headers=headers, method="GET"))


def _said(choice: Mapping[str, Any]) -> str:
    return str(choice["delta"].get("content") or "" if "delta" in choice else choice["text"])
