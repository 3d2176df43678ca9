"""The upstream over real sockets: what is sent, what every way of failing becomes, which connections are kept."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest

from o2o.errors import (
    CallerGone,
    O2OError,
    Refused,
    UpstreamBroken,
    UpstreamInvalid,
    UpstreamTimeout,
    UpstreamTruncated,
    UpstreamUnavailable,
)
from o2o.upstream.client import HTTPUpstream
from o2o.upstream.line import Line
from o2o.upstream.replies import Beat, Times
from tests.raw import HEAD, LAST, RawServer, chunk, read_request

DONE = b'{"message":{"content":""},"done":true}\n'
HI = b'{"message":{"content":"hi"},"done":false}\n'
GOOD = HEAD + chunk(HI) + chunk(DONE) + LAST


def answering(*pieces: bytes) -> Callable[[socket.socket, int], None]:
    """Serve every request of a connection with the same bytes."""

    def serve(connection: socket.socket, number: int) -> None:
        while read_request(connection)[0]:
            for piece in pieces:
                connection.sendall(piece)

    return serve


def closing(*pieces: bytes, reset: bool = False) -> Callable[[socket.socket, int], None]:
    """Serve one request, then close, or reset."""

    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        for piece in pieces:
            connection.sendall(piece)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return serve


def chat(upstream: HTTPUpstream, line: Line | None = None, **how: Any) -> tuple[list[Any], O2OError | None]:
    """Ask for a chat; return the batches and what ended it early."""
    batches: list[Any] = []
    replies = upstream.ask("chat", {"model": "m", "messages": []}, line or Line(), **how)
    try:
        for batch in replies:
            batches.append(batch)
    except O2OError as error:
        return batches, error
    finally:
        replies.close()
    return batches, None


def text_of(batches: list[Any]) -> str:
    return "".join(reply["message"]["content"] for batch in batches for reply in batch)


def test_a_request_says_what_it_must_and_nothing_else() -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []

    def serve(connection: socket.socket, number: int) -> None:
        seen.append(read_request(connection))
        connection.sendall(GOOD)

    with RawServer(serve) as server:
        upstream = HTTPUpstream(server.url + "/under/", api_key="secret", user_agent="o2o/1")
        assert chat(upstream)[1] is None
    first, headers, body = seen[0]
    assert first == "POST /under/api/chat HTTP/1.1"
    assert headers == {
        "host": server.url.removeprefix("http://"),
        "user-agent": "o2o/1",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "authorization": "Bearer secret",
        "content-length": str(len(body)),
    }
    assert json.loads(body) == {"model": "m", "messages": []}


def test_the_environment_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with RawServer(answering(GOOD)) as server:
        assert chat(HTTPUpstream(server.url))[1] is None


def test_a_connection_is_kept_and_used_again() -> None:
    with RawServer(answering(GOOD)) as server:
        upstream = HTTPUpstream(server.url)
        for _ in range(3):
            batches, error = chat(upstream)
            assert (text_of(batches), error) == ("hi", None)
        assert server.connections == 1


def test_an_answer_is_read_however_it_is_cut() -> None:
    with RawServer(answering(*[GOOD[at : at + 1] for at in range(len(GOOD))])) as server:
        batches, error = chat(HTTPUpstream(server.url))
        assert (text_of(batches), error) == ("hi", None)


def test_what_follows_done_is_ignored() -> None:
    more = HEAD + chunk(HI) + chunk(DONE + HI + DONE) + chunk(HI) + LAST
    with RawServer(answering(more)) as server:
        batches, error = chat(HTTPUpstream(server.url))
        assert (text_of(batches), error) == ("hi", None)


def test_a_kept_connection_that_was_closed_meanwhile_is_replaced_once() -> None:
    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(GOOD)
        if number == 0:
            read_request(connection)  # the second request gets no answer, just an end

    with RawServer(serve) as server:
        upstream = HTTPUpstream(server.url)
        assert chat(upstream)[1] is None
        batches, error = chat(upstream)
        assert (text_of(batches), error) == ("hi", None)
        assert server.connections == 2


def test_a_fresh_connection_that_ends_at_once_is_not_tried_again() -> None:
    with RawServer(closing()) as server:
        batches, error = chat(HTTPUpstream(server.url))
        assert batches == []
        assert isinstance(error, UpstreamTruncated)
        assert server.connections == 1


@pytest.mark.parametrize(
    ("serve", "text", "error"),
    [
        (closing(HEAD + chunk(HI)), "hi", UpstreamTruncated),
        (closing(HEAD + chunk(HI) + LAST), "hi", UpstreamTruncated),
        (closing(HEAD + chunk(HI) + b"20\r\n{"), "hi", UpstreamTruncated),
        (closing(HEAD + chunk(HI), reset=True), None, (UpstreamBroken, UpstreamTruncated)),
        (closing(HEAD + chunk(HI) + chunk(b"<html>\n")), "hi", UpstreamInvalid),
        (closing(HEAD + chunk(HI) + b"zz\r\n"), None, UpstreamInvalid),
        (closing(HEAD + chunk(HI) + chunk(b'{"message":{"content":"\xff"}}\n')), "hi", UpstreamInvalid),
        (
            closing(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p/>"),
            "",
            UpstreamInvalid,
        ),
        (closing(b"HTTP/1.1 307 Go\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"), "", UpstreamInvalid),
        (closing(b"HTTP/1.1 502 Bad\r\nContent-Length: 6\r\n\r\n<html>"), "", UpstreamInvalid),
        (closing(b"SSH-2.0-OpenSSH\r\n"), "", UpstreamInvalid),
    ],
)
def test_what_came_is_given_before_what_went_wrong(serve: Any, text: str | None, error: Any) -> None:
    with RawServer(serve) as server:
        batches, got = chat(HTTPUpstream(server.url))
        assert isinstance(got, error)
        if text is not None:
            assert text_of(batches) == text


def test_a_refusal_keeps_its_status_and_text() -> None:
    body = b'{"error":"model \'x\' not found"}'
    answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with RawServer(answering(answer)) as server:
        upstream = HTTPUpstream(server.url)
        _, error = chat(upstream)
        assert isinstance(error, Refused)
        assert (error.upstream_status, error.text, error.midway) == (404, "model 'x' not found", False)


def test_an_error_line_is_a_refusal_midway() -> None:
    with RawServer(answering(HEAD + chunk(HI) + chunk(b'{"error":"out of luck"}\n') + LAST)) as server:
        batches, error = chat(HTTPUpstream(server.url))
        assert text_of(batches) == "hi"
        assert isinstance(error, Refused)
        assert (error.text, error.midway) == ("out of luck", True)


def test_an_error_as_the_first_line_is_not_midway() -> None:
    with RawServer(answering(HEAD + chunk(b'{"error":"out of luck"}\n') + LAST)) as server:
        _, error = chat(HTTPUpstream(server.url))
        assert isinstance(error, Refused)
        assert not error.midway


def test_nobody_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    _, error = chat(HTTPUpstream(f"http://127.0.0.1:{port}"))
    assert isinstance(error, UpstreamUnavailable)
    with pytest.raises(UpstreamUnavailable):
        HTTPUpstream(f"http://127.0.0.1:{port}").tags()


def test_silence_before_the_first_line_is_bounded_also_when_headers_came() -> None:
    stop = threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(HEAD)
        stop.wait(5)

    with RawServer(serve) as server:
        upstream = HTTPUpstream(server.url, times=Times(connect=1, first_byte=0.1, stall=5))
        _, error = chat(upstream)
        stop.set()
        assert isinstance(error, UpstreamTimeout)


def test_silence_between_lines_is_bounded_unless_patient() -> None:
    go_on = threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(HEAD + chunk(HI))
        go_on.wait(5)
        connection.sendall(chunk(DONE) + LAST)

    with RawServer(serve) as server:
        upstream = HTTPUpstream(server.url, times=Times(connect=1, first_byte=5, stall=0.1))
        batches, error = chat(upstream)
        assert text_of(batches) == "hi"
        assert isinstance(error, UpstreamTimeout)
        beats = []
        replies = upstream.ask("chat", {}, Line(), patient=True, beat=Beat(0.05, 0.05))
        for batch in replies:
            if not batch:
                beats.append(batch)
                if len(beats) == 3:
                    go_on.set()
        replies.close()
        assert len(beats) >= 3


def test_silence_gives_beats() -> None:
    go_on = threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        go_on.wait(5)
        connection.sendall(GOOD)

    with RawServer(serve) as server:
        replies = HTTPUpstream(server.url).ask("chat", {}, Line(), beat=Beat(0.05, 0.02))
        batches = iter(replies)
        assert [next(batches), next(batches)] == [[], []]
        go_on.set()
        assert text_of(list(batches)) == "hi"
        replies.close()


def _ends(connection: socket.socket) -> bool:
    """Wait for the end of a connection, polite or not."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("sent", [b"", HEAD[:20], HEAD, HEAD + chunk(HI)[:-5]])
