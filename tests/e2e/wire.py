"""HTTP without a client library: requests as bytes, answers as they came, and what every answer must have."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests import replay
from tests.ollama import Scripted
from tests.server import Server

PATIENCE = 20.0
"""How long an answer may take, in seconds."""

DONE = "[DONE]"

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """One answer; the names of headers in small letters."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        """The JSON that came."""
        assert self.headers["content-type"] == "application/json", self.headers
        return json.loads(self.raw)

    @property
    def error(self) -> Mapping[str, Any]:
        """What OpenAI's envelope holds; all of its four keys are there, and nothing else."""
        body = self.body
        assert body.keys() == {"error"}, body
        error: dict[str, Any] = body["error"]
        assert error.keys() == {"message", "type", "param", "code"}, error
        assert isinstance(error["message"], str)
        assert error["message"]
        assert isinstance(error["type"], str)
        return error

    @property
    def events(self) -> list[Any]:
        """The events of a stream."""
        assert self.headers["content-type"] == "text/event-stream; charset=utf-8", self.raw
        return events(self.raw)


def ask(
    server: Server | str,
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request on a connection of its own; bytes are sent as they are, anything else as JSON."""
    url = server if isinstance(server, str) else server.url
    host = url.removeprefix("http://")
    raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    sent = {} if raw is None else {"Content-Type": "application/json"}
    connection = http.client.HTTPConnection(host, timeout=PATIENCE)
    try:
        connection.request(method, path, raw, {**sent, "Connection": "close", **(headers or {})})
        response = connection.getresponse()
        return Answer(response.status, headers_of(response), response.read())
    finally:
        connection.close()


def headers_of(response: http.client.HTTPResponse) -> dict[str, str]:
    """Return the headers of an answer, their names in small letters."""
    return {name.lower(): value for name, value in response.getheaders()}


def post(server: Server | str, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """Send a body to an endpoint below `/v1`."""
    return ask(server, "POST", f"/v1{path}", body, headers)


def chat(server: Server | str, headers: Mapping[str, str] | None = None, /, **fields: Any) -> Answer:
    """Ask for a chat completion of the practice model; `fields` add to its body, or replace."""
    body = {"model": "practice", "messages": [{"role": "user", "content": "say: hi"}], **fields}
    return post(server, "/chat/completions", body, headers)


def events(raw: bytes) -> list[Any]:
    """Return what a stream's events carry: JSON values, and DONE.

    Checks that each event is one line `data: …`, and that everything else is a comment.
    """
    assert raw.endswith(b"\n\n"), raw
    found: list[Any] = []
    for block in raw.decode().removesuffix("\n\n").split("\n\n"):
        if block.startswith(":"):
            continue
        assert block.startswith("data: "), block
        assert "\n" not in block, block
        data = block.removeprefix("data: ")
        found.append(data if data == DONE else json.loads(data))
    return found


def deltas(chunks: list[Any], index: int = 0) -> list[dict[str, Any]]:
    """Return the deltas of one choice, in order."""
    return [
        choice["delta"]
        for chunk in chunks
        if chunk != DONE
        for choice in chunk["choices"]
        if choice["index"] == index
    ]


def talk(server: Server, *sent: bytes) -> bytes:
    """Send bytes on a raw connection and return everything until the server closes it."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        for piece in sent:
            connection.sendall(piece)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def parse(raw: bytes) -> Answer:
    """Return one whole answer that came as bytes, with a length and not chunked."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(first.split()[1]), headers, body)


def recorded(name: str, exchange: int = 0) -> Scripted:
    """Return the answer of a recording, for `FakeOllama.script`."""
    recording = replay.load(name)
    sent = replay.headers(recording, exchange)
    headers = {"Content-Type": sent["content-type"]}
    if "content-length" in sent:
        headers["Content-Length"] = str(len(replay.replies_bytes(recording, exchange)))
    return replay.status(recording, exchange), headers, replay.reads(recording, exchange)


def line(content: str = "", **message: Any) -> dict[str, Any]:
    """Return one line of Ollama's chat stream."""
    said = {"role": "assistant", "content": content, **message}
    return {"model": "practice", "created_at": "2026-11-01T12:00:00Z", "message": said, "done": False}


def last(reason: str = "stop", **figures: Any) -> dict[str, Any]:
    """Return the last line of Ollama's chat stream."""
    counts = {"prompt_eval_count": 5, "eval_count": 3, **figures}
    return {**line(), "done": True, "done_reason": reason, **counts}
