"""`POST /v1/completions`: text that goes on from a prompt, whole or as a stream.

Deviations from OpenAI's: `echo` together with `logprobs` is refused, since Ollama cannot score a prompt, and so are
token arrays, unless the operator has tiktoken's vocabulary: Ollama cannot read another tokenizer's numbers.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from o2o.blueprints import _request
from o2o.blueprints._delivery import Delivery
from o2o.schemas import check_completions, known_parameters
from o2o.services import Services
from o2o.translate import asking, completions, options, prompting
from o2o.translate.token_arrays import as_text
from o2o.translate.turn import Choice, Stamp


def blueprint(services: Services) -> Blueprint:
    """Return the route of text completions."""
    made = Blueprint("completions", __name__)
    known = known_parameters("completions")
    policy = services.policy

    @made.post("/completions")
    def create() -> Response:
        ticket, raw = _request.open_request(services)
        body = check_completions(raw, plain=not services.short_ways)
        unknown = asking.unknown(body, known, policy)
        resolved = _request.resolve_model(services, ticket, body)
        body["prompt"] = as_text(body["prompt"], "prompt", services.decode)
        question = prompting.ask(
            body,
            resolved,
            policy=policy,
            facts=_request.facts(services, resolved, options.needs_facts(body, resolved.defaults)),
            num_ctx_header=_request.num_ctx_header(),
        )
        question = _request.in_window(services, resolved, question)
        turns = completions.turns(question, whole=not body.get("stream"))

        def completion(stamp: Stamp, choices: list[Choice], usage: dict[str, Any]) -> dict[str, Any]:
            return completions.completion(stamp, completions.shown(choices, turns, question.wanted), usage)

        delivery = Delivery(
            services,
            ticket,
            body,
            resolved,
            turns=turns,
            ignored=question.ignored + unknown,
            usage=lambda: completions.usage(turns),
        )
        return delivery.respond("cmpl-", completions.head, completion)

    return made
