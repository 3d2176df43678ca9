"""An Ollama that is gone for a while, and one that fails always."""

from __future__ import annotations

import time
from collections import Counter

from bench.soaks.ground import Figure, Ground, milliseconds
from tests.ollama import FakeOllama
from tests.reliability.caller import ask
from tests.reliability.outcomes import wrongs
from tests.reliability.table import UNAVAILABLE

FAILING = ("crashed", "no-memory", "busy", "odd-error", "html-502", "nothing", "closed", "reset-at-once")


def gone(ground: Ground) -> list[Figure]:
    """Take Ollama away, ask all the time, and bring it back."""
    seconds = ground.seconds(30, 3)
    first = FakeOllama()
    first.start()
    slowest, odd, number = 0.0, 0, 0
    with ground.server(ollama=first.url) as server:
        ask(server.port, "chat", "practice")
        first.close()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            answer = ask(server.port, "chat", "practice", stream=number % 2 == 0)
            slowest, number = max(slowest, answer.seconds), number + 1
            odd += bool(wrongs(answer, UNAVAILABLE))
            time.sleep(0.05)
        with FakeOllama(port=first.port):
            back = time.monotonic()
            while (
                answer := ask(server.port, "chat", "practice")
            ).status != 200 and time.monotonic() < back + 30:
                odd += bool(wrongs(answer, UNAVAILABLE))
                time.sleep(0.02)
            until_served = time.monotonic() - back
    return [
        Figure(
            f"while Ollama is gone for {seconds:.0f} s: longest answer (target 1 s)",
            f"{milliseconds(slowest)} of {number:,}, {odd} other than 503 with Retry-After",
            slowest <= 1 and odd == 0,
        ),
        Figure("first success after its return (target 5 s)", milliseconds(until_served), until_served <= 5),
    ]


def retries(ground: Ground) -> list[Figure]:
    """Count what Ollama is asked when every answer of its is an error."""
    number = ground.times(1000, 40)
    statuses: Counter[int] = Counter()
    with ground.server() as server:
        before = len(ground.chaos.requests)
        for n in range(number):
            statuses[ask(server.port, "chat", FAILING[n % len(FAILING)], stream=n % 3 == 0).status] += 1
        asked = len(ground.chaos.requests) - before
    share = asked / number
    shown = f"{share:.3f} × ({asked:,} for {number:,}; statuses {dict(sorted(statuses.items()))})"
    return [
        Figure("requests to Ollama for each of the caller's when all fail (target 1.2)", shown, share <= 1.2)
    ]
