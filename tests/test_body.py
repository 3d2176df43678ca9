"""Bodies are counted, timed and guarded."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from o2o.body import MAX_DEPTH, MAX_DIGITS, MAX_VALUES, check_type, parse, read, read_json
from o2o.errors import BadRequest, CallerGone, O2OError, RequestTimeout, RequestTooLarge, ServerOverloaded


class Stopwatch:
    """A patience whose time runs out when `late` is set."""

    def __init__(self) -> None:
        self.late = False
        self.seconds: list[float] = []

    @contextlib.contextmanager
    def reading(self, seconds: float) -> Iterator[None]:
        self.seconds.append(seconds)
        yield


class Stream(io.RawIOBase):
    """A body that arrives in the given pieces, does something in between, and remembers what was asked."""

    def __init__(self, *pieces: bytes | Callable[[], object]) -> None:
        self.pieces = list(pieces)
        self.asked: list[int] = []

    def read(self, size: int = -1) -> bytes:
        self.asked.append(size)
        while self.pieces:
            piece = self.pieces.pop(0)
            if isinstance(piece, bytes):
                self.pieces[:0] = [piece[size:]] if piece[size:] else []
                return piece[:size]
            piece()
        return b""


def _environ(stream: object, length: int | str | None = None, **more: object) -> dict[str, object]:
    environ = {"wsgi.input": stream, "wsgi.input_terminated": True, **more}
    return environ if length is None else {**environ, "CONTENT_LENGTH": str(length)}


def _read(environ: dict[str, object], limit: int = 1000, patience: Stopwatch | None = None) -> bytes:
    return bytes(read(environ, limit=limit, seconds=30, patience=patience or Stopwatch()))


def _raising(error: Exception) -> Callable[[], object]:
    def throw() -> object:
        raise error

    return throw


# --- reading


def test_a_body_with_a_length_is_read_to_that_length_and_no_further() -> None:
    stream = io.BytesIO(b"0123456789next request")
    assert _read(_environ(stream, 10)) == b"0123456789"
    assert stream.read() == b"next request"


def test_a_chunked_body_is_read_to_its_end() -> None:
    assert _read(_environ(Stream(b"01234", b"56789"))) == b"0123456789"


def test_a_body_without_length_or_end_is_not_read() -> None:
    stream = io.BytesIO(b"next request")
    assert _read({"wsgi.input": stream}) == b""
    assert _read({"wsgi.input": stream, "CONTENT_LENGTH": ""}) == b""
    assert stream.tell() == 0


def test_a_large_body_arrives_whole_and_in_large_pieces() -> None:
    sent = bytes(range(256)) * 4096 * 5
    stream = Stream(sent)
    assert _read(_environ(stream, len(sent)), limit=len(sent)) == sent
    assert len(stream.asked) == 5


def test_the_time_for_the_body_is_handed_on() -> None:
    watch = Stopwatch()
    _read(_environ(io.BytesIO(b"{}"), 2), patience=watch)
    assert watch.seconds == [30]


def test_a_body_at_the_limit_passes_and_one_byte_more_does_not() -> None:
    for environ in (_environ(Stream(b"x" * 1000), 1000), _environ(Stream(b"x" * 1000))):
        assert len(_read(environ)) == 1000
    for environ in (_environ(Stream(b"x" * 1001), 1001), _environ(Stream(b"x" * 1001))):
        with pytest.raises(RequestTooLarge, match=r"limit \(1000\)"):
            _read(environ)


def test_an_announced_length_over_the_limit_is_refused_unread() -> None:
    stream = Stream(b"x")
    with pytest.raises(RequestTooLarge, match=r"\(5000 bytes announced\)"):
        _read(_environ(stream, 5000))
    assert stream.asked == []


def test_an_endless_chunked_body_is_not_held() -> None:
    stream = Stream(*[b"x" * 65536] * 100)
    with pytest.raises(RequestTooLarge):
        _read(_environ(stream), limit=200_000)
    assert len(stream.pieces) == 96


@pytest.mark.parametrize("length", [10, None])
def test_a_body_that_is_late_gets_408(length: int | None) -> None:
    watch = Stopwatch()
    with pytest.raises(RequestTimeout):
        _read(_environ(Stream(b"{", lambda: setattr(watch, "late", True)), length), patience=watch)


def test_a_body_that_is_late_but_keeps_dripping_gets_408() -> None:
    watch = Stopwatch()
    stream = Stream(b"1" * 65536, lambda: setattr(watch, "late", True), *[b"1" * 65536] * 1000)
    with pytest.raises(RequestTimeout):
        _read(_environ(stream), limit=1 << 30, patience=watch)
    assert len(stream.asked) == 2


def test_a_late_body_that_ends_in_an_error_gets_408() -> None:
    watch = Stopwatch()
    stream = Stream(lambda: setattr(watch, "late", True), _raising(OSError("no more data")))
    with pytest.raises(RequestTimeout):
        _read(_environ(stream), patience=watch)


def test_a_body_shorter_than_announced_gets_400() -> None:
    with pytest.raises(BadRequest, match="ended after 3 of 10 bytes"):
        _read(_environ(io.BytesIO(b"abc"), 10))


def test_a_chunked_body_that_ends_early_gets_400() -> None:
    with pytest.raises(BadRequest, match="malformed or ended early") as caught:
        _read(_environ(Stream(b"abc", _raising(OSError("Invalid chunk header")))))
    assert caught.value.http_status == 400


def test_a_wrong_chunk_under_gunicorn_gets_400() -> None:
    from gunicorn.http.errors import InvalidChunkSize

    with pytest.raises(BadRequest, match="malformed"):
        _read(_environ(Stream(_raising(InvalidChunkSize(b"xyz")))))


def test_a_connection_that_breaks_means_that_the_caller_is_gone() -> None:
    with pytest.raises(CallerGone):
        _read(_environ(Stream(_raising(ConnectionResetError())), 10))


def test_a_bug_of_the_server_is_not_the_callers_fault() -> None:
    with pytest.raises(ZeroDivisionError):
        _read(_environ(Stream(_raising(ZeroDivisionError())), 10))


@pytest.mark.parametrize("length", ["-1", "1x", "+5", "1" * 19, "\u0661"])
def test_a_length_that_is_no_number_gets_400(length: str) -> None:
    with pytest.raises(BadRequest, match="Content-Length"):
        _read(_environ(io.BytesIO(b"{}"), length))


# --- headers


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "application/json; charset=utf-8", "Application/JSON ;x"]
)
@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_json_may_be_said_or_not(content_type: str, encoding: str) -> None:
    check_type(content_type, encoding)


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json"],
)
def test_another_content_type_gets_openais_words(content_type: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check_type(content_type, "")
    assert caught.value.body()["error"] == {
        "message": f"Unsupported content type: '{content_type}'. This API method only accepts 'application/json' "
        f"requests, but you specified the header 'Content-Type: {content_type}'.",
        "type": "invalid_request_error",
        "param": None,
        "code": "unsupported_content_type",
    }


def test_a_long_content_type_is_not_repeated_whole() -> None:
    with pytest.raises(BadRequest) as caught:
        check_type("x" * 5000, "")
    assert len(caught.value.message) < 600


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
def test_a_compressed_body_gets_415(encoding: str) -> None:
    with pytest.raises(BadRequest, match=encoding) as caught:
        check_type("application/json", encoding)
    assert (caught.value.http_status, caught.value.code) == (415, "unsupported_content_encoding")


def test_headers_are_checked_before_a_byte_is_read() -> None:
    for more in ({"CONTENT_TYPE": "text/plain"}, {"HTTP_CONTENT_ENCODING": "gzip"}):
        stream = Stream(b"{}")
        with pytest.raises(BadRequest):
            read_json(_environ(stream, 2, **more), limit=10, seconds=1, patience=Stopwatch())
        assert stream.asked == []


def test_read_json_returns_the_value() -> None:
    environ = _environ(io.BytesIO(b'{"model":"m"}'), 13, CONTENT_TYPE="application/json")
    assert read_json(environ, limit=13, seconds=1, patience=Stopwatch()) == {"model": "m"}


# --- values


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a": [1, 2.5, true, false, null, "x"]}', {"a": [1, 2.5, True, False, None, "x"]}),
        (b" \t\r\n1 \n", 1),
        (b'"\xc3\xa9 \\u00e9 \\ud83d\\ude00 \\u0000"', "é é 😀 \0"),
        (b'{"a": 1, "b": 2, "a": 3}', {"a": 3, "b": 2}),
        (b"12345678901234567890123", 12345678901234567890123),
        (b"-9223372036854775809", -9223372036854775809),
        (b"1e308", 1e308),
        (b"1e-999", 0.0),
        (b"1" * MAX_DIGITS, int("1" * MAX_DIGITS)),
        (b"-0." + b"1" * (MAX_DIGITS - 1), -1 / 9),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, None),
        (b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH, None),
        (b'"' + b"7" * 5000 + b'"', "7" * 5000),
        (b'{"' + b"-" * 5000 + b'": 1}', {"-" * 5000: 1}),
        (b"[" + b"1," * 5000 + b"1]", [1] * 5001),
        (b'"' + b"[{" * 5000 + b'"', "[{" * 5000),
    ],
)
def test_what_is_json_is_read(raw: bytes, value: object) -> None:
    assert parse(raw) == (json.loads(raw) if value is None else value)
    assert parse(bytearray(raw)) == parse(raw)


NOT_JSON = [
    b"",
    b" ",
    b"{",
    b"{}x",
    b"{'a': 1}",
    b"[1,]",
    b"nul",
    b"01",
    b"NaN",
    b"[Infinity]",
    b"-Infinity",
    b"1e999",
    b'{"a": -1e400}',
    b'"\\ud800"',
    b'"\\ude00\\ud83d"',
    b'{"\\ud800": 1}',
    b'"\xed\xa0\x80"',
    b'"\xff"',
    b'{"\xff": 1}',
    b'"\x01"',
    b"\xef\xbb\xbf{}",
    "{}".encode("utf-16"),
    "{}".encode("utf-16-le"),
    "{}".encode("utf-32"),
    b"1" * (MAX_DIGITS + 1),
    b"1" * 5000,
    b"1" * 1_000_000,
    b"0." + b"1" * MAX_DIGITS,
    b"1" * 200 + b"." + b"1" * 201,
    b"1" * 150 + b"." + b"1" * 150 + b"e-" + b"0" * 101,
    b'{"a": ["' + b"1" * 500 + b'", ' + b"1" * 500 + b"]}",
    b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
    b"[" * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 100_000,
    b'[{"a":' * 100_000,
]


@pytest.mark.parametrize("raw", NOT_JSON, ids=lambda raw: f"{raw[:12]!r}-{len(raw)}")
def test_what_is_not_json_gets_openais_words(raw: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(raw)
    error: dict[str, Any] = caught.value.body()["error"]
    assert error.pop("message").startswith("We could not parse the JSON body of your request. (HINT: ")
    assert error == {"type": "invalid_request_error", "param": None, "code": None}
    assert len(caught.value.message) < 400


def test_every_failure_of_reading_is_one_of_ours() -> None:
    assert all(
        issubclass(kind, O2OError) for kind in (BadRequest, CallerGone, RequestTimeout, RequestTooLarge)
    )


@pytest.mark.parametrize("position", range(80))
def test_a_long_number_is_found_wherever_it_stands(position: int) -> None:
    with pytest.raises(BadRequest):
        parse(b" " * position + b"1" * (MAX_DIGITS + 1))


def test_what_is_kept_of_a_large_body_is_told_as_it_comes_and_may_be_refused() -> None:
    told: list[int] = []
    body = read(
        _environ(Stream(b"01234", b"567", b"89")),
        limit=100,
        seconds=30,
        patience=Stopwatch(),
        hold=told.append,
    )
    assert (bytes(body), told) == (b"0123456789", [5, 3, 2])

    def refuse(size: int) -> None:
        raise ServerOverloaded

    with pytest.raises(ServerOverloaded):
        read(_environ(Stream(b"01234")), limit=100, seconds=30, patience=Stopwatch(), hold=refuse)


def test_so_many_values_are_not_decoded() -> None:
    with pytest.raises(BadRequest, match="more than 1000000 values"):
        parse(b"[" + b"[]," * MAX_VALUES + b"0]")
    with pytest.raises(BadRequest, match="more than 1000000 values"):
        parse(b'{"a":"' + b'\\"' * 9 + b'","b":[' + b"0," * MAX_VALUES + b"0]}")


def test_commas_in_texts_are_not_counted() -> None:
    text = '"a", \\' * (MAX_VALUES + 1)
    assert parse(json.dumps([text, text]).encode()) == [text, text]
    assert len(parse(b"[" + b"0," * (MAX_VALUES - 1) + b"0]")) == MAX_VALUES