def test_cutting_the_line_ends_the_wait_and_the_connection(sent: bytes) -> None:
    seen = threading.Event()
    gone = threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(sent)
        seen.set()
        if _ends(connection):
            gone.set()

    line = Line()
    with RawServer(serve) as server:
        upstream = HTTPUpstream(server.url)
        results: list[Any] = []
        reader = threading.Thread(target=lambda: results.append(chat(upstream, line)))
        reader.start()
        assert seen.wait(5)
        line.cut(CallerGone())
        reader.join(5)
        assert isinstance(results[0][1], CallerGone)
        assert gone.wait(5)


def test_closing_early_ends_the_connection() -> None:
    gone = threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(HEAD + chunk(HI))
        if _ends(connection):
            gone.set()

    with RawServer(serve) as server:
        replies = HTTPUpstream(server.url).ask("chat", {}, Line())
        next(iter(replies))
        replies.close()
        assert gone.wait(5)


def test_closing_early_wakes_who_is_blocked_in_writing() -> None:
    gone = threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        try:
            connection.sendall(HEAD + chunk(HI))
            connection.sendall(chunk(b" " * (32 << 20)))
        except OSError:
            gone.set()

    with RawServer(serve) as server:
        replies = HTTPUpstream(server.url).ask("chat", {}, Line())
        next(iter(replies))
        replies.close()
        assert gone.wait(5)


