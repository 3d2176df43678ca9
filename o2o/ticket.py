"""One request as the server sees it: its id, its line, and what the log says of it when it is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from o2o.errors import CallerGone, O2OError
from o2o.log import REQUESTS, RequestLog, request_line
from o2o.upstream.line import Line

_log = logging.getLogger(REQUESTS)
_requests = RequestLog()


class Ticket:
    """Follows one request from its first line to its last byte; close it exactly once, twice does no harm."""

    __slots__ = (
        "_closers",
        "_open",
        "began",
        "error",
        "id",
        "key",
        "line",
        "method",
        "model",
        "notes",
        "path",
        "status",
        "usage",
    )

    def __init__(self, request_id: str, method: str, path: str) -> None:
        self.id = request_id
        self.method = method
        self.path = path
        self.began = time.monotonic()
        self.line = Line()
        self.status = 0
        self.model: str | None = None
        self.key: str | None = None
        self.usage: dict[str, Any] | None = None
        self.error: BaseException | None = None
        self.notes: list[str] = []
        self._closers: list[Callable[[], object]] = []
        self._open = True

    @property
    def seconds(self) -> float:
        """How long the request has taken so far."""
        return time.monotonic() - self.began

    def on_close(self, closer: Callable[[], object]) -> None:
        """Call `closer` when the request is over, last registered first."""
        self._closers.append(closer)

    def failed(self, error: BaseException) -> None:
        """Remember what ended the answer early; what cut the line came before its consequences."""
        self.error = self.line.reason or error

    def close(self) -> None:
        """Release what the request held and write its line of the log."""
        if not self._open:
            return
        self._open = False
        while self._closers:
            try:
                self._closers.pop()()
            except Exception:  # noqa: BLE001  # the others have to be called all the same
                _log.exception("closing request %s", self.id)
        self.line.close()
        self._write()

    def _write(self) -> None:
        status = self.status
        if isinstance(self.error, CallerGone):
            status = 499
        code = self.error.code if isinstance(self.error, O2OError) else None
        if self.error is not None and not isinstance(self.error, O2OError):
            code = type(self.error).__name__
        usage = self.usage or {}
        _requests.write(
            request_line(
                id=self.id,
                method=self.method,
                path=self.path,
                status=status,
                seconds=self.seconds,
                model=self.model,
                key=self.key,
                prompt_tokens=usage.get("prompt_tokens"),
                completion_tokens=usage.get("completion_tokens"),
                error=code,
                notes=",".join(self.notes) or None,
            )
        )
