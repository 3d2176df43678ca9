"""The rows of the table about processes and machines: a function each, with servers of its own."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest

from tests.reliability import sdk
from tests.reliability.caller import Caller, ask, get, request
from tests.reliability.chaos import Chaos
from tests.reliability.faults import TEXT
from tests.reliability.houses import HASTY, Houses
from tests.reliability.memory import processes
from tests.reliability.outcomes import Broken, Failure, Ok, Outcome, wrongs
from tests.reliability.rows_of_callers import OVERLOADED, tagged
from tests.reliability.table import DEADLINE
from tests.server import REPOSITORY, Server

STOPPING = Failure(503, "server_shutting_down", wait=(1, 1))
LIMITED = ["bash", "-c", 'ulimit -n 128; exec "$0" -m gunicorn wsgi:app', sys.executable]
SKEWED = [sys.executable, "-m", "gunicorn", "-c", "python:tests.reliability.clock", "wsgi:app"]


def stopping(houses: Houses) -> None:
    """Live streams end by themselves, or 5 s before the end in server_shutting_down; readiness goes at once."""
    with ThreadPoolExecutor(2) as pool:
        for stopped in [pool.submit(_stop, houses.chaos, sign) for sign in (signal.SIGTERM, signal.SIGHUP)]:
            stopped.result()


def _stop(chaos: Chaos, sign: signal.Signals) -> None:
    models = [tagged(fault) for fault in ("endless", "endless", "silent", "silent-late", "slow")]
    # A stream that has not begun still has its status to say it with.
    outcomes: list[Outcome] = [Broken(STOPPING, "*"), Broken(STOPPING, "*"), STOPPING, Broken(STOPPING), Ok()]
    with (
        Server(chaos.url, {"O2O_GRACE": "7"}) as server,
        Caller(server.port) as kept,
        ThreadPoolExecutor(9) as pool,
    ):
        kept.send(request("/readyz", method="GET"))
        assert kept.answer().status == 200
        streams = [pool.submit(ask, server.port, "chat", model, stream=True) for model in models]
        wholes = [pool.submit(ask, server.port, "chat", model) for model in models[:3]]
        client = pool.submit(sdk.ask, server.url, models[0], stream=True)
        wanted = {models[0]: 3, models[1]: 2, models[2]: 2, models[3]: 1, models[4]: 1}
        for model, count in wanted.items():
            chaos.await_asked(model, count)
        began = time.monotonic()
        server.process.send_signal(sign)
        server.await_log(lambda log: "Handling signal" in log, "the signal")
        _await_unready(kept)
        for answer, outcome in zip(streams, outcomes, strict=True):
            assert wrongs(answer.result(), outcome) == []
            assert answer.result().ended - began < 7
        for answer in wholes:
            assert wrongs(answer.result(), STOPPING) == []
        assert type(client.result().error) is openai.APIError
        assert client.result().code == "server_shutting_down"
        if sign == signal.SIGTERM:
            assert server.process.wait(10) == 0
            assert time.monotonic() - began < 7
        else:
            assert ask(server.port, "chat", tagged("good")).text == TEXT


def _await_unready(kept: Caller) -> None:
    """Wait until a connection from before hears that the process is about to end, or is ended as an idle one."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            answer = kept.send(request("/readyz", method="GET")).answer()
        except ConnectionError:
            return
        if answer.status != 200:
            assert wrongs(answer, STOPPING) == []
            return
    raise AssertionError("/readyz did not change")


def killed_worker(houses: Houses) -> None:
    """Callers see the end of the connection, Ollama too, and soon the next request is answered."""
    chaos, first, second = houses.chaos, tagged("endless"), tagged("endless")
    with Server(chaos.url) as server, Caller(server.port) as caller:
        caller.ask("chat", first, stream=True).head()
        chunks = sdk.stream(server.url, second)
        next(caller.events())
        next(chunks)
        asked = [chaos.asked_for(model)[0] for model in (first, second)]
        os.kill(processes(server)[1], signal.SIGKILL)
        killed = time.monotonic()
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            list(caller.events())
        with pytest.raises(openai.APIConnectionError):
            list(chunks)
        for seen in asked:
            chaos.await_that(lambda seen=seen: seen.connection.left, "the end upstream")  # type: ignore[misc]  # no type for what a default binds
            assert seen.connection.left is not None
            assert seen.connection.left - killed < 0.5
        assert await_answer(server.port, 5) - killed < 5
        assert ask(server.port, "chat", tagged("good")).text == TEXT


