"""The worker speaks our envelope, waits for slow callers, and says when it stops."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator

import gevent
import pytest

from o2o.worker import Worker
from tests.ollama import FakeOllama
from tests.server import Server

COMMAND = [sys.executable, "-m", "gunicorn", "-c", "python:tests.tiny", "tests.tiny:app"]
HOST = b"Host: localhost\r\n"
END = b"\r\n\r\n"


def _start(**settings: str) -> Server:
    return Server("http://127.0.0.1:9", settings, command=COMMAND)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A worker with a second's patience for writes."""
    with _start(TINY_WRITE_TIMEOUT="0.6", TINY_KEEPALIVE="2") as running:
        yield running


@contextlib.contextmanager
def _connect(server: Server, received: int | None = None) -> Iterator[socket.socket]:
    with socket.socket() as caller:
        caller.settimeout(10)
        if received is not None:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received)
        caller.connect(("127.0.0.1", server.port))
        yield caller


def _all(caller: socket.socket) -> bytes:
    """Read to the end."""
    data = b""
    while got := caller.recv(1 << 16):
        data += got
    return data


def _ask(server: Server, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send raw bytes on a connection of their own; return status, headers (lower case) and body."""
    with _connect(server) as caller:
        caller.sendall(request)
        return _split(_all(caller))


def _split(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(END)
    first, *lines = head.decode("latin-1").split("\r\n")
    return (
        int(first.split()[1]),
        {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)},
        body,
    )


def _get(server: Server, path: str) -> bytes:
    return _ask(server, b"GET " + path.encode() + b" HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")[2]


def _await_seen(server: Server, what: str) -> None:
    for _ in range(200):
        if what in json.loads(_get(server, "/seen")):
            return
        time.sleep(0.02)
    raise AssertionError(f"{what!r} did not happen: {_get(server, '/seen')!r}")


# --- error pages

CANARY = b"c4n4ry"
MALFORMED = {
    "no version": (b"GET /\r\n", 400),
    "lower case method": (b"get / HTTP/1.1\r\n" + HOST, 400),
    "bad method": (b"G@T / HTTP/1.1\r\n" + HOST, 400),
    "garbage": (b"\x16\x03\x01\x02\x00\x01\r\n", 400),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\n" + HOST, 400),
    "no colon": (b"GET / HTTP/1.1\r\n" + HOST + b"Authorization Bearer c4n4ry\r\n", 400),
    "blank before colon": (b"GET / HTTP/1.1\r\n" + HOST + b"Authorization : c4n4ry\r\n", 400),
    "folded header": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n c4n4ry\r\n", 400),
    "NUL": (b"GET / HTTP/1.1\r\n" + HOST + b"X: \x00c4n4ry\r\n", 400),
    "bare LF": (b"GET / HTTP/1.1\nHost: c4n4ry\n\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\n" + HOST + b"Host: c4n4ry\r\n", 400),
    "two lengths": (b"POST /body HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n", 400),
    "length with sign": (b"POST /body HTTP/1.1\r\n" + HOST + b"Content-Length: +5\r\n", 400),
    "length and chunked": (b"POST /body HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n" + HOST, 400),
    "unknown coding": (b"POST /body HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n", 501),
    "bogus Expect": (b"POST /body HTTP/1.1\r\n" + HOST + b"Expect: c4n4ry\r\n", 417),
    "long line": (b"GET /" + CANARY * 200 + b" HTTP/1.1\r\n" + HOST, 414),
    "long header": (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + CANARY * 400 + b"\r\n", 431),
    "many headers": (b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: c4n4ry\r\n" % i for i in range(30)), 431),
    "endless headers": (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + CANARY * 20_000 + b"\r\n", 431),
    "crash": (b"GET /crash HTTP/1.1\r\n" + HOST, 500),
    "crash on a forged header": (b"GET /bad-header HTTP/1.1\r\n" + HOST, 500),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_every_page_of_gunicorns_own_is_our_envelope(server: Server, name: str) -> None:
    request, expected = MALFORMED[name]
    status, headers, body = _ask(server, request + b"\r\n")
    assert status == expected
    assert headers["content-type"] == "application/json"
    assert headers["connection"] == "close"
    assert headers["server"] == "o2o"
    assert int(headers["content-length"]) == len(body)
    assert re.fullmatch("req_[0-9a-f]{32}", headers["x-request-id"])
    error = json.loads(body)["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert error["type"] == ("invalid_request_error" if status < 500 else "server_error")
    assert CANARY not in body
    assert b"<" not in body
    assert b"secret" not in body
    assert ("x-should-retry" in headers) is (status == 501)


def test_an_error_page_is_one_line_of_the_log_without_what_was_sent(server: Server) -> None:
    _, headers, _ = _ask(server, MALFORMED["no colon"][0] + b"\r\n")
    identity = headers["x-request-id"]
    log = server.await_log(lambda log: identity in log, "logging a malformed request")
    (line,) = (line for line in log.splitlines() if identity in line)
    assert "status=400 error=InvalidHeader caller=127.0.0.1" in line
    assert CANARY.decode() not in log
    assert "Traceback" not in log.split(identity)[1]


def test_a_failing_app_leaves_a_traceback_under_the_id_that_was_answered(server: Server) -> None:
    _, headers, _ = _ask(server, MALFORMED["crash"][0] + b"\r\n")
    identity = headers["x-request-id"]
    log = server.await_log(lambda log: f"id={identity} " in log, "logging a crash")
    _, failed, rest = log.partition(f"request {identity} failed\nTraceback")
    assert failed
    assert rest.partition(f"id={identity}")[0].rstrip().splitlines()[-2] == "ZeroDivisionError: secret"


def test_a_page_for_head_has_no_body(server: Server) -> None:
    status, headers, body = _ask(server, b"HEAD /crash HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (status, body) == (500, b"")
    assert int(headers["content-length"]) > 0


def test_a_refusal_reaches_a_caller_that_is_still_sending(server: Server) -> None:
    with _connect(server) as caller:
        caller.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 50_000)
        for _ in range(20):
            caller.sendall(b"x" * 50_000)
        caller.shutdown(socket.SHUT_WR)
        assert _split(_all(caller))[0] == 431


def test_a_silent_connection_is_closed_without_an_answer(server: Server) -> None:
    with _connect(server) as silent, _connect(server) as slow:
        slow.sendall(b"GET / HT")
        assert (_all(silent), _all(slow)) == (b"", b"")


def test_a_worker_that_is_ended_answers_nobody() -> None:
    ours, theirs = gevent.socket.socketpair()
    worker = object.__new__(Worker)
    for end in (gevent.GreenletExit(), SystemExit(0)):
        worker.handle_error(None, ours, "", end)
    ours.close()
    assert theirs.recv(1) == b""
    theirs.close()


# --- answers


def test_an_answer_that_breaks_ends_too_early_and_visibly(server: Server) -> None:
    status, headers, body = _ask(server, b"GET /break HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (status, headers["transfer-encoding"], body) == (200, "chunked", b"3\r\none\r\n")
    server.await_log(lambda log: "Error handling request" in log, "Error handling request")


def test_a_worker_that_has_served_enough_says_so_and_another_one_serves_on() -> None:
    with _start(TINY_MAX_REQUESTS="2") as server:
        with _connect(server) as caller:
            caller.sendall((b"GET /hello HTTP/1.1\r\n" + HOST + b"\r\n") * 2)
            first, second = _all(caller).split(b"hello")[:2]
        assert b"Connection: keep-alive" in first
        assert b"Connection: close" in second
        server.await_log(lambda log: "Autorestarting worker" in log, "Autorestarting worker")
        assert _get(server, "/hello") == b"hello"


def test_the_server_header_tells_no_version(server: Server) -> None:
    status, headers, body = _ask(server, b"GET /hello HTTP/1.0\r\n\r\n")
    assert (status, headers["server"], body) == (200, "o2o", b"hello")


@pytest.mark.parametrize(
    ("path", "body"),
    [("/hello", b"hello"), ("/pieces", b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"), ("/empty", b"")],
)
def test_answers_arrive_whole_and_the_connection_serves_on(server: Server, path: str, body: bytes) -> None:
    with _connect(server) as caller:
        for _ in range(3):
            caller.sendall(b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n")
            answer = b""
            while END not in answer or not answer.endswith(body):
                answer += caller.recv(1 << 16)
            assert answer.partition(END)[2] == body


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    first = b"GET /pieces HTTP/1.1\r\n" + HOST + b"\r\n"
    last = b"GET /hello HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"
    with _connect(server) as caller:
        caller.sendall(first + last)
        answer = _all(caller)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.index(b"two") < answer.index(b"hello")


def test_head_and_body_leave_in_one_piece(server: Server) -> None:
    with _connect(server) as caller:
        caller.sendall(b"GET /hello HTTP/1.1\r\n" + HOST + b"\r\n")
        assert caller.recv(1 << 16).endswith(END + b"hello")
        caller.sendall(b"GET /wait HTTP/1.1\r\n" + HOST + b"\r\n")
        assert b"data: begun" in caller.recv(1 << 16)


def test_the_head_alone_answers_head(server: Server) -> None:
    status, headers, body = _ask(server, b"HEAD /hello HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
    assert (status, headers["content-length"], body) == (200, "5", b"")


def test_files_come_after_their_head(server: Server) -> None:
    body = _get(server, "/file")
    assert b'"""A tiny WSGI app' in body
    assert body.endswith(b"\r\n")


def test_a_caller_that_asks_first_is_told_to_go_on(server: Server) -> None:
    with _connect(server) as caller:
        caller.sendall(
            b"POST /body HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n"
            + HOST
            + b"\r\n"
        )
        assert caller.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        caller.sendall(b"{}")
        assert _split(_all(caller))[0] == 200


def test_an_answer_before_the_body_reaches_a_caller_that_sends_all_of_it_first(server: Server) -> None:
    body = b"x" * (8 << 20)
    for extra in (b"Connection: close\r\n", b""):
        with _connect(server) as caller:
            caller.sendall(
                b"POST /refuse HTTP/1.1\r\nContent-Length: %d\r\n" % len(body) + extra + HOST + b"\r\n" + body
            )
            assert caller.recv(1 << 16).startswith(b"HTTP/1.1 413")


# --- patience


def test_a_caller_that_takes_nothing_is_cut_and_the_body_closed(server: Server) -> None:
    with _connect(server, received=4096) as caller:
        caller.sendall(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
        began = time.monotonic()
        assert caller.recv(1) == b"H"
        _await_seen(server, "large closed")
        assert 0.5 < time.monotonic() - began < 5
    assert "Traceback" not in server.log.split("ZeroDivisionError")[-1]


def test_a_caller_that_resets_leaves_no_traceback(server: Server) -> None:
    before = len(server.log)
    with _connect(server) as caller:
        caller.sendall(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
        caller.recv(1)
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    _await_seen(server, "large closed")
    assert "Traceback" not in server.log[before:]
    assert "Error" not in server.log[before:]


def test_who_leaves_while_nothing_is_written_is_noticed(server: Server) -> None:
    with _connect(server) as caller:
        caller.sendall(b"GET /wait HTTP/1.1\r\n" + HOST + b"\r\n")
        assert b"begun" in caller.recv(1 << 16)
    _await_seen(server, "waiting CallerGone")


# --- bodies


def _post(server: Server, head: bytes, body: bytes) -> tuple[int, dict[str, object]]:
    status, _, answer = _ask(
        server, b"POST /body HTTP/1.1\r\nConnection: close\r\n" + HOST + head + b"\r\n" + body
    )
    value: dict[str, object] = json.loads(answer)
    return status, value


def _chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))


CHUNKED = b"Transfer-Encoding: chunked\r\n"


def test_bodies_of_both_kinds_are_read(server: Server) -> None:
    assert _post(server, b"Content-Length: 9\r\n", b'{"a": 12}') == (200, {"a": 12})
    assert _post(server, CHUNKED, _chunked(b'{"a"', b": 12}")) == (200, {"a": 12})


@pytest.mark.parametrize("head", [b"Content-Length: 100001\r\n", CHUNKED])
def test_a_large_body_gets_413(server: Server, head: bytes) -> None:
    body = b" " * 100_001
    status, value = _post(server, head, _chunked(body[:65_536], body[65_536:]) if head is CHUNKED else body)
    assert (status, "100000" in str(value)) == (413, True)


@pytest.mark.parametrize(
    "body",
    [
        b"xyz\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}XX0\r\n\r\n",
        b"2;\x00=\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
    ],
)
def test_wrong_chunks_get_400(server: Server, body: bytes) -> None:
    status, value = _post(server, CHUNKED, body)
    assert (status, "malformed" in str(value)) == (400, True)


@pytest.mark.parametrize("head", [b"Content-Length: 10\r\n", CHUNKED])
def test_a_slow_body_gets_408_and_the_connection_ends(server: Server, head: bytes) -> None:
    with _connect(server) as caller:
        caller.sendall(
            b"POST /body HTTP/1.1\r\n" + HOST + head + b"\r\n" + (b"5\r\n{" if head is CHUNKED else b"{")
        )
        status, _, answer = _split(_all(caller))
    assert status == 408
    assert json.loads(answer)["error"]["code"] == "request_timeout"


def test_a_dripping_body_gets_408_too(server: Server) -> None:
    with _connect(server) as caller:
        caller.sendall(b"POST /body HTTP/1.1\r\nContent-Length: 1000\r\n" + HOST + b"\r\n")
        caller.settimeout(0.05)
        answer = b""
        for _ in range(100):
            with contextlib.suppress(OSError):
                caller.sendall(b" ")
            with contextlib.suppress(TimeoutError):
                answer += caller.recv(1 << 16)
                break
    assert answer.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("head", [b"Content-Length: 10\r\n", CHUNKED])
def test_a_body_that_ends_early_gets_400(server: Server, head: bytes) -> None:
    with _connect(server) as caller:
        caller.sendall(
            b"POST /body HTTP/1.1\r\n" + HOST + head + b"\r\n" + (b"5\r\n{" if head is CHUNKED else b"{")
        )
        caller.shutdown(socket.SHUT_WR)
        assert _split(_all(caller))[0] == 400


def test_after_a_body_was_refused_the_next_request_is_not_misread(server: Server) -> None:
    with _connect(server) as caller:
        inner = b"GET /crash HTTP/1.1\r\n\r\n"
        caller.sendall(
            b"POST /refuse HTTP/1.1\r\nContent-Length: %d\r\n" % len(inner) + HOST + b"\r\n" + inner
        )
        assert b"413" in caller.recv(1 << 16)
        caller.sendall(b"GET /hello HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
        assert _all(caller).endswith(b"hello")


# --- the end


@pytest.mark.parametrize("kind", ["o2o.worker.Worker", "gthread"])
def test_streams_are_told_before_the_worker_ends(kind: str) -> None:
    with _start(TINY_GRACE="6", TINY_WORKER=kind) as server:
        with _connect(server) as caller:
            caller.sendall(b"GET /wait HTTP/1.1\r\n" + HOST + b"\r\n")
            answer = b""
            while b"begun" not in answer:
                answer += caller.recv(1 << 16)
            began = time.monotonic()
            server.process.terminate()
            while not answer.endswith(b"0\r\n\r\n"):
                answer += caller.recv(1 << 16)
            assert 0.8 < time.monotonic() - began < 5
            assert b"data: ShuttingDown\n\n" in answer
        assert server.process.wait(10) == 0
        assert time.monotonic() - began < 6
        assert "Traceback" not in server.log


def test_a_worker_that_nobody_uses_ends_at_once() -> None:
    with _start() as server:
        _get(server, "/hello")
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 5


def test_control_c_ends_everything_at_once_and_leaves_no_traceback() -> None:
    with _start() as server:
        _get(server, "/hello")
        [worker] = re.findall(r"worker with pid: (\d+)", server.log)
        began = time.monotonic()
        # As a terminal does: everybody in the foreground is told, and then the master tells its worker again.
        for pid in (int(worker), server.process.pid):
            os.kill(pid, signal.SIGINT)
        assert server.process.wait(10) == 0
        assert time.monotonic() - began < 5
    assert "Traceback" not in server.log
    assert "failed with SystemExit" not in server.log


def test_a_connection_that_says_nothing_does_not_hold_up_the_end() -> None:
    with FakeOllama() as ollama, Server(ollama.url, {"O2O_HEADER_TIMEOUT": "60"}) as server:
        kept = http.client.HTTPConnection("127.0.0.1", server.port)
        kept.request("GET", "/healthz")
        assert kept.getresponse().read()
        assert server.stop(patience=20) == 0
        kept.close()
