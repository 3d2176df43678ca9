"""A record is one line, and a log that cannot be written fails nobody."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from o2o.log import REQUESTS, TELL_LOSS_EVERY, Formatter, Handler, RequestLog, configure, request_line


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """Return o2o's logger and put back what `configure` changes."""
    made, raising = logging.getLogger("o2o"), logging.raiseExceptions
    before = (list(made.handlers), made.level, made.propagate)
    yield made
    made.handlers[:], level, made.propagate = before
    made.setLevel(level)
    logging.raiseExceptions = raising


class FailingStream(io.StringIO):
    """A stream on a disk that may be full."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)


def _write(handler: logging.Handler, message: str, *args: object) -> None:
    handler.handle(logging.LogRecord("o2o", logging.INFO, __file__, 1, message, args, None))


# --- the line of a request


def test_the_short_way_of_a_request_writes_the_line_that_logging_writes(logger: logging.Logger) -> None:
    stream = io.StringIO()
    configure("info", stream)
    line = request_line(id="req_1", path="/ü\n", seconds=0.5)
    RequestLog().write(line)
    logging.getLogger(REQUESTS).info("%s", line)
    short, long = (re.sub(r"^[0-9T:.-]+Z ", "", written) for written in stream.getvalue().splitlines())
    assert short == long == f"INFO {REQUESTS} {line}"


@pytest.mark.parametrize("changed", ["handler", "filter", "level"])
def test_who_listens_to_requests_in_another_way_is_heard(logger: logging.Logger, changed: str) -> None:
    stream, other = io.StringIO(), io.StringIO()
    configure("warning" if changed == "level" else "info", stream)
    requests = logging.getLogger(REQUESTS)
    extra = logging.StreamHandler(other)
    nothing = lambda record: False  # noqa: E731  # a filter
    try:
        if changed == "handler":
            requests.addHandler(extra)
        elif changed == "filter":
            requests.addFilter(nothing)
        RequestLog().write("id=req_1")
    finally:
        requests.removeHandler(extra)
        requests.removeFilter(nothing)
    assert ("id=req_1" in stream.getvalue()) == (changed == "handler")
    assert other.getvalue() == ("id=req_1\n" if changed == "handler" else "")


def test_lines_of_requests_that_cannot_be_written_are_counted_too(logger: logging.Logger) -> None:
    stream = FailingStream()
    configure("info", stream)
    stream.full = True
    RequestLog().write("id=req_1")
    stream.full = False
    RequestLog().write("id=req_2")
    written = stream.getvalue().splitlines()
    assert written[0].endswith("id=req_2")
    assert "1 lines of the log could not be written" in written[1]


def test_a_request_line_keeps_the_order_and_leaves_out_what_is_not_known() -> None:
    line = request_line(
        id="req_1", method="POST", path="/v1/models", status=200, seconds=0.12345, model=None, tokens=0
    )
    assert line == "id=req_1 method=POST path=/v1/models status=200 seconds=0.123 tokens=0"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("hf.co/x/y:Q4_K_M", "hf.co/x/y:Q4_K_M"),
        ("a b", '"a b"'),
        ('say "hi"', r'"say \"hi\""'),
        ("a=b", '"a=b"'),
        ("", '""'),
        ("x\nid=req_2 status=200", r'"x\nid=req_2 status=200"'),
        ("\x1b[2J\x00", r'"\u001b[2J\u0000"'),
        ("é\u2028\x85", r'"\u00e9\u2028\u0085"'),
        ("\ud800", r'"\ud800"'),
        (True, "True"),
    ],
)
def test_odd_values_are_quoted_and_escaped(value: object, shown: str) -> None:
    assert request_line(model=value) == f"model={shown}"


def test_a_long_value_is_cut() -> None:
    assert len(request_line(path="/" + "x" * 10_000)) < 220


# --- any line


def test_a_line_has_time_level_and_logger() -> None:
    line = Formatter().format(logging.LogRecord("o2o.request", logging.INFO, "f", 1, "a %s", ("b",), None))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO o2o\.request a b", line)


def test_a_message_cannot_forge_a_line() -> None:
    message = "x\r\n2026-01-01T00:00:00.000Z INFO o2o forged\x1b[2J\x85\u2028"
    line = Formatter().format(logging.LogRecord("o2o", logging.INFO, "f", 1, "%s", (message,), None))
    assert line.splitlines() == [line]
    assert r"x\r\n2026" in line
    assert "\x1b" not in line


def test_a_traceback_is_indented() -> None:
    try:
        raise ValueError("x\n2026-01-01T00:00:00.000Z INFO o2o forged\x1b")
    except ValueError:
        record = logging.LogRecord(
            "o2o", logging.ERROR, "f", 1, "failed", None, sys.exc_info(), sinfo="Stack:\nhere"
        )
    first, *rest = Formatter().format(record).split("\n")
    assert first.endswith(" ERROR o2o failed")
    assert len(rest) >= 4
    assert all(line.startswith("    ") for line in rest)
    assert "\x1b" not in "".join(rest)


# --- writing


def test_lost_lines_are_counted_and_told_when_writing_works_again() -> None:
    stream = FailingStream()
    handler = Handler(stream)
    stream.full = True
    _write(handler, "one")
    _write(handler, "two")
    stream.full = False
    _write(handler, "three")
    three, told = stream.getvalue().splitlines()
    assert three.endswith(" o2o three")
    assert told.endswith(" WARNING o2o.log 2 lines of the log could not be written")


def test_losses_are_told_once_a_minute() -> None:
    stream, now = FailingStream(), [0.0]
    handler = Handler(stream, clock=lambda: now[0])
    for message in ("one", "two", "three"):
        stream.full = True
        _write(handler, "lost")
        stream.full = False
        _write(handler, message)
    assert [line.rsplit("Z ")[-1] for line in stream.getvalue().splitlines()] == [
        "INFO o2o one",
        "WARNING o2o.log 1 lines of the log could not be written",
        "INFO o2o two",
        "INFO o2o three",
    ]
    now[0] += TELL_LOSS_EVERY
    _write(handler, "four")
    assert stream.getvalue().endswith(" 2 lines of the log could not be written\n")


def test_a_full_disk_fails_nobody() -> None:
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("no device that is always full")
    with Path("/dev/full").open("w", buffering=1) as stream:
        handler = Handler(stream)
        for number in range(100):
            _write(handler, "line %d", number)
        handler.close()
        with pytest.raises(OSError, match="space"):
            stream.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def test_a_closed_stream_or_a_wrong_message_fails_nobody() -> None:
    stream = io.StringIO()
    handler = Handler(stream)
    _write(handler, "%d", "not a number")
    stream.close()
    _write(handler, "closed")


def test_configure_sends_everything_of_o2o_from_a_level_on(logger: logging.Logger) -> None:
    stream = io.StringIO()
    configure("warning")
    configure("warning", stream)
    logging.getLogger("o2o.request").info("too low")
    logging.getLogger("o2o.request").warning("high enough")
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().endswith(" WARNING o2o.request high enough\n")
    assert not logger.propagate


def test_by_default_lines_go_to_standard_error(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    configure()
    logger.debug("too low")
    logger.info("for the operator")
    assert capsys.readouterr().err.endswith(" INFO o2o for the operator\n")


def test_a_process_without_standard_error_logs_to_nobody() -> None:
    script = (
        "import logging, o2o.log; o2o.log.configure(); logging.getLogger('o2o').info('x'); print('alive')"
    )
    command = ["sh", "-c", '"$0" -c "$1" 2>&-', sys.executable, script]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "alive\n"
