"""The way out: JSON, streams of chunks, and the headers that are ours.

Nothing of a stream touches `request`: by the time it runs, Flask has forgotten it.
"""

from __future__ import annotations

import inspect
import re
import secrets
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from flask import Response

from o2o import sse
from o2o.errors import CallerGone
from o2o.generation import Run, begun
from o2o.ticket import Ticket
from o2o.translate.turn import Choice

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_encode = msgspec.json.Encoder().encode

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST_NAMES = 20
_STREAM_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


class Whole(Response):
    """A response whose body is there, as bytes: the server gets it as it is, without a further look at its headers."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as a WSGI application."""
        if environ["REQUEST_METHOD"] == "HEAD":
            return super().__call__(environ, start_response)
        start_response(self.status, self.headers.to_wsgi_list())
        pieces = _Pieces(self.response)  # type: ignore[arg-type]  # bytes, see the class
        pieces.close = self.close
        return pieces


class _Pieces(list[bytes]):
    """A body, and what is to be called when it was sent."""

    close: Callable[[], None]


def as_json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response."""
    return Whole(_encode(value), status, headers, content_type="application/json")


def headers(ignored: Sequence[str], warnings: Sequence[str], num_ctx: int | None) -> dict[str, str]:
    """Return the headers that say what was not honoured, what happened on the way, and the window asked for."""
    made: dict[str, str] = {}
    if ignored:
        names = dict.fromkeys(name if _NAME.fullmatch(name) else "?" for name in ignored)
        made["x-o2o-ignored"] = ", ".join(list(names)[:_MOST_NAMES])
    if warnings:
        made["x-o2o-warning"] = ", ".join(dict.fromkeys(warnings))
    if num_ctx is not None:
        made["x-o2o-num-ctx"] = str(num_ctx)
    return made


class Chunks:
    """Encodes choices as chunks: the same head on each, and usage where the caller asked for it."""

    def __init__(
        self, head: Mapping[str, Any], body: Mapping[str, Any], last: Callable[[], dict[str, Any]]
    ) -> None:
        wishes = body.get("stream_options") or {}
        self._last = last
        self._include_usage = bool(wishes.get("include_usage"))
        self._noise = secrets.token_urlsafe(64) if wishes.get("include_obfuscation") else None
        self._before = b"data: " + _encode(head)[:-1] + b',"choices":['
        self._after = b'],"usage":null}\n\n' if self._include_usage else b"]}\n\n"
        self._between = self._after + self._before

    def render(self, choices: list[Choice]) -> bytes:
        """Return one event for each choice."""
        if not choices:
            return b""
        before, after = self._before, self._after
        if len(choices) == 1 and self._noise is None:
            return before + _encode(choices[0]) + after
        if self._noise is not None:
            return b"".join(before + _encode(choice) + self._padding(after) for choice in choices)
        return before + self._between.join([_encode(choice) for choice in choices]) + after

    def end(self) -> bytes:
        """Return what stands before `[DONE]`: the usage, or nothing."""
        last = self._last()
        if not self._include_usage:
            return b""
        return self._before + b"]," + _encode(last)[1:] + b"\n\n"

    def _padding(self, after: bytes) -> bytes:
        assert self._noise is not None
        length = 1 + secrets.randbelow(len(self._noise))
        return after.replace(b"]", b'],"obfuscation":"' + self._noise[:length].encode() + b'"', 1)


def whole(
    run: Run, completion: Callable[[list[Choice]], dict[str, Any]], headers: Callable[[], dict[str, str]]
) -> Response:
    """Run to the end and answer with the fold of the choices."""
    choices: list[Choice] = []
    try:
        while True:
            try:
                came = next(run)
            except StopIteration as stop:
                choices += stop.value
                break
            if came:
                choices += came
    finally:
        run.close()
    body = completion(choices)
    return as_json(body, headers=headers())


def streamed(ticket: Ticket, run: Run, chunks: Chunks, headers: Callable[[], dict[str, str]]) -> Response:
    """Answer with a stream whose status is decided by the first thing that comes."""
    ticket.on_close(run.close)
    body = _Body(sse.stream(begun(run), chunks.render, chunks.end, ticket.failed), ticket)
    return Response(
        body,
        200,
        {**_STREAM_HEADERS, **headers()},
        content_type="text/event-stream; charset=utf-8",
        direct_passthrough=True,  # the pieces are bytes already
    )


class _Body:
    """The body of a stream: ends its run when the server closes it, also when it was never read."""

    def __init__(self, events: Generator[bytes, None, None], ticket: Ticket) -> None:
        self._events = events
        self._ticket = ticket

    def __iter__(self) -> Iterator[bytes]:
        return self._events

    def close(self) -> None:
        ended = inspect.getgeneratorstate(self._events) == inspect.GEN_CLOSED
        if not ended and self._ticket.error is None:
            self._ticket.failed(CallerGone())
        self._events.close()
        self._ticket.close()
