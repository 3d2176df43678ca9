"""What the generating endpoints share: open a request, and answer it whole or as a stream.

Nothing of a stream touches `request`: by the time it runs, Flask has forgotten it.
"""

from __future__ import annotations

import base64
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from flask import Response, g, request

from o2o import sse
from o2o.body import read_json
from o2o.errors import BadRequest, CallerGone
from o2o.generation import Run, begun
from o2o.hangup import caller_fd, watcher
from o2o.ids import new_id
from o2o.services import Services
from o2o.ticket import Ticket
from o2o.translate.facts import Facts
from o2o.translate.images import MAX_COUNT, is_image, too_many, web_images
from o2o.translate.policy import Resolved, check_cloud, resolve
from o2o.translate.turn import Choice
from o2o.upstream.pictures import PictureError

_encode = msgspec.json.Encoder().encode

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST_NAMES = 20
_LARGE = 1024 * 1024
"""Bytes of a body from which on a request lets others run between its stages."""
_STREAM_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


def open_request(services: Services) -> tuple[Ticket, Any]:
    """Watch the caller, read the body and take a place among the generations; the ticket gives all of it back."""
    ticket: Ticket = g.ticket
    ticket.line.deadline = ticket.began + services.limits.deadline
    watch = watcher().watch(ticket.line, caller_fd(request.environ))
    ticket.on_close(watch.close)
    limits = services.limits
    body = read_json(
        request.environ,
        limit=limits.body_bytes,
        seconds=limits.body_seconds,
        patience=watch,
        hold=lambda size: ticket.on_close(services.room.take(size)),
    )
    return ticket, _with_model(body, g.get("deployment") or services.policy.default_model)


def _with_model(body: Any, model: str | None) -> Any:
    """Return the body with a model, where it names none and the path or the operator does."""
    if model is None or not isinstance(body, dict) or body.get("model") is not None:
        return body
    return {**body, "model": model}


def admit(services: Services, ticket: Ticket) -> None:
    """Take a place among the generations in flight, or raise ServerOverloaded."""
    ticket.on_close(services.admission.enter().leave)
    if (request.content_length or 0) > _LARGE:
        time.sleep(0)  # its translation took a while: others first, under gevent


def resolve_model(services: Services, ticket: Ticket, body: Mapping[str, Any]) -> Resolved:
    """Return which model is meant, and who runs under that name."""
    policy = services.policy
    known = services.catalogue.knows if policy.default_model_for_unknown else None
    resolved = resolve(body["model"], policy, known=known)
    ticket.model = resolved.requested
    return resolved


def facts(services: Services, resolved: Resolved, needed: bool) -> Facts | None:
    """Return what is known of the model; asked only where it is needed."""
    policy = services.policy
    if not needed and policy.allow_cloud:
        return None
    found = services.catalogue.facts(resolved.target)
    if found is not None and found.remote:
        check_cloud(resolved.target, policy, remote=True)
    return found


def fetch_pictures(services: Services, ticket: Ticket, messages: Any) -> dict[str, str]:
    """Return the base64 of the images that messages name by address, where the operator lets them be fetched.

    Raises BadRequest with the place of the first that cannot be had, and what ends the request in the meantime.
    """
    if services.pictures is None:
        return {}
    fetched: dict[str, str] = {}
    wanted = web_images(messages)
    if len(wanted) > MAX_COUNT:
        raise too_many("messages")
    for url, place in wanted.items():
        ticket.line.check()
        try:
            data = services.pictures.fetch(url, is_image)
        except PictureError as error:
            raise BadRequest(
                f"The image could not be used: {error}.", code="invalid_image_url", param=place
            ) from error
        fetched[url] = base64.b64encode(data).decode("ascii")
    return fetched


def num_ctx_header(text: str | None) -> int | None:
    """Return the window that the header x-o2o-num-ctx asks for."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:12]) < 2**31:
        raise BadRequest(
            "Invalid header 'x-o2o-num-ctx': expected a positive integer.",
            code="invalid_value",
            param="num_ctx",
        )
    return int(text)


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


def new_call_id() -> str:
    """Return the id of a tool call: `call_` and 24 characters."""
    return new_id("call_")


def as_json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response."""
    return Response(_encode(value), status, headers, mimetype="application/json")


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

    def __init__(self, events: Iterator[bytes], ticket: Ticket) -> None:
        self._events = events
        self._ticket = ticket
        self._ended = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._events)
        except StopIteration:
            self._ended = True
            raise

    def close(self) -> None:
        if not self._ended and self._ticket.error is None:
            self._ticket.failed(CallerGone())
        self._events.close()  # type: ignore[attr-defined]  # sse.stream is a generator
        self._ticket.close()
