"""`GET /`, `/health`, `/healthz`, `/readyz`, `/v1`: is the process alive, does Ollama answer; short answers."""

from __future__ import annotations

from flask import Blueprint, Response

from o2o.blueprints._response import as_json
from o2o.errors import O2OError, ShuttingDown
from o2o.hangup import watcher
from o2o.services import Services


def blueprint(services: Services) -> Blueprint:
    """Return the routes that orchestrators, proxies and curious clients ask."""
    made = Blueprint("ops", __name__)

    @made.get("/")
    @made.get("/v1")
    def root() -> Response:
        return as_json({"status": "ok", "server": "o2o"})

    @made.get("/health")
    @made.get("/healthz")
    def health() -> Response:
        """Say that the process is alive; asks nobody."""
        return as_json({"status": "ok"})

    @made.get("/readyz")
    def ready() -> Response:
        """Say whether a request would be served: Ollama answers, and this process is not about to end."""
        if watcher().draining:
            raise ShuttingDown
        try:
            version = services.upstream.version().get("version")
        except O2OError as error:
            return as_json(error.body(), 503, error.headers)
        return as_json({"status": "ok", "ollama": version})

    return made
