"""nginx, Apache and Caddy with the shipped samples: what a caller sees of o2o, and o2o of a caller, through them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from o2o.address import free_port
from tests.clean import REPOSITORY
from tests.deployment import fronts
from tests.deployment.running import Caller, Program, ask, departures, place, question, streams_at_once
from tests.e2e.wire import last, line
from tests.ollama import FakeOllama, stream
from tests.server import Server

KEY = {"Authorization": "Bearer sk-behind-a-proxy"}
BEAT = 1.0
LIMIT = 100_000
"""What o2o is told to take at most, in bytes."""

FRONTS: dict[str, fronts.Front] = {"nginx": fronts.nginx, "apache": fronts.apache, "caddy": fronts.caddy}
TELLING = ("nginx", "caddy")
"""Those that hear when a caller leaves. Apache notices when it cannot write."""


@pytest.fixture(scope="module")
def ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as fake:
        yield fake


@pytest.fixture(scope="module")
def server(ollama: FakeOllama) -> Iterator[Server]:
    settings = {
        "O2O_API_KEYS": KEY["Authorization"].removeprefix("Bearer "),
        "O2O_MAX_BODY_BYTES": str(LIMIT),
        "O2O_HEARTBEAT_AFTER": str(BEAT),
        "O2O_HEARTBEAT_INTERVAL": str(BEAT),
    }
    with Server(ollama.url, settings) as running:
        yield running


@pytest.fixture(scope="module", params=FRONTS)
def front(request: pytest.FixtureRequest, server: Server) -> Iterator[Program]:
    with place() as directory, FRONTS[request.param](f"127.0.0.1:{server.port}", directory) as running:
        yield running


def name_of(front: Program) -> str:
    return next(name for name in FRONTS if name in str(front.process.args))


def test_events_arrive_as_they_are_made(front: Program, ollama: FakeOllama) -> None:
    assert streams_at_once(front.port, ollama, KEY)


def test_heartbeats_arrive_before_anything_else_does(front: Program, ollama: FakeOllama) -> None:
    rest = threading.Event()
    ollama.script("/api/chat", stream(rest, line("late"), last()))
    with Caller(front.port, KEY) as caller:
        head = caller.send(question(stream=True)).head()
        assert head.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert head.headers["Cache-Control"] == "no-cache, no-transform"
        assert caller.event() == ": heartbeat"
        rest.set()
        assert caller.events()[-1] == "data: [DONE]"


def test_a_caller_who_leaves_a_stream_ends_the_generation(front: Program, ollama: FakeOllama) -> None:
    patience = BEAT / 2 if name_of(front) in TELLING else 3 * BEAT + 0.5
    waited = departures(front.port, ollama, "silence", "between events", headers=KEY, patience=6 * BEAT)
    assert max(waited) < patience


@pytest.mark.parametrize("front", TELLING, indirect=True)
def test_a_caller_who_leaves_a_whole_answer_ends_it(front: Program, ollama: FakeOllama) -> None:
    assert departures(front.port, ollama, "whole", headers=KEY)[0] < BEAT / 2


def test_the_key_reaches_o2o_and_connections_are_used_again(front: Program) -> None:
    assert ask(front.port, question()).status == 401
    with Caller(front.port, KEY) as caller:
        answers = [caller.send(question(), chunked=bool(turn % 2)).answer() for turn in range(20)]
    assert {answer.status for answer in answers} == {200}
    assert b'"content":"hi"' in answers[0].raw
    assert len({answer.headers["x-request-id"] for answer in answers}) == 20


def test_errors_keep_their_envelope_and_headers(front: Program) -> None:
    answer = ask(front.port, question(model="gone"), KEY)
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert answer.headers["x-request-id"].startswith("req_")
    assert ask(front.port, {}, KEY).error["param"] == "model"


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_what_is_too_large_is_said_by_o2o(front: Program, chunked: bool) -> None:
    answer = ask(front.port, question("x" * 2 * LIMIT), KEY, chunked=chunked)
    assert (answer.status, answer.error["code"]) == (413, "request_too_large")
    assert answer.headers["x-request-id"].startswith("req_")


def test_what_is_far_too_large_is_said_by_nginx_in_the_same_way(server: Server) -> None:
    limits = {"client_max_body_size 80m;": f"client_max_body_size {2 * LIMIT};"}
    with place() as directory, fronts.nginx(f"127.0.0.1:{server.port}", directory, limits) as front:
        answer = ask(front.port, question("x" * 3 * LIMIT), KEY)
    assert (answer.status, answer.error["code"]) == (413, "request_too_large")
    assert "x-request-id" not in answer.headers


@pytest.mark.parametrize("name", FRONTS)
def test_a_server_that_is_not_there_is_told_in_the_envelope(name: str) -> None:
    nowhere = f"127.0.0.1:{free_port('127.0.0.1')}"
    with place() as directory, FRONTS[name](nowhere, directory) as front:
        answer = ask(front.port, question())
    assert (answer.status, answer.error["code"]) == (503, "server_unavailable")


def test_nginx_tells_in_the_envelope_that_o2o_took_too_long(server: Server, ollama: FakeOllama) -> None:
    ollama.script("/api/chat", stream(2.0, line("late"), last()))
    hasty = {"proxy_read_timeout 3660s;": "proxy_read_timeout 300ms;"}
    with place() as directory, fronts.nginx(f"127.0.0.1:{server.port}", directory, hasty) as front:
        answer = ask(front.port, question(), KEY)
    assert (answer.status, answer.error["code"]) == (504, "request_deadline_exceeded")
    assert answer.headers["x-should-retry"] == "false"


def test_a_unix_socket_does_as_well(ollama: FakeOllama) -> None:
    with place() as directory:
        path: Path = directory / "o2o.sock"
        command = [sys.executable, "-m", "gunicorn", "--bind", f"unix:{path}", "wsgi:app"]
        environ = {"OLLAMA_API_BASE_URL": ollama.url, "WEB_CONCURRENCY": "1"}
        gunicorn = ["/bin/sh", "-c", f'cd "{REPOSITORY}" && exec "$@"', "sh", *command]
        with Program(gunicorn, path, directory, environ), fronts.nginx(f"unix:{path}", directory) as front:
            assert ask(front.port, question()).status == 200
            assert max(departures(front.port, ollama, "silence", "between events", "whole")) < BEAT
