"""The composition root: settings in, a Flask app out; every failure becomes OpenAI's envelope here."""

from __future__ import annotations

import logging
import random
import socket
from collections.abc import Callable
from typing import Any

from flask import Flask, Request, Response, g, request
from flask.sessions import NullSession, SessionInterface, SessionMixin
from werkzeug.exceptions import HTTPException, MethodNotAllowed as WrongMethod, NotFound as NoRoute
from werkzeug.routing import MapAdapter

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


class _NoSessions(SessionInterface):
    """Nobody has a session."""

    def open_session(self, app: Flask, request: Request) -> SessionMixin:
        """Return the session that is none."""
        return _NO_SESSION


_NO_SESSION = NullSession()


class _App(Flask):
    """Flask with one way in and one way out in place of lists of hooks, and without what o2o has not.

    No view is a coroutine, and hosts have no meaning for routes.
    """

    session_interface = _NoSessions()

    def __init__(self, enter: Callable[[], Response | None], stamp: Callable[[Response], Response]) -> None:
        super().__init__("o2o", static_folder=None)
        self._enter = enter
        self._stamp = stamp

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func` as it is."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return what finds the route of a request; whether its host is welcome is judged elsewhere."""
        if request is None:
            return super().create_url_adapter(request)
        environ, path = request.environ, request.path
        # A base URL that ends in a slash doubles one; werkzeug would redirect, which few clients follow.
        while "//" in path:
            path = path.replace("//", "/")
        return self.url_map.bind(
            environ.get("HTTP_HOST") or environ["SERVER_NAME"],
            script_name=environ.get("SCRIPT_NAME") or "/",
            url_scheme=environ["wsgi.url_scheme"],
            default_method=environ["REQUEST_METHOD"],
            path_info=path,
            query_args=environ.get("QUERY_STRING", ""),
        )

    def preprocess_request(self) -> Response | None:
        """Return what to answer in place of what a view would, if anything."""
        return self._enter()

    def process_response(self, response: Response) -> Response:
        """Return the response with what all of them have."""
        return self._stamp(response)


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
    origins = Origins(
        cors_origins=settings.cors_origins,
        allowed_hosts=settings.allowed_hosts,
        keyed=bool(settings.api_keys),
        machine_name=socket.gethostname(),
    )
    app = _App(_entrance(settings, origins), _exit(origins))
    app.url_map.strict_slashes = False
    upstream = upstream or make_upstream(settings, short_ways)
    services = make_services(settings, upstream, pictures or Pictures(), short_ways)
    app.extensions["o2o"] = services
    _answer_failures(app)
    app.register_blueprint(ops.blueprint(services))
    for number, prefix in enumerate(PREFIXES):
        for module in (chat, completions, embeddings, models):
            made = module.blueprint(services)
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


def _entrance(settings: Settings, origins: Origins) -> Callable[[], Response | None]:
    """Return what opens a ticket for every request, and turns away who may not come in."""
    keys = Keys(settings.api_keys)

    def enter() -> Response | None:
        asked, here = request._get_current_object(), g._get_current_object()  # type: ignore[attr-defined]  # proxies
        environ, values = asked.environ, asked.view_args
        here.deployment = values.pop("deployment", None) if values else None
        ticket = here.ticket = Ticket(new_id("req_", 32), asked.method, asked.path)
        refused = origins.judge(environ.get("HTTP_ORIGIN"), environ.get("HTTP_HOST"))
        if refused is not None:
            raise refused
        if asked.method == "OPTIONS":
            return _nothing()
        if settings.api_keys and not is_open(asked.path):
            ticket.key = keys.check(asked.headers)
        return None

    return enter


def _nothing() -> Response:
    response = Response(status=204)
    # What has no content has no type; Flask gives it one, and strict WSGI hosts refuse that.
    del response.headers["Content-Type"]
    return response


def _exit(origins: Origins) -> Callable[[Response], Response]:
    """Return what puts on every response what every response of OpenAI's has, and lets pages read it."""

    def stamp(response: Response) -> Response:
        ticket: Ticket = g.ticket
        ticket.status = response.status_code
        origin = request.environ.get("HTTP_ORIGIN")
        headers = response.headers
        for name, value in origins.cors(origin, request.headers).items():
            headers.add(name, value)
        headers.add("x-request-id", ticket.id)
        headers.add("openai-processing-ms", str(int(ticket.seconds * 1000)))
        headers.add("openai-version", "2020-10-01")
        headers.add("x-content-type-options", "nosniff")
        response.call_on_close(ticket.close)
        return response

    return stamp


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
