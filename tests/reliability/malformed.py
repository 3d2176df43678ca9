"""Requests that are no HTTP, or that two readers of HTTP would read differently: what must be answered to each."""

from __future__ import annotations

HOST = b"Host: localhost\r\n"
GET = b"GET /healthz HTTP/1.1\r\n" + HOST
POST = b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
INNER = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
"""What a smuggler wants to be read as a request of its own."""

REFUSED: dict[str, tuple[bytes, int]] = {
    "two hosts": (GET + b"Host: example.com\r\n\r\n", 400),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    "a length and chunks": (CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n" + INNER, 400),
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}" + INNER, 400),
    "a list of lengths": (POST + b"Content-Length: 2, 2\r\n\r\n{}" + INNER, 400),
    "a length with a plus": (POST + b"Content-Length: +2\r\n\r\n{}" + INNER, 400),
    "a negative length": (POST + b"Content-Length: -2\r\n\r\n{}" + INNER, 400),
    "a length in hexadecimal": (POST + b"Content-Length: 0x2\r\n\r\n{}" + INNER, 400),
    "a length with an underscore": (POST + b"Content-Length: 1_0\r\n\r\n{}        " + INNER, 400),
    "an empty length": (POST + b"Content-Length: \r\n\r\n{}" + INNER, 400),
    "a folded header": (GET + b"X-A: a\r\n b\r\n\r\n", 400),
    "a folded coding": (POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + INNER, 400),
    "bare line feeds": (b"GET /healthz HTTP/1.1\nHost: localhost\n\n", 400),
    "a bare carriage return": (GET + b"X-A: a\rX-B: b\r\n\r\n", 400),
    "a space before the colon": (POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + INNER, 400),
    "a space in a header's name": (GET + b"X A: a\r\n\r\n", 400),
    "a header without a colon": (GET + b"nonsense\r\n\r\n", 400),
    "a header without a name": (GET + b": a\r\n\r\n", 400),
    "a NUL in a header": (GET + b"X-A: \x00\r\n\r\n", 400),
    "an unknown coding": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + INNER, 501),
    "chunks and then something": (
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + INNER,
        400,
    ),
    "chunks twice": (POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + INNER, 400),
    "an expectation that nobody knows": (POST + b"Expect: a miracle\r\nContent-Length: 2\r\n\r\n{}", 417),
    "HTTP/2.0": (b"GET /healthz HTTP/2.0\r\n" + HOST + b"\r\n", 400),
    "HTTP/0.9": (b"GET /healthz\r\n\r\n", 400),
    "a method in small letters": (b"get /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a method that is none": (b"G@T /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "TLS on a plain port": (
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"\x00" * 40 + b"\r\n\r\n",
        400,
    ),
    "a size of a chunk that is none": (CHUNKED + b"\r\nzz\r\n{}\r\n0\r\n\r\n", 400),
    "a chunk longer than its size": (CHUNKED + b"\r\n2\r\n{}{}\r\n0\r\n\r\n", 400),
    "a line that is too long": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "a header that is too long": (GET + b"X-A: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    "too many headers": (GET + b"".join(b"X-%d: a\r\n" % n for n in range(200)) + b"\r\n", 431),
}
