"""`POST /v1/completions`: text that goes on from a prompt, whole or as a stream.

Deviations from OpenAI's: `echo` together with `logprobs` is refused, since Ollama cannot score a prompt, and so are
token arrays, unless the operator has tiktoken's vocabulary: Ollama cannot read another tokenizer's numbers.
"""

from __future__ import annotations

from flask import Blueprint, Response

from o2o.blueprints import _request
from o2o.blueprints._delivery import Delivery
from o2o.schemas import check_completions, known_parameters
from o2o.services import Services
from o2o.translate import asking, completions, options
from o2o.translate.token_arrays import as_text
from o2o.translate.turn import Choice, Stamp
from o2o.translate.usage import total


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
        wanted = completions.wanted(body, policy)
        facts = _request.facts(services, resolved, options.needs_facts(body, resolved.defaults))
        sampling = options.sampling(
            body,
            policy=policy,
            defaults=resolved.defaults,
            facts=facts,
            num_ctx_header=_request.num_ctx_header(),
            default_limit=policy.completions_max_tokens,
            zero_limit=True,
        )
        wish = sampling.options.get("num_ctx")
        if wish is None:
            sampling.kept = services.catalogue.kept_window(resolved.target)
        window = services.catalogue.window(resolved.target, wish)
        if window is not None:
            sampling.options["num_ctx"] = window
        whole = not body.get("stream")
        turns = completions.turns(resolved, wanted, sampling, policy, facts, whole=whole)

        def usage() -> dict[str, object]:
            counted = [turn.usage for turn in turns if turn.counted]
            return total(counted, [turn.usage for turn in turns if not turn.counted])

        def completion(stamp: Stamp, choices: list[Choice], usage: dict[str, object]) -> dict[str, object]:
            folded = completions.fold(choices)
            if wanted.ranked:
                folded = completions.best(folded, turns, wanted)
            return completions.completion(stamp, folded, usage)

        ignored = sampling.ignored + wanted.ignored
        asking.refuse_ignored(ignored, policy)
        ignored += unknown
        delivery = Delivery(services, ticket, body, resolved, turns=turns, ignored=ignored, usage=usage)
        return delivery.respond("cmpl-", completions.head, completion)

    return made
