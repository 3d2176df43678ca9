"""A line ends waits from outside."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from o2o.errors import CallerGone, DeadlineExceeded, O2OError, ShuttingDown
from o2o.upstream.line import Line

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    theirs.settimeout(5)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and a certificate of its own for `localhost`."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    command += " -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    both = folder / "localhost.pem"
    both.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return both


def test_a_whole_line_lets_everything_pass(pair: Pair) -> None:
    line = Line(deadline=12.5)
    line.attach(pair[0])
    line.check()
    pair[1].sendall(b"x")
    assert pair[0].recv(1) == b"x"
    assert (line.deadline, line.reason) == (12.5, None)


def test_a_cut_wakes_a_reader_blocked_in_another_thread(pair: Pair) -> None:
    line = Line()
    line.attach(pair[0])
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(pair[0].recv(1)))
    reader.start()
    line.cut(CallerGone())
    reader.join(5)
    assert heard == [b""]


def test_a_cut_is_heard_at_the_other_end(pair: Pair) -> None:
    line = Line()
    line.attach(pair[0])
    line.cut(CallerGone())
    assert pair[1].recv(1) == b""


def test_a_cut_ends_every_attached_socket(pair: Pair) -> None:
    line = Line()
    other_ours, other_theirs = socket.socketpair()
    with other_ours, other_theirs:
        other_theirs.settimeout(5)
        line.attach(pair[0])
        line.attach(other_ours)
        line.cut(CallerGone())
        assert (pair[1].recv(1), other_theirs.recv(1)) == (b"", b"")


def test_after_a_cut_check_and_attach_raise_the_reason(pair: Pair) -> None:
    line = Line()
    reason = DeadlineExceeded()
    line.cut(reason)
    for verb in (line.check, lambda: line.attach(pair[0])):
        with pytest.raises(DeadlineExceeded) as caught:
            verb()
        assert caught.value is reason


def test_the_first_reason_wins() -> None:
    line = Line()
    line.cut(ShuttingDown())
    line.cut(CallerGone())
    assert isinstance(line.reason, ShuttingDown)


def test_a_detached_socket_survives_the_cut(pair: Pair) -> None:
    line = Line()
    line.attach(pair[0])
    line.attach(pair[0])
    line.detach(pair[0])
    line.cut(CallerGone())
    pair[1].sendall(b"x")
    assert pair[0].recv(1) == b"x"


def test_detaching_a_stranger_does_nothing(pair: Pair) -> None:
    line = Line()
    line.attach(pair[0])
    line.detach(pair[1])
    line.cut(CallerGone())
    assert pair[1].recv(1) == b""


def test_a_socket_that_was_closed_before_does_not_stop_a_cut(pair: Pair) -> None:
    line = Line()
    closed = socket.socket()
    line.attach(closed)
    closed.close()
    line.attach(pair[0])
    line.cut(CallerGone())
    assert pair[1].recv(1) == b""


def test_a_cut_calls_who_asked_for_it_once() -> None:
    line = Line()
    calls: list[O2OError | None] = []
    line.on_cut(lambda: calls.append(line.reason))
    line.cut(CallerGone())
    line.cut(ShuttingDown())
    assert [type(call) for call in calls] == [CallerGone]


def test_asking_after_the_cut_calls_at_once() -> None:
    line = Line()
    line.cut(CallerGone())
    calls: list[str] = []
    line.on_cut(lambda: calls.append("late"))
    assert calls == ["late"]


def test_a_callback_may_use_the_line(pair: Pair) -> None:
    line = Line()
    line.attach(pair[0])
    line.on_cut(lambda: line.detach(pair[0]))
    line.on_cut(line.close)
    line.cut(CallerGone())
    assert line.reason is not None


def test_a_closed_line_cannot_be_cut(pair: Pair) -> None:
    line = Line()
    line.attach(pair[0])
    line.on_cut(lambda: pytest.fail("called after close"))
    line.close()
    line.cut(CallerGone())
    line.check()
    pair[1].sendall(b"x")
    assert pair[0].recv(1) == b"x"


def test_a_closed_line_takes_no_more_connections(pair: Pair) -> None:
    line = Line()
    line.close()
    line.on_cut(lambda: pytest.fail("called after close"))
    with pytest.raises(CallerGone):
        line.attach(pair[0])


def test_many_threads_cut_once(pair: Pair) -> None:
    line = Line()
    line.attach(pair[0])
    calls: list[int] = []
    line.on_cut(lambda: calls.append(1))
    gate = threading.Barrier(8)

    def cut() -> None:
        gate.wait(5)
        line.cut(CallerGone())

    threads = [threading.Thread(target=cut) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert calls == [1]


def test_a_wrapper_around_a_socket_is_ended_too(pair: Pair) -> None:
    class Wrapper:
        def __init__(self, inner: socket.socket) -> None:
            self.socket = inner

    class Own:
        def __init__(self) -> None:
            self.how: list[int] = []

        def shutdown(self, how: int) -> None:
            self.how.append(how)

    line = Line()
    own = Own()
    line.attach(Wrapper(pair[0]))
    line.attach(own)
    line.cut(CallerGone())
    assert pair[1].recv(1) == b""
    assert own.how == [socket.SHUT_RDWR]


def test_the_repr_tells_the_state(pair: Pair) -> None:
    line = Line()
    assert repr(line) == "<Line whole, 0 sockets>"
    line.attach(pair[0])
    assert repr(line) == "<Line whole, 1 sockets>"
    line.cut(CallerGone())
    assert "CallerGone" in repr(line)
    line.close()
    assert repr(line) == "<Line closed, 0 sockets>"


def test_a_cut_wakes_a_reader_of_tls(pair: Pair, certificate: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    client = ssl.create_default_context(cafile=str(certificate))
    outcome: list[object] = []

    def read() -> None:
        with client.wrap_socket(pair[0], server_hostname="localhost") as tls:
            line.attach(tls)
            ready.set()
            try:
                outcome.append(tls.recv(1))
            except OSError as error:
                outcome.append(error)

    line, ready = Line(), threading.Event()
    reader = threading.Thread(target=read)
    reader.start()
    with server.wrap_socket(pair[1], server_side=True):
        assert ready.wait(5)
        line.cut(CallerGone())
        reader.join(5)
    assert outcome, "the reader is still blocked"


_UNDER_GEVENT = """
from gevent import monkey; monkey.patch_all()
import gevent, socket, ssl, sys, threading
from o2o.errors import CallerGone
from o2o.upstream.line import Line

