"""The composition root: settings in, a Flask app out; every failure becomes OpenAI's envelope here."""

from __future__ import annotations

import logging
import random
import socket
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed as WrongMethod, NotFound as NoRoute

from o2o import errors, tokens
from o2o.admission import Admission, Room
from o2o.auth import Keys, is_open
from o2o.blueprints import chat, completions, elsewhere, embeddings, models, ops
from o2o.blueprints._response import as_json
from o2o.catalogue import Catalogue
from o2o.config import Settings
from o2o.ids import new_id
from o2o.log import configure
from o2o.origin import Origins
from o2o.services import Limits, Services
from o2o.ticket import Ticket
from o2o.translate.policy import Policy, parse_aliases
from o2o.upstream.client import HTTPUpstream, Upstream
from o2o.upstream.pictures import Pictures
from o2o.upstream.replies import Beat, Times

PREFIXES = ("/v1", "", "/openai/v1", "/openai", "/api/v1", "/v1/v1", "/openai/deployments/<path:deployment>")
"""Where clients look for the API: OpenAI's place, none, Azure's three, OpenRouter's, and a base URL said twice."""

BODIES_AT_ONCE = 8
"""How many bodies of the largest size a process keeps at a time; small ones do not count."""

_log = logging.getLogger("o2o")


class _App(Flask):
    """Flask without a look at every call whether a view is a coroutine; none is."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func` as it is."""
        return func


def create_app(
    settings: Settings,
    upstream: Upstream | None = None,
    *,
    pictures: Pictures | None = None,
    short_ways: bool = True,
) -> Flask:
    """Return an app of its own for these settings; nothing is shared between two of them but the watcher.

    `pictures` fetches images in place of the usual one, where the settings let them be fetched. `short_ways` is for
    tests: without them every answer is made the plain way, slower and the same.
    """
    configure(settings.log_level)
    app = _App("o2o", static_folder=None)
    app.url_map.strict_slashes = False
    upstream = upstream or make_upstream(settings, short_ways)
    services = make_services(settings, upstream, pictures or Pictures(), short_ways)
    app.extensions["o2o"] = services
    _guard(app, settings)
    _finish(app)
    _answer_failures(app)
    app.register_blueprint(ops.blueprint(services))
    for number, prefix in enumerate(PREFIXES):
        for module in (chat, completions, embeddings, models):
            made = module.blueprint(services)
            made.url_value_preprocessor(_take_deployment)
            app.register_blueprint(made, url_prefix=prefix or None, name=f"{made.name}{number}")
    return app


def make_upstream(settings: Settings, short_ways: bool = True) -> HTTPUpstream:
    """Return the Ollama that the settings name."""
    return HTTPUpstream(
        settings.ollama_api_base_url,
        api_key=settings.upstream_api_key,
        ca=settings.upstream_ca,
        times=Times(settings.connect_timeout, settings.first_byte_timeout, settings.stall_timeout),
        pool_size=2 * settings.max_in_flight,
        short_ways=short_ways,
    )


def make_policy(settings: Settings) -> Policy:
    """Return what of the settings changes a translation."""
    return Policy(
        strict=settings.strict,
        truncate=settings.truncate,
        embed_truncate=settings.embed_truncate,
        num_ctx=settings.num_ctx,
        max_num_ctx=settings.max_num_ctx,
        default_max_tokens=settings.default_max_tokens,
        max_tokens=settings.max_tokens,
        completions_max_tokens=settings.completions_max_tokens,
        completions_template=settings.completions_template,
        max_n=settings.max_n,
        merge_roles=settings.merge_roles,  # type: ignore[arg-type]  # checked against the same words by Settings
        logit_bias=settings.logit_bias,  # type: ignore[arg-type]  # likewise
        reasoning=settings.reasoning,  # type: ignore[arg-type]  # likewise
        tools_fallback=settings.tools_fallback,  # type: ignore[arg-type]  # likewise
        tool_rescue=settings.tool_rescue,
        lock_runner_options=settings.lock_runner_options,
        allow_cloud=settings.allow_cloud,
        timings=settings.timings,
        aliases=parse_aliases(settings.model_aliases or ""),
        default_model=settings.default_model,
        default_model_for_unknown=settings.default_model_for_unknown,
        fetch_images=settings.fetch_images,
    )


