"""The way in: what the generating endpoints learn of a request before they translate it."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from flask import g, request

from o2o.body import read_json
from o2o.errors import BadRequest
from o2o.hangup import caller_fd, watcher
from o2o.services import Services
from o2o.ticket import Ticket
from o2o.translate.facts import Facts
from o2o.translate.images import MAX_COUNT, is_image, too_many, web_images
from o2o.translate.policy import Resolved, check_cloud, resolve
from o2o.translate.window import Kept
from o2o.upstream.pictures import PictureError

_LARGE = 1024 * 1024
"""Bytes of a body from which on a request lets others run between its stages."""


def open_request(services: Services) -> tuple[Ticket, Any]:
    """Watch the caller and return what it sent; the ticket ends the watch and gives the body's room back."""
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
        short_ways=services.short_ways,
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
    if int(request.environ.get("CONTENT_LENGTH") or 0) > _LARGE:
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


_Q = TypeVar("_Q", bound="Windowed")


class Windowed(Protocol):
    """A question that may want a window."""

    @property
    def num_ctx(self) -> int | None: ...
    def with_window(self: _Q, window: int | None) -> _Q: ...
    def keeping(self: _Q, kept: Kept | None) -> _Q: ...


def in_window(services: Services, resolved: Resolved, question: _Q) -> _Q:
    """Return the question for a window that does not make Ollama load its model anew."""
    catalogue = services.catalogue
    if question.num_ctx is None:
        return question.keeping(catalogue.kept_window(resolved.target))
    return question.with_window(catalogue.window(resolved.target, question.num_ctx))


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


def num_ctx_header() -> int | None:
    """Return the window that the header x-o2o-num-ctx asks for."""
    text = request.environ.get("HTTP_X_O2O_NUM_CTX")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:12]) < 2**31:
        raise BadRequest(
            "Invalid header 'x-o2o-num-ctx': expected a positive integer.",
            code="invalid_value",
            param="num_ctx",
        )
    return int(text)