def await_answer(port: int, patience: float) -> float:
    """Return when `/healthz` was answered, waiting for at most `patience` seconds."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        try:
            if get(port, "/healthz").status == 200:
                return time.monotonic()
        except OSError:
            pass
        time.sleep(0.01)
    raise AssertionError(f"nobody answered for {patience} s")


def full_disk(houses: Houses) -> None:
    """A log that cannot be written fails neither the start nor a request."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    environ = {
        **os.environ,
        "OLLAMA_API_BASE_URL": houses.chaos.url,
        "O2O_HOST": "127.0.0.1",
        "PORT": str(port),
    }
    command = [sys.executable, "-m", "gunicorn", "wsgi:app"]
    with Path("/dev/full").open("wb") as full:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=environ, stdout=full, stderr=full)
    try:
        await_answer(port, 20)
        for _ in range(20):
            assert wrongs(ask(port, "chat", "good"), Ok()) == []
            assert wrongs(ask(port, "chat", "good", stream=True), Ok()) == []
            assert ask(port, "chat", "missing").status == 404
            assert ask(port, "chat", "closed-late", stream=True).error is not None
    finally:
        process.terminate()
        assert process.wait(20) == 0


def few_descriptors(houses: Houses) -> None:
    """Our own limit comes before that of the system: (128 - 64) / 2 generations, and the rest is told to wait."""
    models = [tagged("endless") for _ in range(40)]
    with Server(houses.chaos.url, command=LIMITED) as server:
        callers = [Caller(server.port).ask("chat", model, stream=True) for model in models]
        heads = [caller.head() for caller in callers]
        assert sorted(head.status for head in heads) == [200] * 32 + [503] * 8
        assert wrongs(ask(server.port, "chat", tagged("good")), OVERLOADED) == []
        assert get(server.port, "/healthz").status == 200
        assert get(server.port, "/v1/models").status == 200
        seen = sdk.ask(server.url, tagged("good"), retries=0)
        assert (type(seen.error), seen.code) == (openai.InternalServerError, "server_overloaded")
        for caller in callers:
            caller.close()
        server.await_log(lambda log: log.count("status=499") == 32, "their lines of the log")
        assert wrongs(ask(server.port, "chat", tagged("good")), Ok()) == []
        assert "Traceback" not in server.log


def jumping_clock(houses: Houses) -> None:
    """Time-outs and heartbeats do not care what the wall clock says; only `created` does."""
    with tempfile.TemporaryDirectory() as directory:
        jump = Path(directory) / "jump"
        settings = {**HASTY, "JUMP": str(jump)}
        with Server(houses.chaos.url, settings, command=SKEWED) as server, Caller(server.port) as endless:
            endless.ask("chat", tagged("endless"), stream=True)
            endless.head()
            next(endless.events())
            for seconds in (3600.0, -3600.0):
                jump.write_text(str(seconds))
                slow = ask(server.port, "chat", tagged("slow"), stream=True)
                assert wrongs(slow, Ok(heartbeats="first")) == []
                assert 0.9 < slow.seconds < 5
                assert abs(slow.chunks[0]["created"] - time.time() - seconds) < 60
            *_, last = endless.events()
            assert last.value["error"]["code"] == DEADLINE.code
            assert 3.9 < time.monotonic() - endless.sent < 10


ROWS: dict[str, Callable[[Houses], None]] = {
    "P1 the server is told to stop, or to start anew": stopping,
    "P2 a worker is killed": killed_worker,
    "P3 the log's disk is full": full_disk,
    "P4 file descriptors run out": few_descriptors,
    "P5 the wall clock jumps": jumping_clock,
}
