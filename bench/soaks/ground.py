"""What all measurements stand on: the Ollama that goes wrong, the servers, and how long it all may take."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from tests.reliability.caller import get
from tests.reliability.chaos import Chaos
from tests.server import Server

TRACEBACK = "Traceback (most recent call last)"


class Figure(NamedTuple):
    """One promise and what became of it."""

    promise: str
    measured: str
    reached: bool


class Ground:
    """One chaos Ollama, and servers before it whose logs are kept; close it, whatever happens."""

    def __init__(self, scale: float, minutes: float) -> None:
        self.scale = scale
        self.minutes = minutes
        self.logs: list[str] = []
        self._outside: list[str] = []
        self.chaos = Chaos()
        self.chaos.start()

    def times(self, number: int, least: int = 1) -> int:
        """Return how often to do what is done `number` times in the long form."""
        return max(least, round(number * self.scale))

    def seconds(self, seconds: float, least: float) -> float:
        """Return for how long to do what takes `seconds` in the long form."""
        return max(least, seconds * self.scale)

    def anew(self) -> None:
        """Start over with an Ollama that remembers nothing, so that memory does not pile up between sections."""
        self._outside += self.chaos.outside()
        self.chaos.close()
        self.chaos = Chaos()
        self.chaos.start()

    def outside(self) -> list[str]:
        """Return what was asked of Ollama, ever, that may never be asked."""
        return self._outside + self.chaos.outside()

    @contextlib.contextmanager
    def server(
        self, settings: Mapping[str, str] | None = None, *, workers: int = 2, ollama: str | None = None
    ) -> Iterator[Server]:
        """Run o2o with these settings and its shipped configuration; its log is kept."""
        with Server(ollama or self.chaos.url, settings, workers=workers) as running:
            try:
                await_answer(running.port)
                yield running
            finally:
                running.stop(60)
                self.logs.append(running.log)

    def close(self) -> None:
        """End the Ollama."""
        self.chaos.close()


def await_answer(port: int, patience: float = 20.0) -> float:
    """Return when `/healthz` was answered."""
    return await_that(lambda: _answers(port), "an answer", patience)


def _answers(port: int) -> bool:
    try:
        return get(port, "/healthz").status == 200
    except OSError:
        return False


def await_that(true: Callable[[], object], what: str, patience: float = 20.0, step: float = 0.01) -> float:
    """Wait until `true()` is; return when that was, or raise AssertionError."""
    until = time.monotonic() + patience
    while not true():
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not happen within {patience} s")
        time.sleep(step)
    return time.monotonic()


def milliseconds(seconds: float) -> str:
    """Return seconds as a reader wants them."""
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.0f} s"


def say(text: str) -> None:
    """Tell the person who waits what happens."""
    print(text, file=sys.stderr, flush=True)
