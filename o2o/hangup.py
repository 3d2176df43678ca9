"""Notice from outside that a request should end, and cut its line.

A caller that hangs up, a deadline that passes, a body that does not come, a server that stops: each of them
must reach a request that sits in a blocking read, and none is worth a greenlet for each request.

Theory of operation
-------------------
There is one watcher in a process, with one loop: a greenlet under gevent, otherwise a daemon thread. It waits
for its ears, which hold the sockets of all callers with a request in progress, and for the next moment at
which something is due.

* Departure: Linux reports a FIN as EPOLLRDHUP, half-close included (Go's net/http, and so Ollama itself,
  takes that for a departure too), and stays silent about the bytes of a pipelined request.
* File descriptors are numbers that come back: the same connection serves the next request, and a closed one
  gives its number to a stranger. So a watch is an object, added and forgotten under one lock; what wakes the
  loop only means "look now", and the looking happens under that lock.
* Time: the next due moment may be too early, never too late. A watch that ends does not move it; when it
  comes, all live watches are looked at once. There is no heap and nothing to cancel.
* `drain` is called from a signal handler, so it takes no lock.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from o2o.ears import Ears, open_ears, stop_reading, under_gevent
from o2o.errors import CallerGone, DeadlineExceeded, O2OError, ShuttingDown
from o2o.upstream.line import Line

LAST_WORDS = 5.0
"""Seconds before the end of the grace period at which what still runs is cut."""

_log = logging.getLogger(__name__)


def caller_fd(environ: Mapping[str, Any]) -> int | None:
    """Return the file descriptor of the caller's connection, or None where the server does not show it."""
    for key in ("gunicorn.socket", "gunicorn.sock", "werkzeug.socket"):
        if key in environ:
            fd = int(environ[key].fileno())
            return fd if fd >= 0 else None
    uwsgi: Any = sys.modules.get("uwsgi")  # exists only inside uWSGI
    if uwsgi is not None and "uwsgi.version" in environ:
        fd = int(uwsgi.connection_fd())
        return fd if fd >= 0 else None
    return None


class Watch:
    """One request under watch; close it before the request ends, since its connection may serve another."""

    __slots__ = ("_watcher", "body_deadline", "fd", "late", "line")

    def __init__(self, watcher: Watcher, line: Line, fd: int | None) -> None:
        self.line = line
        self.fd = fd
        self.body_deadline: float | None = None
        self.late = False
        """True when the body did not arrive in time; the caller's connection gives no more bytes then."""
        self._watcher = watcher

    def reading(self, seconds: float) -> _Reading:
        """Give the caller `seconds` for the body that is read inside the block; see `late`."""
        return _Reading(self._watcher, self, seconds)

    def close(self) -> None:
        """Stop watching; twice does no harm."""
        self._watcher.forget(self)

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Reading:
    """The block in which a body is read."""

    __slots__ = ("_seconds", "_watch", "_watcher")

    def __init__(self, watcher: Watcher, watch: Watch, seconds: float) -> None:
        self._watcher = watcher
        self._watch = watch
        self._seconds = seconds

    def __enter__(self) -> None:
        self._watcher.expect(self._watch, time.monotonic() + self._seconds)

    def __exit__(self, *how: object) -> None:
        self._watcher.arrived(self._watch)


