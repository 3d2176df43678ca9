"""How many generations a worker process has in flight; the rest are told when to come back.

Counting only: nobody waits here, and what is refused never reaches Ollama. The count is of this process.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

from o2o.errors import ServerOverloaded

SPARE_DESCRIPTORS = 64
"""File descriptors left for everything that is not a generation."""

_FEWEST_CONNECTIONS = 1000
_SOONEST, _LATEST = 1.0, 60.0
_REMEMBERED = 64


class Place:
    """A generation in flight; leave it, whatever happens. Also a context manager."""

    __slots__ = ("_admission", "_since", "_taken")

    def __init__(self, admission: Admission, since: float) -> None:
        self._admission = admission
        self._since = since
        self._taken = True

    def leave(self) -> None:
        """Give the place back; twice does no harm."""
        self._admission._leave(self)

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()


class Admission:
    """Places for generations: `limit` of them, or fewer where the process may not open two sockets for each."""

    def __init__(
        self, limit: int, descriptors: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit = most_generations(limit, most_descriptors() if descriptors is None else descriptors)
        self._clock = clock
        self._lock = threading.Lock()
        self._in_flight = 0
        self._durations: deque[float] = deque(maxlen=_REMEMBERED)
        self._first_entry: float | None = None
        self._turned_away = 0

    def __repr__(self) -> str:
        return f"<Admission {self._in_flight} of {self.limit}>"

    @property
    def in_flight(self) -> int:
        """How many generations run at this moment."""
        return self._in_flight

    def enter(self) -> Place:
        """Take a place, or raise ServerOverloaded that says when one should be free."""
        with self._lock:
            now = self._clock()
            if self._in_flight >= self.limit:
                self._turned_away += 1
                raise ServerOverloaded(seconds=self._seconds_to_a_place(now))
            self._in_flight += 1
            if self._first_entry is None:
                self._first_entry = now
            return Place(self, now)

    def _leave(self, place: Place) -> None:
        with self._lock:
            if not place._taken:
                return
            place._taken = False
            self._in_flight -= 1
            self._durations.append(self._clock() - place._since)
            self._turned_away = max(0, self._turned_away - 1)

    def _seconds_to_a_place(self, now: float) -> float:
        # With `limit` generations that take d seconds each, a place is free every d / limit seconds; those who
        # were turned away before come first.
        if self._durations:
            duration = sum(self._durations) / len(self._durations)
        else:
            duration = now - (self._first_entry if self._first_entry is not None else now)
        return min(_LATEST, max(_SOONEST, duration / self.limit * self._turned_away))


def most_generations(limit: int, descriptors: int) -> int:
    """Return how many of `limit` generations a process may have that can open so many files: two sockets each."""
    return max(1, min(limit, (descriptors - SPARE_DESCRIPTORS) // 2))


def most_connections(limit: int, descriptors: int) -> int:
    """Return how many callers a process may be connected with: room for those beyond `limit`, to be told so.

    A process that is full accepts nobody, not even those who ask for its health; so it must not become full of
    callers who keep a connection. Yet its own connections to Ollama need descriptors, too.
    """
    generations = most_generations(limit, descriptors)
    rest = descriptors - generations - SPARE_DESCRIPTORS // 2
    return max(generations + 1, min(max(2 * limit, _FEWEST_CONNECTIONS), rest))


def most_descriptors() -> int:
    """Return how many files and sockets this process may have open."""
    try:
        import resource
    except ImportError:  # Windows, where there is no such limit on sockets
        return 1 << 30
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 30 if soft == resource.RLIM_INFINITY else soft


class Room:
    """How many bytes of large bodies a process keeps at a time; safe for threads and greenlets."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> Callable[[], None]:
        """Take room for `size` bytes and return what gives it back, once; raises ServerOverloaded."""
        with self._lock:
            if self.held + size > self.limit:
                raise ServerOverloaded(
                    "The server is busy with other large requests. Please try again shortly."
                )
            self.held += size
        left = [size]

        def give_back() -> None:
            with self._lock:
                self.held -= left.pop() if left else 0

        return give_back
