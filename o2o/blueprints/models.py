"""`GET /v1/models`, `GET /v1/models/{id}`: Ollama's models, with extras that OpenAI does not have.

Deviations: `context_length`, `capabilities`, `family`, `size`, `quantization` and `loaded` stand beside OpenAI's
keys; DELETE is refused, since models are Ollama's to delete.
"""

from __future__ import annotations

from flask import Blueprint, Response

from o2o.blueprints._response import as_json
from o2o.errors import Forbidden, ModelNotFound, clip
from o2o.services import Services
from o2o.translate.models import find, to_openai

_PATIENCE = 1.0
"""Seconds that a list waits for facts about models."""


def blueprint(services: Services) -> Blueprint:
    """Return the routes about models."""
    made = Blueprint("models", __name__)

    @made.get("/models")
    def list_all() -> Response:
        return as_json({"object": "list", "data": entries()})

    @made.get("/models/<path:model>")
    def retrieve(model: str) -> Response:
        entry = find(entries(), model.rstrip("/"))
        if entry is None:
            raise ModelNotFound(f"The model `{clip(model)}` does not exist or you do not have access to it.")
        return as_json(entry)

    @made.delete("/models/<path:model>")
    def delete(model: str) -> Response:
        raise Forbidden("Models cannot be deleted here; use `ollama rm` on the machine that runs Ollama.")

    def entries() -> list[dict[str, object]]:
        listing = services.catalogue.listing(_PATIENCE)
        return to_openai(listing.tags, facts=listing.facts, ps=listing.loaded, policy=services.policy)

    return made