class Watcher:
    """Cuts the lines of requests whose caller or time is gone; `watcher` gives the one of this process."""

    def __init__(self, ears: Callable[[], Ears] = open_ears) -> None:
        self._open_ears = ears
        self._ears: Ears | None = None
        self._lock = threading.Lock()
        self._watches: set[Watch] = set()
        self._by_fd: dict[int, list[Watch]] = {}
        self._next_due = math.inf
        self._drain_at = math.inf
        self._drained = False
        self._closed = False

    def __repr__(self) -> str:
        return f"<Watcher {self.live} live{', draining' if self.draining else ''}>"

    @property
    def live(self) -> int:
        """How many requests are watched at this moment."""
        return len(self._watches)

    @property
    def draining(self) -> bool:
        """True from the moment the server was told to stop."""
        return self._drain_at < math.inf

    def watch(self, line: Line, fd: int | None) -> Watch:
        """Cut `line` when its deadline passes, when the server stops or when the caller at `fd` leaves."""
        watch = Watch(self, line, fd)
        with self._lock:
            ears = self._ears or self._start()
            self._watches.add(watch)
            if fd is not None and ears.add(fd):
                self._by_fd.setdefault(fd, []).append(watch)
            if line.deadline is not None:
                self._sooner(line.deadline)
        if self._drained:
            line.cut(ShuttingDown())
        return watch

    def forget(self, watch: Watch) -> None:
        """Stop watching a request; twice does no harm."""
        with self._lock:
            self._watches.discard(watch)
            self._unhear(watch)

    def left(self, fd: int) -> None:
        """Cut the lines of the caller at `fd`: whoever writes to it has noticed first."""
        with self._lock:
            watches = list(self._by_fd.get(fd, ()))
        for watch in watches:
            watch.line.cut(CallerGone())

    def expect(self, watch: Watch, when: float) -> None:
        """Stop reading the caller's body at `when`, on the monotonic clock, unless it has arrived."""
        with self._lock:
            watch.body_deadline = when
            self._sooner(when)

    def arrived(self, watch: Watch) -> None:
        """Do not wait for the body any more; from here on `late` does not change."""
        with self._lock:
            watch.body_deadline = None

    def drain(self, grace: float) -> None:
        """Begin to stop: the process ends in `grace` seconds, every line is cut LAST_WORDS before that."""
        if not self.draining:
            self._drain_at = time.monotonic() + max(0.0, grace - LAST_WORDS)
            self._wake()

    def close(self) -> None:
        """End the loop; nothing is watched any more."""
        self._closed = True
        self._wake()

    def _sooner(self, when: float) -> None:
        if when < self._next_due:
            self._next_due = when
            self._wake()

    def _wake(self) -> None:
        if self._ears is not None:
            self._ears.wake()

    def _unhear(self, watch: Watch) -> None:
        sharers = self._by_fd.get(watch.fd, []) if watch.fd is not None else []
        if watch not in sharers:
            return
        sharers.remove(watch)
        if watch.fd is not None and self._ears is not None and not sharers:
            del self._by_fd[watch.fd]
            self._ears.remove(watch.fd)

    # --- the loop

    def _start(self) -> Ears:
        ears = self._ears = self._open_ears()
        if under_gevent():
            import gevent

            gevent.spawn(self._run, ears)
        else:
            threading.Thread(target=self._run, args=(ears,), name="o2o-watcher", daemon=True).start()
        return ears

    def _run(self, ears: Ears) -> None:
        while not self._closed:
            try:
                ears.wait(max(0.0, self._next_moment() - time.monotonic()))
                self._look(ears, time.monotonic())
            except Exception:  # noqa: BLE001 - one bad descriptor must not leave all other requests unwatched
                _log.exception("The watcher stumbled")
                time.sleep(0.1)
        with self._lock:
            ears.close()

    def _next_moment(self) -> float:
        return self._next_due if self._drained else min(self._next_due, self._drain_at)

    def _look(self, ears: Ears, now: float) -> None:
        ends: list[tuple[Watch, O2OError]] = []
        with self._lock:
            for fd in ears.gone():
                ends += [(watch, CallerGone()) for watch in self._by_fd.pop(fd, ())]
                ears.remove(fd)
            if now >= self._next_due:
                ends += [(watch, DeadlineExceeded()) for watch in self._overdue(now)]
            if now >= self._drain_at and not self._drained:
                self._drained = True
                ends += [(watch, ShuttingDown()) for watch in self._watches]
        for watch, error in ends:
            watch.line.cut(error)

    def _overdue(self, now: float) -> list[Watch]:
        over: list[Watch] = []
        self._next_due = math.inf
        for watch in self._watches:
            deadline, body_deadline = watch.line.deadline, watch.body_deadline
            if deadline is not None and deadline <= now:
                over.append(watch)
            elif deadline is not None:
                self._next_due = min(self._next_due, deadline)
            if body_deadline is not None and body_deadline <= now:
                self._stop_body(watch)
            elif body_deadline is not None:
                self._next_due = min(self._next_due, body_deadline)
        return over

    def _stop_body(self, watch: Watch) -> None:
        watch.late, watch.body_deadline = True, None
        # Before the shutdown, which would look like a departure, and the caller is still to read its 408.
        self._unhear(watch)
        if watch.fd is not None:
            stop_reading(watch.fd)


_of_process: list[Watcher] = []


def watcher() -> Watcher:
    """Return the watcher of this process; a process forked from it gets its own. Ask each time anew."""
    if not _of_process:
        with _making:
            if not _of_process:
                _of_process.append(Watcher())
    return _of_process[0]


_making = threading.Lock()
if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork either
    os.register_at_fork(after_in_child=_of_process.clear)
