"""A request ends when its caller or its time is gone."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from o2o.ears import EpollEars, PeekingEars
from o2o.errors import CallerGone, DeadlineExceeded, O2OError, ShuttingDown
from o2o.hangup import LAST_WORDS, Watcher, caller_fd, watcher
from o2o.upstream.line import Line

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=[EpollEars, PeekingEars])
def here(request: pytest.FixtureRequest) -> Iterator[Watcher]:
    made = Watcher(request.param)
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Return both ends of a TCP connection: the server's, the caller's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        caller = socket.create_connection(listener.getsockname(), 5)
        served, _ = listener.accept()
    served.settimeout(5)
    with served, caller:
        yield served, caller


def _end_of(line: Line) -> type[O2OError] | None:
    """Wait until the line is cut and return what for."""
    cut = threading.Event()
    line.on_cut(cut.set)
    cut.wait(5)
    return None if line.reason is None else type(line.reason)


def test_a_caller_that_leaves_cuts_its_line(here: Watcher, pair: Pair) -> None:
    line = Line()
    with here.watch(line, pair[0].fileno()):
        pair[1].close()
        assert _end_of(line) is CallerGone


def test_a_caller_that_had_left_before_is_noticed(here: Watcher, pair: Pair) -> None:
    line = Line()
    pair[1].close()
    with here.watch(line, pair[0].fileno()):
        assert _end_of(line) is CallerGone


def test_a_half_close_counts_as_leaving(here: Watcher, pair: Pair) -> None:
    line = Line()
    with here.watch(line, pair[0].fileno()):
        pair[1].shutdown(socket.SHUT_WR)
        assert _end_of(line) is CallerGone


def test_departure_is_noticed_within_a_tenth_of_a_second(pair: Pair) -> None:
    here, line = Watcher(), Line()
    with here.watch(line, pair[0].fileno()):
        before = time.monotonic()
        pair[1].close()
        assert _end_of(line) is CallerGone
        assert time.monotonic() - before < 0.1
    here.close()


def test_only_the_line_of_who_left_is_cut(here: Watcher, pair: Pair) -> None:
    ours, theirs = socket.socketpair()
    staying, leaving = Line(), Line()
    with ours, theirs, here.watch(staying, ours.fileno()), here.watch(leaving, pair[0].fileno()):
        pair[1].close()
        assert _end_of(leaving) is CallerGone
        assert staying.reason is None


def test_pipelined_bytes_are_not_a_departure(here: Watcher, pair: Pair) -> None:
    line, other = Line(), Line()
    ours, theirs = socket.socketpair()
    with ours, here.watch(line, pair[0].fileno()), here.watch(other, ours.fileno()):
        pair[1].sendall(b"POST /v1/chat/completions HTTP/1.1\r\n")
        assert pair[0].recv(1, socket.MSG_PEEK) == b"P"
        theirs.close()
        assert _end_of(other) is CallerGone  # so the watcher has looked
        assert line.reason is None


def test_a_watch_that_was_closed_hears_nothing(here: Watcher, pair: Pair) -> None:
    line, other = Line(), Line()
    here.watch(line, pair[0].fileno()).close()
    pair[1].close()
    with here.watch(other, pair[0].fileno()):
        assert _end_of(other) is CallerGone
    assert line.reason is None


def test_a_kept_connection_is_watched_for_its_next_request_only(here: Watcher, pair: Pair) -> None:
    first, second = Line(), Line()
    old = here.watch(first, pair[0].fileno())
    old.close()
    with here.watch(second, pair[0].fileno()):
        old.close()  # late, and not about the new request
        pair[1].close()
        assert _end_of(second) is CallerGone
    assert first.reason is None


def test_two_requests_on_one_connection_are_both_cut(here: Watcher, pair: Pair) -> None:
    first, second, third = Line(), Line(), Line()
    with here.watch(first, pair[0].fileno()), here.watch(second, pair[0].fileno()):
        here.watch(third, pair[0].fileno()).close()
        pair[1].close()
        assert (_end_of(first), _end_of(second), third.reason) == (CallerGone, CallerGone, None)


@pytest.mark.parametrize("fd", [None, -1])
def test_without_a_socket_the_rest_still_works(here: Watcher, fd: int | None) -> None:
    line = Line(deadline=time.monotonic() + 0.02)
    with here.watch(line, fd):
        assert _end_of(line) is DeadlineExceeded


def test_a_deadline_cuts(here: Watcher) -> None:
    deadline = time.monotonic() + 0.05
    late, later = Line(deadline), Line(deadline + 60)
    with here.watch(later, None), here.watch(late, None):
        assert _end_of(late) is DeadlineExceeded
        assert time.monotonic() >= deadline
        assert later.reason is None


def test_a_nearer_deadline_shortens_a_wait_that_has_begun(here: Watcher) -> None:
    far, near = Line(time.monotonic() + 60), Line(time.monotonic() + 0.05)
    with here.watch(far, None):
        with here.watch(near, None):
            assert _end_of(near) is DeadlineExceeded
        last = Line(time.monotonic() + 0.05)
        with here.watch(last, None):
            assert _end_of(last) is DeadlineExceeded


def test_a_deadline_of_a_finished_request_touches_nobody(here: Watcher) -> None:
    now = time.monotonic()
    done, running = Line(now + 0.02), Line(now + 0.1)
    here.watch(done, None).close()
    with here.watch(running, None):
        assert _end_of(running) is DeadlineExceeded
    assert done.reason is None


def test_a_body_that_does_not_come_ends_reading_but_not_the_request(here: Watcher, pair: Pair) -> None:
    line = Line()
    with here.watch(line, pair[0].fileno()) as watch:
        with watch.reading(0.05):
            assert pair[0].recv(1) == b""
        assert watch.late
        pair[0].sendall(b"408")
        assert pair[1].recv(3) == b"408"
        line.check()


def test_a_body_that_came_in_time_is_not_late(here: Watcher, pair: Pair) -> None:
    marker = Line(time.monotonic() + 0.1)
    with here.watch(Line(), pair[0].fileno()) as watch, here.watch(marker, None):
        with watch.reading(0.02):
            pass
        assert _end_of(marker) is DeadlineExceeded
        assert not watch.late
        pair[1].sendall(b"x")
        assert pair[0].recv(1) == b"x"


def test_lateness_is_told_without_a_socket_too(here: Watcher) -> None:
    marker = Line(time.monotonic() + 0.1)
    with here.watch(Line(), None) as watch, here.watch(marker, None), watch.reading(0.02):
        assert _end_of(marker) is DeadlineExceeded
        assert watch.late


def test_draining_leaves_requests_alone_until_five_seconds_before_the_end(here: Watcher) -> None:
    line = Line()
    with here.watch(line, None):
        before, drained_before = time.monotonic(), here.draining
        here.drain(LAST_WORDS + 0.1)
        assert (drained_before, here.draining) == (False, True)
        assert line.reason is None
        assert _end_of(line) is ShuttingDown
        assert 0.1 <= time.monotonic() - before < 1


def test_a_request_that_comes_too_late_is_cut_at_once(here: Watcher) -> None:
    first, second = Line(), Line()
    with here.watch(first, None):
        here.drain(1)
        assert _end_of(first) is ShuttingDown
    with here.watch(second, None):
        assert isinstance(second.reason, ShuttingDown)


def test_draining_begins_once(here: Watcher) -> None:
    line = Line()
    here.drain(LAST_WORDS + 60)
    here.drain(0)
    with here.watch(line, None):
        assert here.draining
        assert line.reason is None


def test_whoever_fails_to_write_tells_that_the_caller_left(here: Watcher, pair: Pair) -> None:
    line, other = Line(), Line()
    with here.watch(line, pair[0].fileno()), here.watch(other, None):
        here.left(pair[0].fileno())
        assert isinstance(line.reason, CallerGone)
        here.left(10_000)
        assert other.reason is None


def test_the_watcher_counts_its_requests(here: Watcher) -> None:
    with here.watch(Line(), None), here.watch(Line(), None):
        assert (here.live, repr(here)) == (2, "<Watcher 2 live>")
    here.drain(60)
    assert repr(here) == "<Watcher 0 live, draining>"


def test_a_stumble_does_not_end_the_watch(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    class Stumbling(EpollEars):
        stumbles = 2

        def gone(self) -> list[int]:
            if self.stumbles:
                self.stumbles -= 1
                raise OSError("bad descriptor")
            return super().gone()

    here, line = Watcher(Stumbling), Line()
    with here.watch(line, pair[0].fileno()):
        pair[1].close()
        assert _end_of(line) is CallerGone
    here.close()
    assert [record.message for record in caplog.records] == ["The watcher stumbled"] * 2


def test_a_closed_watcher_gives_its_descriptors_back() -> None:
    script = """
