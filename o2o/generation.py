"""Where turns meet the network: send what a turn asks, feed it what comes.

Nothing here knows what is asked or answered, nor how it is written to the caller.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Generator, Sequence
from typing import cast

from o2o.errors import CallerGone, O2OError, Refused
from o2o.translate.turn import Choice, Turn
from o2o.upstream.client import Upstream
from o2o.upstream.line import Line
from o2o.upstream.replies import Beat

CLOSING = 1.0
"""Seconds that runs which are cancelled may take to close their connections."""

Run = Generator["list[Choice] | None", None, "list[Choice]"]
"""Yields choices as they come, None when a beat is due; returns the last choices. Close it, whatever happens."""


def run(turn: Turn, upstream: Upstream, line: Line, beat: Beat | None = None) -> Run:
    """Drive one turn to its end; raises what the caller is to see."""
    last: list[Choice] = []
    while turn.ask is not None:
        if last:
            yield last
        last = yield from _ask(turn, upstream, line, beat)
        if beat is not None:
            beat = Beat(beat.interval, beat.interval)
    return last


def _ask(turn: Turn, upstream: Upstream, line: Line, beat: Beat | None) -> Run:
    try:
        return (yield from _read(turn, upstream, line, beat))
    except CallerGone:
        raise
    except O2OError:
        rest = turn.rest()
        if rest:
            yield rest
        raise


def _read(turn: Turn, upstream: Upstream, line: Line, beat: Beat | None) -> Run:
    ask = turn.ask
    assert ask is not None
    replies = upstream.ask(ask.path, ask.payload, line, patient=ask.patient, beat=beat)
    hidden = _Hidden(beat)
    try:
        for batch in replies:
            choices = turn.feed(batch) if batch else None
            if choices:
                hidden.since = None
                yield choices
            else:
                yield hidden.beat(choices)
    except Refused as refused:
        return turn.refused(refused)
    finally:
        replies.close()
    return turn.close()


class _Hidden:
    """Notices when Ollama talks and the caller hears nothing: hidden thoughts, calls that are collected.

    Beats for what Ollama does not say come with the replies.
    """

    def __init__(self, beat: Beat | None) -> None:
        self.since: float | None = None
        """When something began to come that is not shown, or the last beat was; None after what is shown."""
        self._after, self._interval = beat or (math.inf, math.inf)

    def beat(self, choices: list[Choice] | None) -> list[Choice] | None:
        """Return None when a beat is due, and otherwise `choices`, which are empty, or None for a beat that was."""
        now = time.monotonic()
        if self.since is None:
            self.since = now
        if choices is not None and now - self.since < self._after:
            return choices
        self.since, self._after = now, self._interval
        return None


def begun(started: Run) -> Run:
    """Wait for the first thing that a run yields and return the run with it still to come.

    Raises what fails before that, which is the moment that decides the status of a response.
    """
    try:
        first = next(started)
    except StopIteration as stop:
        return _ended(stop.value)
    return _resumed(first, started)


def _ended(last: list[Choice]) -> Run:
    yield from ()
    return last


def _resumed(first: list[Choice] | None, started: Run) -> Run:
    yield first
    return (yield from started)


class _End:
    """The end of one of several runs: its last choices, or what ended it."""

    def __init__(self, last: list[Choice], error: BaseException | None = None) -> None:
        self.last = last
        self.error = error


def run_all(
    turns: Sequence[Turn],
    upstream: Upstream,
    line: Line,
    beat: Beat | None,
    at_once: int,
    *,
    closing: float = CLOSING,
) -> Run:
    """Drive several turns, at most `at_once` at a time; the first to fail fails all and cancels the others.

    The first turn starts first and its first choices come first. Runs that are cancelled have `closing` seconds
    to close their connections.
    """
    if len(turns) == 1:
        return run(turns[0], upstream, line, beat)
    return _Several(turns, upstream, line, at_once, closing).run(beat)


class _Several:
    """Several runs at once: each in a thread (a greenlet under gevent), their choices in one bounded queue."""

    def __init__(
        self, turns: Sequence[Turn], upstream: Upstream, line: Line, at_once: int, closing: float
    ) -> None:
        self._closing = closing
        self._waiting = list(reversed(turns))
        self._upstream = upstream
        self._line = line
        self._at_once = at_once
        self._running = 0
        self._came: queue.Queue[list[Choice] | _End] = queue.Queue(maxsize=8)
        self._lines: list[Line] = []
        self._stopped = False

    def run(self, beat: Beat | None) -> Run:
        """Yield what comes from all runs until the last one is over."""
        order, silence = _Order(), _Silence(beat)
        try:
            while self._start_waiting():
                came = order.admit(self._next(silence.left()))
                yield from came
                if came:
                    silence.broken()
                elif silence.over():
                    yield None
                    silence.broken()
        finally:
            self._stop()
        return []

    def _start_waiting(self) -> bool:
        """Start as many runs as may run at once; return whether any runs."""
        while self._waiting and self._running < self._at_once:
            self._start(self._waiting.pop())
            self._running += 1
        return self._running > 0

    def _next(self, seconds: float | None) -> list[Choice]:
        """Return the next choices, or nothing when none come in time or a run is over; raises what ended a run."""
        try:
            item = self._came.get(timeout=seconds)
        except queue.Empty:
            return []
        if not isinstance(item, _End):
            return item
        self._running -= 1
        if item.error is not None:
            raise item.error
        return item.last

    def _start(self, turn: Turn) -> None:
        line = Line(self._line.deadline)
        self._lines.append(line)
        self._line.on_cut(lambda: line.cut(cast(O2OError, self._line.reason)))
        threading.Thread(target=self._work, args=(turn, line), daemon=True).start()

    def _work(self, turn: Turn, line: Line) -> None:
        runner = run(turn, self._upstream, line)
        last: list[Choice] = []
        error: BaseException | None = None
        try:
            last = self._pass_on(runner)
        except BaseException as raised:  # noqa: BLE001  # it is raised again where the caller waits
            error = raised
        finally:
            runner.close()
            self._came.put(_End(last, error))

    def _pass_on(self, runner: Run) -> list[Choice]:
        while not self._stopped:
            try:
                item = next(runner)
            except StopIteration as stop:
                last: list[Choice] = stop.value
                return last
            if item:
                self._came.put(item)
        return []

    def _stop(self) -> None:
        """End the runs that are still going, and give them a moment to close their connections."""
        self._stopped = True
        for line in self._lines:
            line.cut(CallerGone())
        until = time.monotonic() + self._closing
        while self._running:  # one of them may be waiting for room in the queue
            try:
                item = self._came.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return
            self._running -= isinstance(item, _End)


class _Order:
    """Lets nothing pass before the first choice has begun, which is what OpenAI's own client counts on."""

    def __init__(self) -> None:
        self._early: list[list[Choice]] | None = []

    def admit(self, choices: list[Choice]) -> list[list[Choice]]:
        """Return what may pass now."""
        if self._early is None or not choices:
            return [choices] if choices else []
        if choices[0]["index"] != 0:
            self._early.append(choices)
            return []
        early, self._early = self._early, None
        return [choices, *early]


class _Silence:
    """How long the caller has heard nothing."""

    def __init__(self, beat: Beat | None) -> None:
        self._beat = beat
        self._until = None if beat is None else time.monotonic() + beat.after

    def left(self) -> float | None:
        """Return the seconds until a sign of life is due, None for never."""
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    def over(self) -> bool:
        return self.left() == 0.0

    def broken(self) -> None:
        """Begin anew: the caller has heard something."""
        if self._beat is not None:
            self._until = time.monotonic() + self._beat.interval