def test_lookups_give_objects_and_refusals() -> None:
    def serve(connection: socket.socket, number: int) -> None:
        while True:
            first, _, body = read_request(connection)
            if not first:
                return
            if "/api/show" in first:
                status, answer = b"404 Not Found", b'{"error":"model not found"}'
                assert json.loads(body) == {"model": "x"}
            else:
                status, answer = b"200 OK", b'{"path":"%s"}' % first.split()[1].encode()
            connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(answer), answer))

    with RawServer(serve) as server:
        upstream = HTTPUpstream(server.url)
        assert upstream.tags() == {"path": "/api/tags"}
        assert upstream.ps() == {"path": "/api/ps"}
        assert upstream.version() == {"path": "/api/version"}
        with pytest.raises(Refused):
            upstream.show("x")
        assert upstream.embed({"model": "x"}, Line()) == b'{"path":"/api/embed"}'


def test_a_lookup_that_is_not_answered_times_out() -> None:
    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.recv(1)

    with RawServer(serve) as server, pytest.raises(UpstreamTimeout):
        HTTPUpstream(server.url, times=Times(first_byte=0.1)).show("m")


@pytest.mark.parametrize("body", [b"[1]", b"nope", b""])
def test_a_lookup_that_gives_no_object_is_invalid(body: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with RawServer(answering(answer)) as server:
        upstream = HTTPUpstream(server.url)
        with pytest.raises(UpstreamInvalid):
            upstream.tags()


def test_an_embedding_that_does_not_come_times_out() -> None:
    stop = threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        stop.wait(5)

    with RawServer(serve) as server:
        upstream = HTTPUpstream(server.url, times=Times(connect=1, first_byte=0.1, stall=1))
        with pytest.raises(UpstreamTimeout):
            upstream.embed({}, Line())
        stop.set()


def test_a_slow_connect_gives_beats_too() -> None:
    # A listener whose queue is full answers nothing: the connect hangs.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        upstream = HTTPUpstream(f"http://127.0.0.1:{port}", times=Times(connect=0.4, first_byte=1, stall=1))
        batches, error = chat(upstream, beat=Beat(0.05, 0.05))
        assert len(batches) >= 2
        assert isinstance(error, UpstreamUnavailable)
        for filler in fillers:
            filler.close()


def test_the_address_is_not_shown() -> None:
    assert "11434" not in repr(HTTPUpstream("http://user:pass@localhost:11434"))
    assert "pass" not in repr(HTTPUpstream("http://user:pass@localhost:11434"))