import os, threading
from o2o.ears import EpollEars
from o2o.hangup import Watcher
from o2o.upstream.line import Line

class Telling(EpollEars):
    def close(self):
        super().close()
        closed.set()

closed = threading.Event()
before = os.listdir("/proc/self/fd")
here = Watcher(Telling)
here.watch(Line(), None).close()
here.close()
print(closed.wait(5), os.listdir("/proc/self/fd") == before)
"""
    assert _run(script) == "True True\n"


def test_many_requests_on_recycled_descriptors(here: Watcher) -> None:
    for _ in range(200):
        ours, theirs = socket.socketpair()
        line = Line()
        with here.watch(line, ours.fileno()):
            pass
        ours.close()
        theirs.close()
        assert line.reason is None
    assert here.live == 0


def test_a_process_has_one_watcher_and_a_forked_one_its_own() -> None:
    script = (
        "import os; from o2o.hangup import watcher; from o2o.upstream.line import Line\n"
        "mine = watcher(); mine.watch(Line(), None); assert watcher() is mine\n"
        "pid = os.fork()\n"
        "if pid == 0: os._exit(watcher() is mine or watcher().live)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    assert _run(script) == "0\n"
    assert watcher() is watcher()


class _Socket(NamedTuple):
    number: int

    def fileno(self) -> int:
        return self.number


@pytest.mark.parametrize(
    ("environ", "fd"),
    [
        ({"gunicorn.socket": _Socket(7)}, 7),
        ({"gunicorn.sock": _Socket(8)}, 8),
        ({"werkzeug.socket": _Socket(9)}, 9),
        ({"gunicorn.socket": _Socket(-1)}, None),
        ({"uwsgi.version": b"2.0.21"}, None),
        ({"mod_wsgi.version": (4, 9, 4)}, None),
        ({}, None),
    ],
)
def test_the_callers_descriptor_is_found_where_the_server_shows_it(
    environ: dict[str, object], fd: int | None
) -> None:
    assert caller_fd(environ) == fd


@pytest.mark.parametrize(("answer", "fd"), [(6, 6), (-1, None)])
def test_inside_uwsgi_the_descriptor_comes_from_its_module(answer: int, fd: int | None) -> None:
    script = (
        "import sys, types; from o2o.hangup import caller_fd\n"
        f"sys.modules['uwsgi'] = types.SimpleNamespace(connection_fd=lambda: {answer})\n"
        "print(caller_fd({'uwsgi.version': b'2'}))"
    )
    assert _run(script) == f"{fd}\n"


_UNDER_GEVENT = """
from gevent import monkey; monkey.patch_all()
import gevent, os, socket, time
from gevent.event import Event
from o2o.errors import *
from o2o.hangup import LAST_WORDS, Watcher
from o2o.upstream.line import Line

