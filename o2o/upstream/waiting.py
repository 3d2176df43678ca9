"""Wait until a socket can be read, or until a moment has come; in greenlets as in threads.

Theory of operation. gevent's own waits with a time-out make a timer for each wait, which is for each token; the
moments waited for here (a heartbeat, the end of patience) are seconds away and almost never come. So all waits
of a hub share one timer, set for the earliest of them. A wait that ends leaves the timer alone: when it rings
too early, all waits are looked at and it is set anew. A `Waiting` serves its socket as long as that lives.
"""

from __future__ import annotations

import math
import socket
import sys
import time
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from urllib3.util.wait import wait_for_read


class Waiting(Protocol):
    """Waits for one socket; close it before the socket is."""

    def readable(self, until: float) -> bool:
        """Return True when there is something to read, False at `until` on the monotonic clock."""

    def close(self) -> None:
        """Give back what was opened."""


class ThreadWaiting:
    """Waits in the operating system."""

    __slots__ = ("_sock",)

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def readable(self, until: float) -> bool:
        seconds = None if until == math.inf else max(0.0, until - time.monotonic())
        return wait_for_read(self._sock, timeout=seconds)

    def close(self) -> None:
        """Nothing was opened."""


class _Alarm:
    """Wakes the waits of one hub whose moment has come."""

    def __init__(self, loop: Any) -> None:
        self.rings_at = math.inf
        """The monotonic moment for which the timer is set; whoever waits until an earlier one has to set it."""
        self.waitings: set[GreenletWaiting] = set()
        self._loop = loop
        self._timer: Any = None

    def set(self, moment: float) -> None:
        """Ring at `moment`."""
        if self._timer is not None:
            self._timer.close()
        self.rings_at = moment
        self._timer = self._loop.timer(max(0.0, moment - time.monotonic()))
        self._timer.start(self._ring, update=True)

    def _ring(self) -> None:
        now = time.monotonic()
        self.rings_at = math.inf
        waiting = [one for one in self.waitings if one.waiter is not None]
        for one in waiting:
            if one.until <= now:
                one.waiter.switch(False)
        # Those that were woken may have set the timer themselves.
        earliest = min((one.until for one in waiting if one.waiter is not None), default=math.inf)
        if earliest < self.rings_at:
            self.set(earliest)


_alarms: WeakKeyDictionary[Any, _Alarm] = WeakKeyDictionary()
"""By hub; a hub belongs to one thread of one process."""


class GreenletWaiting:
    """Waits in gevent's loop, without a timer of its own."""

    __slots__ = ("_alarm", "_hub", "_io", "_new_waiter", "until", "waiter")

    def __init__(self, sock: socket.socket) -> None:
        from gevent.hub import Waiter, get_hub

        hub = get_hub()
        alarm = _alarms.get(hub)
        if alarm is None:
            alarm = _alarms[hub] = _Alarm(hub.loop)
        self._alarm = alarm
        self._hub = hub
        self._new_waiter: Any = Waiter
        self._io: Any = hub.loop.io(sock.fileno(), 1)
        self.waiter: Any = None
        self.until = math.inf
        alarm.waitings.add(self)

    def readable(self, until: float) -> bool:
        alarm = self._alarm
        if until < alarm.rings_at:
            alarm.set(until)
        self.until = until
        waiter = self.waiter = self._new_waiter(self._hub)
        self._io.start(waiter.switch, True)
        try:
            came: bool = waiter.get()
        finally:
            self._io.stop()
            self.waiter = None
        return came

    def close(self) -> None:
        self._alarm.waitings.discard(self)
        self._io.close()


def wait_for(sock: socket.socket) -> Waiting:
    """Return the way to wait for `sock` that fits how this process was started."""
    monkey: Any = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("socket"):
        return GreenletWaiting(sock)
    return ThreadWaiting(sock)
