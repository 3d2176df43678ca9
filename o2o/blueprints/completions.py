"""`POST /v1/completions`: text that goes on from a prompt, whole or as a stream.

Deviations from OpenAI's: token arrays, and `echo` together with `logprobs`, are refused, since Ollama can
neither read another tokenizer's numbers nor score a prompt.
"""

from __future__ import annotations

from flask import Blueprint, Response, request

from o2o.blueprints import _answer
from o2o.generation import run_all
from o2o.schemas import check_completions, known_parameters
from o2o.services import Services
from o2o.translate import asking, completions, options
from o2o.translate.facts import fingerprint
from o2o.translate.turn import Choice
from o2o.translate.usage import total

AT_ONCE = 4
"""How many answers of one request are asked for at a time."""


def blueprint(services: Services) -> Blueprint:
    """Return the route of text completions."""
    made = Blueprint("completions", __name__)
    known = known_parameters("completions")
    policy = services.policy

    @made.post("/completions")
    def create() -> Response:
        ticket, raw = _answer.open_request(services)
        body = check_completions(raw)
        unknown = asking.unknown(body, known, policy)
        resolved = _answer.resolve_model(services, ticket, body)
        wanted = completions.wanted(body, policy)
        facts = _answer.facts(services, resolved, options.needs_facts(body, resolved.defaults))
        sampling = options.sampling(
            body,
            policy=policy,
            defaults=resolved.defaults,
            facts=facts,
            num_ctx_header=_answer.num_ctx_header(request.headers.get("x-o2o-num-ctx")),
            default_limit=policy.completions_max_tokens,
            zero_limit=True,
        )
        turns = completions.turns(resolved, wanted, sampling, policy, facts)
        _answer.admit(services, ticket)
        digest = services.catalogue.digest(resolved.target)
        stamp = _answer.new_stamp("cmpl-", resolved.requested, fingerprint(digest))

        def headers() -> dict[str, str]:
            warnings = [warning for turn in turns for warning in turn.warnings]
            ticket.notes += warnings
            return _answer.headers(sampling.ignored + unknown, warnings, turns[0].num_ctx)

        def usage() -> dict[str, object]:
            prompts = [turn.usage for turn in turns if turn.counted]
            ticket.usage = total(prompts, [turn.usage for turn in turns if not turn.counted])
            return ticket.usage

        def completion(choices: list[Choice]) -> dict[str, object]:
            folded = completions.fold(choices)
            if wanted.ranked:
                folded = completions.best(folded, turns, wanted)
            return completions.completion(stamp, folded, usage())

        stream = bool(body.get("stream"))
        run = run_all(turns, services.upstream, ticket.line, services.beat if stream else None, AT_ONCE)
        if not stream:
            return _answer.whole(run, completion, headers)
        return _answer.streamed(ticket, run, _answer.Chunks(completions.head(stamp), body, usage), headers)

    return made
