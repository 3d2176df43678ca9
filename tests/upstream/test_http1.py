from __future__ import annotations

import pytest

from o2o.errors import UpstreamInvalid
from o2o.upstream.http1 import MAX_HEAD, ResponseReader


def test_an_interim_answer_is_skipped() -> None:
    reader = ResponseReader()
    body = reader.feed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    assert (reader.status, body, reader.complete) == (200, b"hi", True)


def test_bytes_after_the_end_are_dropped() -> None:
    reader = ResponseReader()
    assert reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 500") == b"hi"
    assert reader.feed(b" more") == b""
    assert reader.complete


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
    ],
)
def test_whether_a_connection_can_be_kept(head: bytes, kept: bool) -> None:
    reader = ResponseReader()
    reader.feed(head)
    assert reader.complete
    assert reader.keep_alive is kept


@pytest.mark.parametrize(
    "message",
    [
        b"<html>nothing of the kind</html>",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 2000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"x" * (MAX_HEAD + 1),
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD,
    ],
)
def test_what_is_no_http_is_refused(message: bytes) -> None:
    reader = ResponseReader()
    with pytest.raises(UpstreamInvalid):
        reader.feed(message)


@pytest.mark.parametrize("wrong", [b"xyz\r\n", b"2\r\nhoxx"])
def test_what_came_before_a_wrong_chunk_is_given_first(wrong: bytes) -> None:
    reader = ResponseReader()
    body = reader.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n" + wrong)
    assert body.startswith(b"hi")
    assert reader.error is not None
    assert not reader.complete


def test_an_end_in_the_head_is_too_early() -> None:
    reader = ResponseReader()
    reader.feed(b"HTTP/1.1 200 OK\r\n")
    assert reader.eof() is False
