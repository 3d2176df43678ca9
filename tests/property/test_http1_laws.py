"""Laws of the response reader: it agrees with http.client, and where bytes are cut changes nothing."""

from __future__ import annotations

import http.client
import io

from hypothesis import given, strategies as st

from o2o.errors import UpstreamInvalid
from o2o.upstream.http1 import ResponseReader

bodies = st.lists(st.binary(min_size=1, max_size=200), max_size=8)
statuses = st.sampled_from([200, 400, 404, 500, 503])
framings = st.sampled_from(["chunked", "length", "close"])


def _message(status: int, pieces: list[bytes], framing: str, trailer: bool, extension: bool) -> bytes:
    head = b"HTTP/1.1 %d Whatever\r\nContent-Type: application/x-ndjson\r\n" % status
    if framing == "length":
        body = b"".join(pieces)
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    if framing == "close":
        return head + b"Connection: close\r\n\r\n" + b"".join(pieces)
    note = b";name=value" if extension else b""
    chunks = b"".join(b"%x%s\r\n%s\r\n" % (len(piece), note, piece) for piece in pieces)
    end = b"X-Trailer: yes\r\n" if trailer else b""
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n" + end + b"\r\n"


class _Socket:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def _by_the_library(message: bytes) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(_Socket(message))  # type: ignore[arg-type]  # makefile is all it uses
    response.begin()
    return response.status, response.read()


@given(statuses, bodies, framings, st.booleans(), st.booleans(), st.data())
def test_a_response_is_read_like_the_library_reads_it_however_it_is_cut(
    status: int, pieces: list[bytes], framing: str, trailer: bool, extension: bool, data: st.DataObject
) -> None:
    message = _message(status, pieces, framing, trailer, extension)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(message)), max_size=12)) | {0, len(message)})
    reader = ResponseReader()
    read = b"".join(reader.feed(message[a:b]) for a, b in zip(cuts, cuts[1:], strict=False))
    if framing == "close":
        assert not reader.complete
        assert reader.eof()
    assert reader.complete
    assert (reader.status, read) == _by_the_library(message)


@given(bodies, st.data())
def test_an_answer_that_is_cut_off_is_never_complete(pieces: list[bytes], data: st.DataObject) -> None:
    message = _message(200, pieces, "chunked", False, False)
    end = data.draw(st.integers(0, len(message) - 1))
    reader = ResponseReader()
    reader.feed(message[:end])
    assert not reader.complete
    assert not reader.eof()


sizes = st.sampled_from([b"%x", b"%X", b"0%x", b" %x", b"%x ", b"%x;a=b"])


@given(st.lists(st.tuples(st.binary(max_size=40), sizes), max_size=6), st.binary(max_size=6), st.data())
def test_the_short_way_through_chunks_gives_the_same_bytes(
    chunks: list[tuple[bytes, bytes]], rubbish: bytes, data: st.DataObject
) -> None:
    body = b"".join(size % len(piece) + b"\r\n" + piece + b"\r\n" for piece, size in chunks) + rubbish
    message = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    cuts = sorted(data.draw(st.sets(st.integers(0, len(message)), max_size=8)) | {0, len(message)})
    results = []
    for reader in (ResponseReader(), ResponseReader(short_way=False)):
        read = b""
        wrong = False
        for a, b in zip(cuts, cuts[1:], strict=False):
            try:
                read += reader.feed(message[a:b])
                wrong = wrong or reader.error is not None
            except UpstreamInvalid:
                wrong = True
            if wrong:
                break
        results.append((reader.complete, wrong, read if not wrong else None))
    assert results[0] == results[1]
