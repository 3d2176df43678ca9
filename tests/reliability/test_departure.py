"""When a caller leaves, Ollama stops working for it: soon, in every state, and nothing is left behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.reliability.caller import PATHS, Caller, ask, body_for, request
from tests.reliability.chaos import Chaos
from tests.reliability.departures import STATES, WHILE_LOADING, depart
from tests.reliability.faults import TEXT
from tests.reliability.houses import Houses
from tests.reliability.rows_of_callers import await_lines

SOON = 0.5
"""Seconds; what is promised is 0.1 on a quiet machine."""


@pytest.mark.parametrize("words", STATES)
def test_ollama_is_told_at_once_and_the_place_is_free_again(houses: Houses, words: str) -> None:
    """There is one place, so that what comes next would be refused if anything were left of this."""
    server, state = houses["full"], STATES[words]
    tag = f"departure-{list(STATES).index(words)}"
    delays = depart(server.port, houses.chaos, state, tag)
    assert max(delays) < SOON
    (line,) = await_lines(server, f"{state.fault}:{tag}")
    assert "status=499" in line
    assert ask(server.port, "chat", "good").text == TEXT
    assert len(await_lines(server, f"{state.fault}:{tag}")) == 1


def test_who_leaves_while_a_model_is_loaded_was_kept_company_and_is_noticed(houses: Houses) -> None:
    server = houses["hasty"]
    (delay,) = depart(server.port, houses.chaos, WHILE_LOADING, "loading")
    assert delay < SOON
    (line,) = await_lines(server, "silent:loading")
    assert "status=499" in line


def test_of_a_hundred_that_leave_at_the_same_time_nothing_is_left(
    houses: Houses, calm: int, chaos: Chaos
) -> None:
    states = list(STATES.values())
    with ThreadPoolExecutor(20) as pool:
        asked = [
            pool.submit(depart, calm, chaos, states[number % len(states)], f"crowd-{number}")
            for number in range(100)
        ]
        delays = sorted(delay for departure in asked for delay in departure.result())
    assert len(delays) > 100
    assert delays[-1] < 2.5
    server = houses["calm"]
    log = server.await_log(lambda log: log.count(":crowd-") >= 100, "a line for each")
    assert sum(":crowd-" in line and "status=499" in line for line in log.splitlines()) == 100
    assert "Traceback" not in log
    assert ask(calm, "chat", "good").text == TEXT


def test_a_departure_before_the_request_is_whole_asks_nothing_of_ollama(houses: Houses, chaos: Chaos) -> None:
    with Caller(houses.port("calm")) as caller:
        caller.send(request(PATHS["chat"], body_for("chat", "good:unsent"))[:-5])
    assert ask(houses.port("calm"), "chat", "good").text == TEXT
    assert chaos.asked_for("good:unsent") == []
