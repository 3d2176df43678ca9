"""Where turns meet the network: send what a turn asks, feed it what comes.

Nothing here knows what is asked or answered, nor how it is written to the caller.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Sequence
from typing import cast

from o2o.errors import CallerGone, O2OError, Refused
from o2o.translate.turn import Choice, Turn
from o2o.upstream.client import Upstream
from o2o.upstream.line import Line
from o2o.upstream.replies import Beat

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
    try:
        for batch in replies:
            yield turn.feed(batch) if batch else None
    except Refused as refused:
        return turn.refused(refused)
    finally:
        replies.close()
    return turn.close()


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


def run_all(turns: Sequence[Turn], upstream: Upstream, line: Line, beat: Beat | None, at_once: int) -> Run:
    """Drive several turns, at most `at_once` at a time; the first to fail fails all and cancels the others.

    The first turn starts first and its first choices come first.
    """
    if len(turns) == 1:
        return run(turns[0], upstream, line, beat)
    return _Several(turns, upstream, line, at_once).run(beat)


class _Several:
    """Several runs at once: each in a thread (a greenlet under gevent), their choices in one bounded queue."""

    def __init__(self, turns: Sequence[Turn], upstream: Upstream, line: Line, at_once: int) -> None:
        self._waiting = list(reversed(turns))
        self._first = turns[0]
        self._upstream = upstream
        self._line = line
        self._at_once = at_once
        self._came: queue.Queue[list[Choice] | _End] = queue.Queue(maxsize=8)
        self._lines: list[Line] = []
        self._stopped = False

    def run(self, beat: Beat | None) -> Run:
        running = 0
        last: list[Choice] = []
        early: list[list[Choice]] = []
        first_came = False
        silence = beat.after if beat is not None else None
        try:
            while True:
                while self._waiting and running < self._at_once:
                    self._start(self._waiting.pop())
                    running += 1
                if not running:
                    return last
                try:
                    item = self._came.get(timeout=silence)
                except queue.Empty:
                    yield None
                    silence = beat.interval if beat is not None else None
                    continue
                if isinstance(item, _End):
                    running -= 1
                    if item.error is not None:
                        raise item.error
                    item = item.last
                if beat is not None:
                    silence = beat.interval
                if not first_came and item and item[0]["index"] != 0:
                    early.append(item)
                    continue
                if item and not first_came:
                    first_came = True
                    yield item
                    yield from early
                    continue
                if running or self._waiting:
                    yield item
                else:
                    last = item
        finally:
            self._stop()

    def _start(self, turn: Turn) -> None:
        line = Line(self._line.deadline)
        self._lines.append(line)
        self._line.on_cut(lambda: line.cut(cast(O2OError, self._line.reason)))
        threading.Thread(target=self._work, args=(turn, line), daemon=True).start()

    def _work(self, turn: Turn, line: Line) -> None:
        runner = run(turn, self._upstream, line)
        try:
            while True:
                try:
                    item = next(runner)
                except StopIteration as stop:
                    self._put(_End(stop.value))
                    return
                if item and not self._put(item):
                    return
        except BaseException as error:  # noqa: BLE001  # it is raised again where the caller waits
            self._put(_End([], error))
        finally:
            runner.close()

    def _put(self, item: list[Choice] | _End) -> bool:
        while not self._stopped:
            try:
                self._came.put(item, timeout=1.0)
                return True
            except queue.Full:
                continue
        return False

    def _stop(self) -> None:
        """End the runs that are still going: nobody waits for them any more."""
        self._stopped = True
        for line in self._lines:
            line.cut(CallerGone())
