"""Slow callers are waited for, dead ones are not."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import gevent.socket
import gevent.ssl
import pytest

from o2o.sending import CallerSocket

MEGABYTE = 1 << 20


@contextlib.contextmanager
def _pair(segment: int | None = None, received: int | None = None) -> Iterator[tuple[Any, socket.socket]]:
    """Return both ends of a TCP connection: the server's, which is gevent's, and the caller's."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as caller:
        caller.settimeout(10)
        if segment is not None:
            caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        if received is not None:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received)
        caller.connect(listener.getsockname())
        accepted, _ = listener.accept()
        served = gevent.socket.socket(fileno=accepted.detach())
        try:
            yield served, caller
        finally:
            served.close()


def _read(caller: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (got := caller.recv(size - len(data))):
        data += got
    return data


def _never() -> None:
    pytest.fail("the caller is not gone")


def test_the_head_waits_for_the_first_piece_of_the_body() -> None:
    with _pair() as (served, caller):
        sending = CallerSocket(served, 1, _never)
        sending.sendall(b"head ")
        caller.setblocking(False)
        with pytest.raises(BlockingIOError):
            caller.recv(1)
        caller.setblocking(True)
        sending.sendall(b"body ")
        assert caller.recv(100) == b"head body "
        sending.sendall(b"more")
        assert caller.recv(100) == b"more"


def test_a_head_without_a_body_leaves_at_the_end() -> None:
    with _pair() as (served, caller):
        sending = CallerSocket(served, 1, _never)
        sending.flush()
        sending.sendall(b"head")
        sending.flush()
        sending.flush()
        served.close()
        assert _read(caller, 100) == b"head"


def test_a_large_body_follows_its_head_without_being_copied() -> None:
    with _pair() as (served, caller):
        sending = CallerSocket(served, 1, _never)
        sending.sendall(b"head")
        sending.sendall(b"x" * 100_000)
        assert _read(caller, 100_004) == b"head" + b"x" * 100_000


def test_a_file_follows_its_head(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"contents")
    with _pair() as (served, caller), (tmp_path / "file").open("rb") as file:
        sending = CallerSocket(served, 1, _never)
        sending.sendall(b"head ")
        sending.sendfile(file)
        assert _read(caller, 13) == b"head contents"


def test_everything_else_is_the_sockets() -> None:
    with _pair() as (served, caller):
        sending = CallerSocket(served, 1, _never)
        assert sending.fileno() == served.fileno()
        assert sending.getpeername() == caller.getsockname()
        with pytest.raises(AttributeError):
            sending.no_such_thing()


def test_more_than_the_buffers_hold_arrives_unchanged() -> None:
    sent = bytes(range(256)) * 4096 * 16
    with _pair() as (served, caller):
        got: list[bytes] = []
        reader = threading.Thread(target=lambda: got.append(_read(caller, len(sent) + 4)))
        reader.start()
        sending = CallerSocket(served, 5, _never)
        sending.sendall(b"head")
        sending.sendall(sent)
        reader.join(10)
        assert got == [b"head" + sent]


def test_a_caller_that_takes_nothing_is_given_up() -> None:
    gone: list[int] = []
    with _pair(received=8192) as (served, caller):
        sending = CallerSocket(served, 0.3, lambda: gone.append(served.fileno()))
        sending.sendall(b"head")
        began = time.monotonic()
        with pytest.raises(BrokenPipeError) as caught:
            sending.sendall(b"x" * 32 * MEGABYTE)
        assert 0.3 <= time.monotonic() - began < 2
        assert isinstance(caught.value.__cause__, TimeoutError)
        assert gone == [served.fileno()]
        served.close()
        with pytest.raises(ConnectionResetError):  # nothing is kept for it
            _read(caller, 32 * MEGABYTE)


def test_other_greenlets_run_meanwhile() -> None:
    with _pair(received=8192) as (served, _):
        sending = CallerSocket(served, 0.3, lambda: None)
        sending.sendall(b"head")
        sender = gevent.spawn(sending.sendall, b"x" * 32 * MEGABYTE)
        turns = 0
        while not sender.dead:
            gevent.sleep(0.01)
            turns += 1
        assert turns > 10
        assert isinstance(sender.exception, BrokenPipeError)


def test_a_caller_that_takes_little_is_never_given_up() -> None:
    # 200 KB a second: the third of a buffer that makes a socket "writable" takes over two seconds.
    with _pair(segment=1460) as (served, caller):
        done = threading.Event()

        def read_slowly() -> None:
            until = time.monotonic() + 4.5
            while time.monotonic() < until:
                caller.recv(20_000)
                done.wait(0.1)
            while caller.recv(MEGABYTE):
                pass

        reader = threading.Thread(target=read_slowly)
        reader.start()
        sending = CallerSocket(served, 1.2, _never)
        sending.sendall(b"head")
        began = time.monotonic()
        try:
            sending.sendall(b"x" * 16 * MEGABYTE)
        finally:
            done.set()
            served.close()
            reader.join(10)
        assert time.monotonic() - began > 3


@pytest.mark.parametrize("how", ["reset", "close", "own close"])
def test_a_caller_that_left_is_told_as_a_broken_pipe(how: str) -> None:
    gone: list[str] = []
    with _pair() as (served, caller):
        sending = CallerSocket(served, 5, lambda: gone.append(how))
        sending.sendall(b"head")
        if how == "reset":
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        (served if how == "own close" else caller).close()
        # More than fits into the buffers of both sides.
        with pytest.raises(BrokenPipeError) as caught:
            sending.sendall(b"x" * 32 * MEGABYTE)
        assert caught.value.errno is not None
        assert gone == [how]


@pytest.fixture(scope="module")
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


def test_the_same_holds_under_tls(certificate: Path) -> None:
    server = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    client = ssl.create_default_context(cafile=str(certificate))
    got: list[bytes] = []
    enough = threading.Event()
    with _pair() as (served, caller):

        def read() -> None:
            with client.wrap_socket(caller, server_hostname="localhost") as tls:
                got.append(_read(tls, 4 + 4 * MEGABYTE))
                enough.wait(10)

        reader = threading.Thread(target=read)
        reader.start()
        tls = server.wrap_socket(served, server_side=True)
        sending = CallerSocket(tls, 0.5, lambda: None)
        sending.sendall(b"head")
        sending.sendall(b"x" * 4 * MEGABYTE)
        began = time.monotonic()
        with pytest.raises(BrokenPipeError):
            sending.sendall(b"x" * 32 * MEGABYTE)
        assert time.monotonic() - began < 5
        enough.set()
        tls.close()
        reader.join(10)
        assert got == [b"head" + b"x" * 4 * MEGABYTE]
