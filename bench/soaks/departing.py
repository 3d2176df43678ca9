"""Callers that leave: how soon Ollama is told, and what is left behind."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

from bench.soaks.ground import Figure, Ground, await_that, milliseconds
from tests.reliability.crowd import quantile
from tests.reliability.departures import STATES, depart
from tests.reliability.memory import descriptors

GROUPS = {
    "queued": ("queued",),
    "after the head": ("the head came",),
    "mid-stream": (
        "in the middle of a stream",
        "in the middle of three choices",
        "in a silence",
        "in the middle of a line",
    ),
    "whole": ("in the middle of a whole", "in the middle of three whole"),
    "blocked in writing": ("while much",),
}
SPARE = 5


def departures(ground: Ground) -> list[Figure]:
    """Let callers leave in all states, several at a time, and count the generations that go on."""
    number = ground.times(1000, len(STATES))
    words = list(STATES)
    delays: dict[str, list[float]] = defaultdict(list)
    left = 0
    with ground.server() as server, ThreadPoolExecutor(10) as pool:
        before = descriptors(server)
        asked = []
        for n in range(number):
            state = words[n % len(words)]
            asked.append((state, pool.submit(depart, server.port, ground.chaos, STATES[state], f"d{n}")))
        for state, each in asked:
            try:
                delays[_group(state)] += each.result()
            except AssertionError:
                left += 1
        server.await_log(lambda log: log.count("status=499") >= number - left, "all lines of the log", 60)
        after = await_that(lambda: descriptors(server) <= before + SPARE, "the end of all connections", 30)
        lines = sum(":d" in line and "status=499" in line for line in server.log.splitlines())
    everything = [delay for group in delays.values() for delay in group]
    slowest = quantile(everything, 0.99)
    by_group = ", ".join(
        f"{group} {milliseconds(quantile(values, 0.99))}" for group, values in delays.items()
    )
    return [
        Figure("generations that go on after their caller left", f"{left} of {number:,}", left == 0),
        Figure(
            "until Ollama is told, p99 (target 100 ms)",
            f"{milliseconds(slowest)} ({by_group})",
            slowest <= 0.1,
        ),
        Figure(
            "until Ollama is told, longest (target 250 ms)",
            milliseconds(max(everything)),
            max(everything) <= 0.25,
        ),
        Figure(
            "one line with 499 for each departure", f"{lines:,} of {number:,}", lines == number and after > 0
        ),
    ]


def _group(state: str) -> str:
    half = " half-closed" if "half-closed" in state else ""
    return next(group for group, starts in GROUPS.items() if state.startswith(starts)) + half
