"""What callers may send: JSON Schema as data (`*.json`), and `check_…`, which tells the most telling error.

Everything that a schema does not name is allowed, and null stands for "not given" wherever a parameter is
optional. Checking never changes a body.
"""

from __future__ import annotations

from typing import Any, NewType, cast

from o2o.schemas._compile import first_problem, validator
from o2o.schemas._explain import to_bad_request
from o2o.schemas._fast import fast_accept
from o2o.schemas._load import names

ChatRequest = NewType("ChatRequest", dict[str, Any])
CompletionRequest = NewType("CompletionRequest", dict[str, Any])
EmbeddingRequest = NewType("EmbeddingRequest", dict[str, Any])

ENDPOINTS = ("chat", "completions", "embeddings")


def check_chat(body: object, *, plain: bool = False) -> ChatRequest:
    """Return `body` itself when it is a chat request; raise `BadRequest` otherwise.

    It has either `messages` (an array) or, as Cursor sends it, the Responses API's `input`.
    `plain` leaves the fast accept out: slower, the same answer.
    """
    return cast(ChatRequest, _check("chat", body, plain))


def check_completions(body: object, *, plain: bool = False) -> CompletionRequest:
    """Return `body` itself when it is a request for a text completion; raise `BadRequest` otherwise."""
    return cast(CompletionRequest, _check("completions", body, plain))


def check_embeddings(body: object, *, plain: bool = False) -> EmbeddingRequest:
    """Return `body` itself when it is a request for embeddings; raise `BadRequest` otherwise."""
    return cast(EmbeddingRequest, _check("embeddings", body, plain))


def known_parameters(endpoint: str) -> frozenset[str]:
    """Return every top-level parameter that the schema of `endpoint` ("chat", …) names."""
    return names(endpoint)


def compile_all() -> None:
    """Compile every schema now instead of at its first use, so that no request pays a tenth of a second for it."""
    for name in ENDPOINTS:
        fast_accept(name)
        validator(name)


def _check(name: str, body: object, plain: bool) -> object:
    problem = first_problem(name, body, plain=plain)
    if problem is not None:
        raise to_bad_request(problem)
    return body
