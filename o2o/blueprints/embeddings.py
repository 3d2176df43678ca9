"""`POST /v1/embeddings`."""

from __future__ import annotations

from flask import Blueprint

from o2o.services import Services


def blueprint(services: Services) -> Blueprint:
    return Blueprint("embeddings", __name__)
