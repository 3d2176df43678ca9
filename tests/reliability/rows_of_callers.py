"""The rows of the table about callers, and those about Ollama that take more than one request: a function each."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable

import openai
import pytest

from tests.ollama import FakeOllama
from tests.reliability import sdk
from tests.reliability.caller import PATHS, Caller, Endpoint, ask, body_for, get, request, send
from tests.reliability.faults import TEXT
from tests.reliability.houses import Houses
from tests.reliability.memory import resident_mb
from tests.reliability.outcomes import Failure, Ok, wrongs
from tests.reliability.table import UNAVAILABLE
from tests.server import Server

OVERLOADED = Failure(503, "server_overloaded", wait=(1, 60))
WAYS: tuple[tuple[Endpoint, bool], ...] = (
    ("chat", False),
    ("chat", True),
    ("completions", False),
    ("completions", True),
    ("embeddings", False),
)
CHUNKED = {"Transfer-Encoding": "chunked"}
_numbers = itertools.count()


def tagged(fault: str) -> str:
    """Return a model's name that no other request has."""
    return f"{fault}:{next(_numbers)}"


def await_lines(server: Server, model: str, count: int = 1) -> list[str]:
    """Wait until the log has `count` lines about requests for this model; return them all."""
    server.await_log(lambda log: len(_lines(log, model)) >= count, f"{count} lines about {model}")
    return _lines(server.log, model)


def _lines(log: str, model: str) -> list[str]:
    return [line for line in log.splitlines() if f" model={model} " in f"{line} "]


def flapping(houses: Houses) -> None:
    """An error while the only Ollama is gone, an answer to the first request after its return."""
    first = FakeOllama()
    first.start()
    with Server(first.url) as server:
        for _ in range(3):
            assert ask(server.port, "chat", "practice").status == 200
            first.close()
            for endpoint, stream in WAYS:
                assert wrongs(ask(server.port, endpoint, "practice", stream=stream), UNAVAILABLE) == []
            first = FakeOllama(port=first.port)
            first.start()
        assert ask(server.port, "chat", "practice").status == 200
    first.close()


def no_place(houses: Houses) -> None:
    """Who comes when all places are taken hears so at once, and Ollama does not hear of it."""
    server, chaos = houses["full"], houses.chaos
    with Caller(server.port) as first:
        first.ask("chat", "silent:first")
        chaos.await_asked("silent:first")
        for endpoint, stream in WAYS:
            answer = ask(server.port, endpoint, "good:excess", stream=stream)
            assert wrongs(answer, OVERLOADED) == []
            assert answer.seconds < 2
        assert get(server.port, "/healthz").status == 200
        assert get(server.port, "/v1/models").status == 200
        seen = sdk.ask(server.url, "good:excess", retries=0)
        assert type(seen.error) is openai.InternalServerError
        assert seen.code == "server_overloaded"
    await_lines(server, "silent:first")
    assert ask(server.port, "chat", "good:later").text == TEXT
    assert chaos.asked_for("good:excess") == []


def kept_connection_closed(houses: Houses) -> None:
    """A kept connection that ends without a byte is replaced once, unnoticed; so it is when Ollama restarts."""
    model = tagged("reused")
    for stream in (False, True, False, True):
        assert wrongs(ask(houses.port("calm"), "chat", model, stream=stream), Ok()) == []
    assert 4 < len(houses.chaos.asked_for(model)) <= 8
    seen = sdk.ask(houses["calm"].url, model)
    assert (seen.error, seen.text) == (None, TEXT)
    ollama = FakeOllama()
    ollama.start()
    with Server(ollama.url) as server:
        assert ask(server.port, "chat", "practice").status == 200
        ollama.close()
        with FakeOllama(port=ollama.port):
            assert ask(server.port, "chat", "practice").status == 200


def leaving(houses: Houses) -> None:
    """The upstream connection ends at once, and the log has one line with 499."""
    for leave in (Caller.close, Caller.reset):
        for stream, fault in ((True, "endless"), (True, "silent"), (False, "endless"), (False, "silent")):
            _leave(houses, tagged(fault), stream, leave)
    model = tagged("endless")
    next(sdk.stream(houses["calm"].url, model))  # and drop it
    houses.chaos.await_that(lambda: houses.chaos.asked_for(model)[0].connection.left, "the departure")


