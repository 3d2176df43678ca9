"""Stopping, starting anew and dying: what callers notice of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.reliability.caller import Caller, Endpoint, ask, get, request
from tests.reliability.chaos import Chaos
from tests.reliability.crowd import Crowd
from tests.reliability.faults import STEADY, TEXT
from tests.reliability.memory import processes
from tests.reliability.outcomes import Broken, Ok, wrongs
from tests.reliability.rows_of_callers import tagged
from tests.reliability.rows_of_processes import STOPPING, await_answer
from tests.server import Server

GRACE = {"O2O_GRACE": "8"}
"""Streams have three seconds, the process has eight."""


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads that wait for answers; the servers of a test end before it does."""
    with ThreadPoolExecutor(24) as made:
        yield made


def test_streams_that_end_in_time_end_well_and_then_the_process_does(
    chaos: Chaos, pool: ThreadPoolExecutor
) -> None:
    model = tagged("steady")
    with Server(chaos.url, GRACE, workers=2) as server:
        asked = [pool.submit(ask, server.port, "chat", model, stream=number % 2 == 0) for number in range(8)]
        chaos.await_asked(model, 8)
        began = time.monotonic()
        server.process.terminate()
        assert [wrongs(answer.result(), Ok(STEADY)) for answer in asked] == [[]] * 8
        assert server.process.wait(10) == 0
        assert time.monotonic() - began < 8
        assert "Traceback" not in server.log


def test_what_does_not_end_in_time_is_told_five_seconds_before_the_end(
    chaos: Chaos, pool: ThreadPoolExecutor
) -> None:
    model, silent = tagged("endless"), tagged("silent")
    with Server(chaos.url, GRACE, workers=2) as server:
        streams = [pool.submit(ask, server.port, "chat", model, stream=True) for _ in range(6)]
        three = pool.submit(ask, server.port, "chat", model, stream=True, n=3)
        ways: tuple[tuple[Endpoint, bool], ...] = (
            ("chat", False),
            ("completions", True),
            ("embeddings", False),
        )
        waiting = [
            pool.submit(ask, server.port, endpoint, silent, stream=stream) for endpoint, stream in ways
        ]
        asked = [*chaos.await_asked(model, 9), *chaos.await_asked(silent, 3)]
        began = time.monotonic()
        server.process.terminate()
        _await_refusal(server.port, 2.9)
        for answer in [*streams, three]:
            assert wrongs(answer.result(), Broken(STOPPING, "*")) == []
            assert 2.9 < answer.result().ended - began < 8
        for answer in waiting:
            assert wrongs(answer.result(), STOPPING) == []
        assert server.process.wait(10) == 0
        assert time.monotonic() - began < 8
        assert all(seen.connection.left for seen in asked)
        assert "Traceback" not in server.log


def test_connections_that_are_only_kept_do_not_hold_up_the_end(chaos: Chaos) -> None:
    with Server(chaos.url, GRACE) as server, Caller(server.port) as kept, Caller(server.port) as silent:
        assert kept.send(request("/healthz", method="GET")).answer().status == 200
        began = time.monotonic()
        server.process.terminate()
        assert server.process.wait(10) == 0
        assert time.monotonic() - began < 8  # and not the ten seconds of their own time-out
        assert kept.rest() == silent.rest() == b""


def _await_refusal(port: int, patience: float) -> None:
    """Wait until no more connections are accepted; those that still are, are answered."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        try:
            assert get(port, "/readyz").status in (200, 503)
        except ConnectionError:
            return
    raise AssertionError("connections are still accepted")


def test_a_fresh_start_under_load_fails_nobody(chaos: Chaos) -> None:
    with (
        Server(chaos.url, workers=2) as server,
        Crowd(server.port, 4, every=0.05) as fresh,
        Crowd(server.port, 4, every=0.05, kept=True) as kept,
        Crowd(server.port, 5, model="steady", stream=True) as streams,
    ):
        for _ in range(2):
            workers = set(processes(server)[1:])
            server.process.send_signal(signal.SIGHUP)
            until = time.monotonic() + 15
            while workers & set(processes(server)):
                assert time.monotonic() < until, "the old workers did not end"
                time.sleep(0.05)
    assert fresh.failures + kept.failures + streams.failures == []
    assert min(fresh.good, kept.good) > 50
    assert streams.good >= 5
    assert "Traceback" not in server.log


def test_while_one_of_two_workers_is_dead_the_other_one_answers(chaos: Chaos) -> None:
    with Server(chaos.url, workers=2) as server:
        await_answer(server.port, 10)
        with Crowd(server.port, 2, every=0.02) as crowd:
            for deaths in (1, 2):
                crowd.await_good(20)
                os.kill(processes(server)[1], signal.SIGKILL)
                server.await_log(partial(_has_died, deaths), "the death")
            crowd.await_good(20)
    # What the dead one had taken is lost, and nothing else.
    assert len(crowd.failures) <= 4
    assert not [failure for failure in crowd.failures if "Refused" in failure]


def _has_died(times: int, log: str) -> bool:
    return log.count("was sent SIGKILL") >= times


def test_a_lonely_worker_that_dies_is_replaced_soon(chaos: Chaos) -> None:
    with Server(chaos.url) as server:
        for _ in range(3):
            await_answer(server.port, 10)
            os.kill(processes(server)[1], signal.SIGKILL)
            killed = time.monotonic()
            assert ask(server.port, "chat", "good").text == TEXT
            assert time.monotonic() - killed < 5
