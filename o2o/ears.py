"""Hear which of many sockets were closed by their peer, without reading from them.

`EpollEars` where there is epoll, `PeekingEars` elsewhere. They know file descriptors and nothing else; whose
they are is the business of `hangup`.
"""

from __future__ import annotations

import _socket
import contextlib
import math
import os
import select
import socket
import sys
import time
from typing import Any, Protocol

PEEK_INTERVAL = 0.25
"""Seconds between two looks where looking is all there is."""

_NAP = 60.0
"""The longest sleep, in seconds; waking for nothing does no harm."""


class Ears(Protocol):
    """What hears; `wait` is for the one loop, `wake` for anybody, the others go under the owner's lock."""

    def add(self, fd: int) -> bool:
        """Listen to a socket; False when it cannot be listened to."""

    def remove(self, fd: int) -> None:
        """Do not listen any more; an unknown or closed descriptor does no harm."""

    def wait(self, seconds: float) -> None:
        """Return when there may be something to hear, after `wake`, or after `seconds` at the latest."""

    def gone(self) -> list[int]:
        """Return the sockets whose peer has said goodbye, each once."""

    def wake(self) -> None:
        """End a `wait`, soon; may be called from a signal handler."""

    def close(self) -> None:
        """Give back what was opened."""


def under_gevent() -> bool:
    """Tell whether sockets are gevent's, so that a blocking call blocks only its own greenlet."""
    monkey: Any = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("socket"))


def open_ears() -> Ears:
    """Return the best ears that this system has."""
    return EpollEars() if sys.platform == "linux" else PeekingEars()


class EpollEars:
    """EPOLLRDHUP: half-closed counts, pipelined bytes do not, TLS does not matter. Nothing is polled."""

    def __init__(self) -> None:
        self._epoll = _real("epoll")()
        self._waker, self._alarm = os.pipe()
        for fd in (self._waker, self._alarm):
            os.set_blocking(fd, False)
        self._epoll.register(self._waker, select.EPOLLIN)
        # One shot: a descriptor that was closed here, but lives on in another process, cannot be removed
        # any more and would be reported for ever.
        self._interest = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR | select.EPOLLONESHOT

    def add(self, fd: int) -> bool:
        try:
            self._epoll.register(fd, self._interest)
        except FileExistsError:
            self._epoll.modify(fd, self._interest)
        except (OSError, ValueError):
            return False
        return True

    def remove(self, fd: int) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._epoll.unregister(fd)

    def wait(self, seconds: float) -> None:
        # An epoll descriptor is itself readable when it has something to say, and asking takes nothing away.
        seconds = min(seconds, _NAP)
        if under_gevent():
            import gevent.socket

            with contextlib.suppress(TimeoutError):
                gevent.socket.wait_read(self._epoll.fileno(), timeout=seconds)
        else:
            poll = select.poll()
            poll.register(self._epoll.fileno(), select.POLLIN)
            poll.poll(math.ceil(seconds * 1000))

    def gone(self) -> list[int]:
        heard = [fd for fd, _ in self._epoll.poll(0)]
        if self._waker in heard:
            heard.remove(self._waker)
            with contextlib.suppress(BlockingIOError):
                os.read(self._waker, 4096)
        return heard

    def wake(self) -> None:
        # Full: it will wake anyway. Closed: nobody sleeps.
        with contextlib.suppress(OSError):
            os.write(self._alarm, b"!")

    def close(self) -> None:
        self._epoll.close()
        os.close(self._waker)
        os.close(self._alarm)


class PeekingEars:
    """Peeks at every socket four times a second; bytes in the way hide a departure behind them."""

    def __init__(self) -> None:
        self._fds: set[int] = set()

    def add(self, fd: int) -> bool:
        if fd >= 0:
            self._fds.add(fd)
        return fd >= 0

    def remove(self, fd: int) -> None:
        self._fds.discard(fd)

    def wait(self, seconds: float) -> None:
        time.sleep(min(seconds, PEEK_INTERVAL))

    def gone(self) -> list[int]:
        heard = [fd for fd in self._fds if _at_end(fd)]
        self._fds.difference_update(heard)
        return heard

    def wake(self) -> None:
        pass

    def close(self) -> None:
        self._fds.clear()


def stop_reading(fd: int) -> None:
    """Shut the reading side of the socket `fd`, which stays open: its blocked reader gets an end of file."""
    with contextlib.suppress(OSError):
        sock = _socket.socket(fileno=fd)
        try:
            sock.shutdown(socket.SHUT_RD)
        finally:
            sock.detach()


def _at_end(fd: int) -> bool:
    try:
        sock = _socket.socket(fileno=fd)
    except OSError:
        return True
    try:
        return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except (BlockingIOError, InterruptedError):
        return False
    except OSError:
        return True
    finally:
        sock.detach()


def _real(name: str) -> Any:
    if under_gevent():  # which takes epoll out of `select`
        from gevent import monkey

        return monkey.get_original("select", name)
    return getattr(select, name)