gevent.Timeout(10).start()
def scene(wrap):
    ours, theirs = socket.socketpair()
    line = Line()
    ready = threading.Event()
    def read():
        mine = wrap(ours)
        line.attach(mine)
        ready.set()
        try:
            return mine.recv(1)
        except OSError:
            return b""
    peer = gevent.spawn(serve, theirs) if wrap is tls else None
    reader = gevent.spawn(read)
    ready.wait()
    gevent.sleep(0)
    line.cut(CallerGone())
    assert reader.get() == b""

def plain(sock):
    return sock
def tls(sock):
    return ssl.create_default_context(cafile=sys.argv[1]).wrap_socket(sock, server_hostname="localhost")
def serve(sock):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    with context.wrap_socket(sock, server_side=True) as served:
        served.recv(1)

scene(plain)
scene(tls)

# From a real thread, where gevent's own socket methods must not be called.
ours, theirs = socket.socketpair()
line = Line()
line.attach(ours)
reader = gevent.spawn(ours.recv, 1)
gevent.get_hub().threadpool.spawn(line.cut, CallerGone()).get()
assert reader.get() == b""
print("all woke")
"""


def test_a_cut_wakes_greenlets(certificate: Path) -> None:
    command = [sys.executable, "-c", _UNDER_GEVENT, str(certificate)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert run.stdout == "all woke\n", run.stderr