def make_services(
    settings: Settings, upstream: Upstream, pictures: Pictures, short_ways: bool = True
) -> Services:
    """Return what the views work with."""
    vocabulary = tokens.find(settings.tiktoken_cache_dir)
    return Services(
        upstream=upstream,
        catalogue=Catalogue(upstream),
        policy=make_policy(settings),
        admission=Admission(settings.max_in_flight),
        room=Room(BODIES_AT_ONCE * settings.max_body_bytes),
        limits=Limits(settings.max_body_bytes, settings.body_timeout, settings.deadline),
        beat=Beat(settings.heartbeat_after, settings.heartbeat_interval),
        pictures=pictures if settings.fetch_images else None,
        decode=vocabulary.decode if vocabulary is not None else None,
        short_ways=short_ways,
        merged=set(),
    )


def _take_deployment(endpoint: str | None, values: dict[str, str] | None) -> None:
    g.deployment = values.pop("deployment", None) if values else None


def _guard(app: Flask, settings: Settings) -> None:
    """Open a ticket for every request, and turn away who may not come in."""
    keys = Keys(settings.api_keys)
    origins = Origins(
        cors_origins=settings.cors_origins,
        allowed_hosts=settings.allowed_hosts,
        keyed=bool(settings.api_keys),
        machine_name=socket.gethostname(),
    )

    @app.before_request
    def enter() -> Response | None:
        ticket = g.ticket = Ticket(new_id("req_", 32), request.method, request.path)
        origin = request.headers.get("Origin")
        refused = origins.judge(origin, request.headers.get("Host"))
        if refused is not None:
            raise refused
        if request.method == "OPTIONS":
            return _nothing()
        if settings.api_keys and not is_open(request.path):
            ticket.key = keys.check(request.headers)
        return None

    @app.after_request
    def allow_origin(response: Response) -> Response:
        response.headers.update(origins.cors(request.headers.get("Origin"), request.headers))
        return response


def _nothing() -> Response:
    response = Response(status=204)
    # What has no content has no type; Flask gives it one, and strict WSGI hosts refuse that.
    del response.headers["Content-Type"]
    return response


def _finish(app: Flask) -> None:
    """Put on every response what every response of OpenAI's has."""

    @app.after_request
    def stamp(response: Response) -> Response:
        ticket: Ticket = g.ticket
        ticket.status = response.status_code
        headers = response.headers
        headers["x-request-id"] = ticket.id
        headers["openai-processing-ms"] = str(int(ticket.seconds * 1000))
        headers["openai-version"] = "2020-10-01"
        headers["x-content-type-options"] = "nosniff"
        response.call_on_close(ticket.close)
        return response


def _answer_failures(app: Flask) -> None:
    @app.errorhandler(errors.O2OError)
    def ours(error: errors.O2OError) -> Response:
        ticket: Ticket = g.ticket
        ticket.failed(error)
        if isinstance(error, errors.ServerOverloaded):
            error.scatter(random.random())  # noqa: S311  # nobody gains by guessing it
        return as_json(error.body(), error.http_status, error.headers)

    @app.errorhandler(HTTPException)
    def flasks(error: HTTPException) -> Response:
        return ours(_from_http(error))

    @app.errorhandler(Exception)
    def bugs(error: Exception) -> Response:
        _log.exception("request %s failed", g.ticket.id)
        response = ours(errors.InternalError())
        g.ticket.failed(error)
        return response


def _from_http(error: HTTPException) -> errors.O2OError:
    """Return what werkzeug found wrong as one of ours."""
    what = errors.clip(f"{request.method} {request.path}")
    if isinstance(error, NoRoute):
        return elsewhere.missing(request.method, request.path)
    if isinstance(error, WrongMethod):
        if (known := elsewhere.unsupported(request.path)) is not None:
            return known
        allow = ", ".join(sorted(error.valid_methods or ()))
        hint = "(HINT: Perhaps you meant to use a different HTTP method?)"
        return errors.MethodNotAllowed(
            f"Not allowed to {request.method} on {errors.clip(request.path)}. {hint}",
            headers={"Allow": allow},
        )
    status = error.code or 500
    if status >= 500:
        return errors.InternalError(status=status)
    return errors.BadRequest(f"{error.name}: {what}", status=status)