gevent.Timeout(20).start()
here = Watcher()

def end_of(line):
    cut = Event()
    line.on_cut(cut.set)
    cut.wait()
    return type(line.reason)

def connection():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        caller = socket.create_connection(listener.getsockname())
        return listener.accept()[0], caller

# The upstream read of a request ends when its caller leaves.
served, caller = connection()
ours, ollamas = socket.socketpair()
line = Line()
with here.watch(line, served.fileno()):
    line.attach(ours)
    reader = gevent.spawn(ours.recv, 1)
    gevent.sleep(0)
    before = time.monotonic()
    caller.close()
    assert reader.get() == b""
    assert time.monotonic() - before < 0.1
    assert ollamas.recv(1) == b""

served, caller = connection()
line = Line()
with here.watch(line, served.fileno()):
    caller.sendall(b"pipelined")
    gevent.sleep(0.05)
    assert line.reason is None
    caller.shutdown(socket.SHUT_WR)
    assert end_of(line) is CallerGone

served, caller = connection()
with here.watch(Line(), served.fileno()) as watch:
    with watch.reading(0.05):
        assert served.recv(1) == b""
    assert watch.late and watch.line.reason is None

line = Line(time.monotonic() + 0.05)
with here.watch(line, None):
    assert end_of(line) is DeadlineExceeded

# A hundred callers leave at once.
hundred = [(*connection(), Line()) for _ in range(100)]
watches = [here.watch(line, served.fileno()) for served, _, line in hundred]
for _, caller, _ in hundred:
    caller.close()
assert [end_of(line) for *_, line in hundred] == [CallerGone] * 100
for watch in watches:
    watch.close()

line = Line()
with here.watch(line, None):
    here.drain(LAST_WORDS + 0.05)
    assert end_of(line) is ShuttingDown
assert here.live == 0

# Idle costs nothing.
before = time.process_time()
gevent.sleep(0.3)
assert time.process_time() - before < 0.1
print("all heard")
"""


def test_the_same_under_gevent() -> None:
    assert _run(_UNDER_GEVENT) == "all heard\n"


def _run(script: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout
