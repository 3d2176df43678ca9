"""Waiting for sockets, in threads here and in greenlets in a process of their own."""

from __future__ import annotations

import math
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from o2o.upstream.waiting import ThreadWaiting, wait_for

IN_GREENLETS = """
from gevent import monkey; monkey.patch_all()
import math, socket, time
import gevent
from o2o.upstream.waiting import GreenletWaiting, wait_for

def pair():
    ours, theirs = socket.socketpair()
    return ours, theirs, wait_for(ours)

ours, theirs, waiting = pair()
assert isinstance(waiting, GreenletWaiting)

# What is there already is noticed, with and without an end.
theirs.send(b"x")
assert waiting.readable(time.monotonic() + 5)
assert waiting.readable(math.inf)
ours.recv(1)

# Nothing comes: the moment does.
began = time.monotonic()
assert not waiting.readable(began + 0.05)
assert 0.05 <= time.monotonic() - began < 2

# A moment that has passed already.
assert not waiting.readable(time.monotonic() - 1)

# Many wait with moments in any order; each ends at its own, and what comes first counts.
results = {}
def wait(number, seconds, others):
    began = time.monotonic()
    results[number] = (others.readable(began + seconds), time.monotonic() - began)
many = [pair() for _ in range(6)]
seconds = [0.3, 0.05, 0.2, 0.1, 30, 30]
greenlets = [gevent.spawn(wait, n, s, one[2]) for n, (s, one) in enumerate(zip(seconds, many))]
gevent.sleep(0.02)
many[4][1].send(b"x")
many[5][1].close()
gevent.joinall(greenlets, timeout=10, raise_error=True)
for number in range(4):
    came, took = results[number]
    assert not came and seconds[number] <= took < seconds[number] + 2, (number, took)
assert results[4][0] and results[5][0]

# A greenlet that is killed while it waits leaves nothing behind.
victim = gevent.spawn(waiting.readable, time.monotonic() + 30)
gevent.sleep(0)
victim.kill()
assert waiting.waiter is None
assert waiting in waiting._alarm.waitings
waiting.close()
assert waiting not in waiting._alarm.waitings
print("all well")
"""


def test_in_greenlets_one_timer_serves_all_waits() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_GREENLETS],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.stdout.strip() == "all well", done.stderr


def test_without_gevent_the_operating_system_waits() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        waiting = wait_for(ours)
        assert isinstance(waiting, ThreadWaiting)
        began = time.monotonic()
        assert not waiting.readable(began + 0.05)
        assert time.monotonic() - began >= 0.05
        assert not waiting.readable(began)
        threading.Timer(0.02, theirs.send, [b"x"]).start()
        assert waiting.readable(math.inf)
        waiting.close()