def half_closing(houses: Houses) -> None:
    """Who half-closes has left, as in Go's net/http and so in Ollama itself."""
    for stream, fault in ((True, "endless"), (True, "silent"), (False, "endless"), (False, "silent")):
        _leave(houses, tagged(fault), stream, Caller.half_close)


def _leave(houses: Houses, model: str, stream: bool, leave: Callable[[Caller], None]) -> None:
    server, chaos = houses["calm"], houses.chaos
    with Caller(server.port) as caller:
        caller.ask("chat", model, stream=stream)
        (asked,) = chaos.await_asked(model)
        if stream and model.startswith("endless"):
            caller.head()
            next(caller.events())
        left = time.monotonic()
        leave(caller)
        chaos.await_that(lambda: asked.connection.left, "the end of the upstream connection")
        assert asked.connection.left is not None
        assert asked.connection.left - left < 0.5
        (line,) = await_lines(server, model)
        assert "status=499" in line


def slow_reader(houses: Houses) -> None:
    """Who accepts nothing for the write time-out is cut, upstream too, and memory stays as it was."""
    server, model = houses["strict"], tagged("flood")
    get(server.port, "/healthz")
    before = resident_mb(server)
    with Caller(server.port, received=4096) as caller:
        caller.ask("chat", model, stream=True)
        began = time.monotonic()
        (asked,) = houses.chaos.await_asked(model)
        houses.chaos.await_that(lambda: asked.connection.left, "the cut", 15)
        assert asked.connection.left is not None
        assert asked.connection.left - began > 0.9
        assert resident_mb(server) < before + 30
    (line,) = await_lines(server, model)
    assert "status=499" in line


def pipelining(houses: Houses) -> None:
    """Pipelined requests are answered in order."""
    models = ("good", "empty", "missing", "good")
    with Caller(houses.port("calm")) as caller:
        caller.send(b"".join(request(PATHS["chat"], body_for("chat", model)) for model in models))
        answers = []
        for _ in models:
            caller.head()
            answers.append(json.loads(b"".join(caller.pieces())))
    assert [answer.get("model", "-") for answer in answers] == ["good", "empty", "-", "good"]
    assert answers[2]["error"]["code"] == "model_not_found"


def slow_sender(houses: Houses) -> None:
    """Slow headers are closed without an answer; a slow body gets 408, and then its connection ends."""
    port = houses.port("strict")
    counted = request(PATHS["chat"], headers={"Content-Length": "50"}) + b'{"mod'
    chunked = request(PATHS["chat"], headers=CHUNKED) + b'5\r\n{"mod'
    with Caller(port) as silent, Caller(port) as slow, Caller(port) as first, Caller(port) as second:
        slow.send(counted[:40])
        first.send(counted)
        second.send(chunked)
        for caller in (silent, slow):
            assert caller.rest() == b""
            assert time.monotonic() - caller.sent < 10
        for caller in (first, second):
            answer = caller.answer()
            assert wrongs(answer, Failure(408, "request_timeout")) == []
            assert 0.9 < answer.seconds < 10
            assert caller.rest() == b""


def large_body(houses: Houses) -> None:
    """Too large a body is refused, whether its length is announced or not."""
    port, large = houses.port("strict"), body_for("chat", "good:large", user="x" * 100_001)
    too_large = Failure(413, "request_too_large")
    assert wrongs(send(port, request(PATHS["chat"], large)), too_large) == []
    raw = json.dumps(large).encode()
    pieces = (raw[at : at + 9999] for at in range(0, len(raw), 9999))
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    assert (
        wrongs(send(port, request(PATHS["chat"], headers=CHUNKED) + chunks + b"0\r\n\r\n"), too_large) == []
    )
    with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none") as client:
        with pytest.raises(openai.APIStatusError) as raised:
            client.chat.completions.create(model="good:large", messages=sdk.HELLO, user="x" * 100_001)
    assert (raised.value.status_code, raised.value.code) == (413, "request_too_large")
    assert houses.chaos.asked_for("good:large") == []


ROWS: dict[str, Callable[[Houses], None]] = {
    "U4 the only Ollama comes and goes": flapping,
    "U11 all places are taken": no_place,
    "U23 a kept connection was closed meanwhile": kept_connection_closed,
    "C1 the caller leaves": leaving,
    "C2 the caller half-closes": half_closing,
    "C3 the caller does not read": slow_reader,
    "C4 the caller pipelines": pipelining,
    "C5 the caller sends slowly": slow_sender,
    "C6 the caller sends too much": large_body,
}
