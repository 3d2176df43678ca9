"""`POST /v1/embeddings`: vectors of texts, as lists of numbers or as base64.

Deviations from OpenAI's: token arrays are refused unless the operator has tiktoken's vocabulary, since their
numbers belong to another tokenizer. An input that is too long is an error unless `truncate` or
O2O_EMBED_TRUNCATE says otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from flask import Blueprint, Response

from o2o.blueprints import _request, _response
from o2o.errors import O2OError, Refused
from o2o.pages import Bytes
from o2o.schemas import check_embeddings, known_parameters
from o2o.services import Services
from o2o.translate import asking, embeddings
from o2o.translate.faults import overflow, to_error
from o2o.translate.policy import Resolved
from o2o.translate.token_arrays import as_text

_TURNS = 8
"""Parts of an answer after which others get their turn."""


def _breathe() -> None:
    """Let others run: a large answer must not hold up their streams."""
    time.sleep(0)


def _unhurried(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield `parts`, and let others run in between."""
    for number, part in enumerate(parts):
        if number % _TURNS == 0:
            _breathe()
        yield part


def blueprint(services: Services) -> Blueprint:
    """Return the route of embeddings."""
    made = Blueprint("embeddings", __name__)
    known = known_parameters("embeddings")
    policy = services.policy

    @made.post("/embeddings")
    def create() -> Response:
        ticket, raw = _request.open_request(services)
        body = check_embeddings(raw, plain=not services.short_ways)
        unknown = asking.unknown(body, known, policy)
        body["input"] = as_text(body["input"], "input", services.decode)
        resolved = _request.resolve_model(services, ticket, body)
        facts = _request.facts(services, resolved, body.get("dimensions") is not None)
        question = embeddings.to_ollama(
            body,
            resolved,
            policy=policy,
            facts=facts,
            num_ctx_header=_request.num_ctx_header(),
        )
        asking.refuse_ignored(question.ignored, policy)
        question = question.with_window(services.catalogue.window(resolved.target, question.num_ctx))
        _request.admit(services, ticket)
        replies: list[Bytes] = []
        for number, payload in enumerate(question.payloads):
            try:
                replies.append(services.upstream.embed(payload, ticket.line))
            except Refused as refused:
                raise _error(refused, resolved, embeddings.suspect(question.payloads, number)) from refused
        try:
            answer = embeddings.answer(
                replies, body, model=resolved.requested, splice=services.short_ways, breathe=_breathe
            )
        except Refused as refused:
            raise _error(refused, resolved, 0) from refused
        ticket.usage = answer.usage
        if question.num_ctx is not None:
            services.catalogue.sent_window(resolved.target, question.num_ctx)
        headers = _response.headers(question.ignored + unknown, (), question.num_ctx)
        headers["Content-Length"] = str(answer.length)
        return Response(_unhurried(answer.parts), headers=headers, mimetype="application/json")

    def _error(refused: Refused, resolved: Resolved, index: int) -> O2OError:
        """Return what a refusal means; where an input is too long, with the length that the model takes."""
        window = None
        if overflow(refused) is not None:
            facts = _request.facts(services, resolved, needed=True)
            window = facts.context_length if facts is not None else None
        return to_error(refused, model=resolved.requested, about="input", window=window, index=index)

    return made
