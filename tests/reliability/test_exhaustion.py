"""Whoever takes all there is to take cannot keep others from what is left, nor from hearing that nothing is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.reliability.caller import PATHS, Caller, ask, body_for, get, request
from tests.reliability.chaos import Chaos
from tests.reliability.faults import TEXT
from tests.reliability.houses import Houses
from tests.reliability.memory import resident_mb
from tests.reliability.outcomes import Failure, wrongs
from tests.reliability.rows_of_callers import CHUNKED, OVERLOADED, await_lines, tagged
from tests.server import Server


@pytest.fixture
def held() -> Iterator[contextlib.ExitStack]:
    """What is held until the end of the test."""
    with contextlib.ExitStack() as stack:
        yield stack


def _await_health(port: int, patience: float = 5.0) -> None:
    answer = get(port, "/healthz")
    assert (answer.status, answer.seconds < patience) == (200, True)


def test_while_all_places_are_taken_everything_else_answers(
    houses: Houses, chaos: Chaos, held: contextlib.ExitStack
) -> None:
    port, model = houses.port("full"), tagged("endless")
    held.enter_context(Caller(port)).ask("chat", model, stream=True)
    chaos.await_asked(model)
    for _ in range(30):
        # They stay, as clients that keep their connections do.
        refused = held.enter_context(Caller(port)).ask("chat", "good:excess").answer()
        assert wrongs(refused, OVERLOADED) == []
        held.enter_context(Caller(port))
    _await_health(port)
    assert get(port, "/readyz").status == 200
    assert get(port, "/v1/models").status == 200
    assert get(port, "/v1/models/practice").status == 200


def test_many_that_send_slowly_do_not_hold_up_others(calm: int, held: contextlib.ExitStack) -> None:
    head = request(PATHS["chat"], headers={"Content-Length": "1000"})
    for number in range(200):
        caller = held.enter_context(Caller(calm))
        caller.send(head[:50] if number % 2 else head + b'{"mod')
    for _ in range(20):
        _await_health(calm)
        assert ask(calm, "chat", "good").text == TEXT


def test_slow_senders_take_no_places(houses: Houses, held: contextlib.ExitStack) -> None:
    port = houses.port("full")
    for _ in range(5):
        held.enter_context(Caller(port)).send(
            request(PATHS["chat"], headers={"Content-Length": "1000"}) + b"{"
        )
    assert ask(port, "chat", "good").text == TEXT


def test_who_does_not_read_costs_little_memory_and_is_cut(
    houses: Houses, chaos: Chaos, held: contextlib.ExitStack
) -> None:
    """Five streams of 50 MB, unread; the write time-out is a second here."""
    server, models = houses["strict"], [tagged("flood") for _ in range(5)]
    get(server.port, "/healthz")
    before = resident_mb(server)
    for model in models:
        held.enter_context(Caller(server.port, received=4096)).ask("chat", model, stream=True)
    asked = [chaos.await_asked(model)[0] for model in models]
    most = 0.0
    until = time.monotonic() + 20
    while not all(seen.connection.left for seen in asked):
        assert time.monotonic() < until, "they were not cut"
        most = max(most, resident_mb(server))
        time.sleep(0.05)
    assert most - before < 32
    for model in models:
        (line,) = await_lines(server, model)
        assert "status=499" in line


def test_a_slow_reader_that_reads_is_never_cut(houses: Houses, chaos: Chaos) -> None:
    """Several times longer than the write time-out, in which it accepts a little at a time."""
    port, model = houses.port("strict"), tagged("flood")
    with Caller(port, received=4096) as caller:
        caller.ask("chat", model, stream=True)
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            assert caller.socket.recv(2048)
            time.sleep(0.05)
        assert not chaos.asked_for(model)[0].connection.left


@pytest.mark.parametrize("chunked", [False, True])
def test_of_a_body_that_is_too_large_no_more_is_held_than_allowed(houses: Houses, chunked: bool) -> None:
    """It is 50 MB, announced or in chunks; 100 kB are allowed."""
    server, piece = houses["strict"], b" " * 65_536
    get(server.port, "/healthz")
    before = resident_mb(server)
    with Caller(server.port) as caller:
        caller.send(request(PATHS["chat"], headers=CHUNKED if chunked else {"Content-Length": str(50 << 20)}))
        with contextlib.suppress(ConnectionError):  # it need not be listened to to the end
            for _ in range(800):
                caller.socket.sendall(b"10000\r\n" + piece + b"\r\n" if chunked else piece)
        assert wrongs(caller.answer(), Failure(413, "request_too_large")) == []
    assert resident_mb(server) < before + 8


def test_large_bodies_at_the_same_time_are_read_side_by_side(calm: int) -> None:
    """While four callers send 8 MB each, piece by piece, the fifth is served."""
    body = body_for("chat", "good", user="x" * (8 << 20))
    raw = request(PATHS["chat"], body)
    with contextlib.ExitStack() as held:
        callers = [held.enter_context(Caller(calm)) for _ in range(4)]
        for at in range(0, len(raw), 1 << 20):
            for caller in callers:
                caller.send(raw[at : at + (1 << 20)])
            assert get(calm, "/healthz").seconds < 5
        for caller in callers:
            assert caller.answer().text == TEXT


def test_a_flood_of_small_requests_leaves_nothing_behind(chaos: Chaos) -> None:
    with Server(chaos.url) as server:
        for _ in range(100):
            ask(server.port, "chat", "missing")
        before = resident_mb(server)
        for number in range(600):
            ask(server.port, "chat", f"missing:{number}")
        assert resident_mb(server) < before + 8
