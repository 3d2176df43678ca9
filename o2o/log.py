"""The log: one line a record, and no way for a record to become two or to fail a request.

    2026-11-22T10:30:00.125Z INFO o2o.request id=req_1 method=POST path=/v1/chat/completions status=200 …

Prompts and answers are never among the fields. Writing may fail (a full disk, a closed pipe): the request goes
on, the lines are counted, and the count is told once writing works again, at most once a minute.
"""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:
    _StreamHandler = logging.StreamHandler  # takes no type at run time before Python 3.11

REQUESTS = "o2o.request"
"""The logger of the line that each request has."""

TELL_LOSS_EVERY = 60.0
"""Seconds between two lines that tell how many were lost."""

_PLAIN = re.compile(r"[!#-<>-~]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST_VALUE = 200


def request_line(**fields: object) -> str:
    """Return fields as `name=value`, in their order and without those that are None; odd values are quoted."""
    return " ".join(f"{name}={_value(value)}" for name, value in fields.items() if value is not None)


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    if len(text) > _LONGEST_VALUE:
        text = text[: _LONGEST_VALUE - 1] + "…"
    # Quoted as JSON, every character that is not plain ASCII is escaped.
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


class Formatter(logging.Formatter):
    """One line a record, in UTC; what follows (a traceback) is indented, so that nothing can pass for a record."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        self._second = -1
        self._stamp = ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """Return the time in UTC; of many lines in one second the date is made once."""
        return self.stamp(record.created)

    def stamp(self, created: float) -> str:
        """Return seconds since the epoch as a line begins with them."""
        second = int(created)
        if second != self._second:
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        return f"{self._stamp}.{int((created - second) * 1000):03d}Z"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the first line."""
        record.message = _CONTROL.sub(_escape, record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return the traceback."""
        return _indent(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        """Return the stack."""
        return _indent(stack_info)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _indent(text: str) -> str:
    return "\n".join("    " + _CONTROL.sub(_escape, line) for line in text.split("\n"))


class Handler(_StreamHandler):
    """Writes to `stream`, or to what `sys.stderr` is at that moment; counts the lines that cannot be written."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream or sys.stderr)
        self._lines = Formatter()
        self.setFormatter(self._lines)
        self._follows_stderr = stream is None
        self._clock = clock
        self._lost = 0
        self._next_telling = -math.inf

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, if that is possible."""
        if self._follows_stderr:
            self.stream = sys.stderr
        lost = self._lost
        super().emit(record)
        if lost == self._lost > 0 and self._clock() >= self._next_telling:
            self._next_telling = self._clock() + TELL_LOSS_EVERY
            self._lost = 0
            super().emit(_record(f"{lost} lines of the log could not be written"))

    def emit_request(self, line: str) -> bool:
        """Write what `info(line)` of the logger of requests would, without a record; False when that is to be used.

        `line` is from `request_line`: it has nothing to escape.
        """
        if self.filters or self.formatter is not self._lines or self._lost:
            return False
        stream = sys.stderr if self._follows_stderr else self.stream
        self.acquire()
        try:
            stream.write(f"{self._lines.stamp(time.time())} INFO {REQUESTS} {line}\n")
            stream.flush()
        except Exception:  # noqa: BLE001  # a log that cannot be written fails nobody
            self._lost += 1
        finally:
            self.release()
        return True

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Count a line that is lost; called by `logging` with whatever went wrong."""
        self._lost += 1


class RequestLog:
    """Writes the lines of requests: past `logging` as long as nobody but our own handler listens."""

    def __init__(self) -> None:
        self._logger = logging.getLogger(REQUESTS)
        self._parent = logging.getLogger("o2o")

    def write(self, line: str) -> None:
        """Log one line, from `request_line`, as information."""
        logger, parent = self._logger, self._parent
        if not logger.isEnabledFor(logging.INFO):
            return
        handlers = parent.handlers
        ours = len(handlers) == 1 and type(handlers[0]) is Handler and not parent.propagate
        if ours and not (logger.handlers or logger.filters):
            handler: Any = handlers[0]
            if handler.emit_request(line):
                return
        logger.info("%s", line)


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Send what o2o logs from `level` on to `stream`, by default to standard error; for entry points."""
    # What no line of ours tells need not be looked up for each of them (the logging HOWTO, "Optimization").
    # The number of the process stays: without it gunicorn's own lines, tracebacks among them, would be lost.
    logging.logThreads = logging.logMultiprocessing = False
    logging._srcfile = None
    logging.raiseExceptions = False  # other handlers, such as gunicorn's, must not fail loudly either
    logger = logging.getLogger("o2o")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.addHandler(Handler(stream))
    logger.setLevel(level.upper())
    logger.propagate = False


def _record(message: str) -> logging.LogRecord:
    return logging.LogRecord("o2o.log", logging.WARNING, __file__, 0, message, None, None)
