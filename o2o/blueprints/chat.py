"""`POST /v1/chat/completions`: answers of a conversation, whole or as a stream of chunks.

Deviations from OpenAI's: reasoning stands in `reasoning_content` and `reasoning`, many parameters of other
servers are honoured, and what cannot be is refused or listed in `x-o2o-ignored`; `docs/compatibility.md` has a
row for each.
"""

from __future__ import annotations

from flask import Blueprint, Response, request

from o2o.blueprints import _answer
from o2o.errors import BadRequest
from o2o.generation import run_all
from o2o.schemas import check_chat, known_parameters
from o2o.services import Services
from o2o.translate import asking, chat, options
from o2o.translate.chat import ChatTurn
from o2o.translate.facts import fingerprint
from o2o.translate.usage import total

AT_ONCE = 4
"""How many choices of one request are asked for at a time."""


def blueprint(services: Services) -> Blueprint:
    """Return the route of chat completions."""
    made = Blueprint("chat", __name__)
    known = known_parameters("chat")
    policy = services.policy

    @made.post("/chat/completions")
    def create() -> Response:
        ticket, raw = _answer.open_request(services)
        body = check_chat(raw)
        unknown = asking.unknown(body, known, policy)
        resolved = _answer.resolve_model(services, ticket, body)
        needed = options.needs_facts(body, resolved.defaults)
        facts = _answer.facts(services, resolved, needed)
        question = asking.ask(
            body,
            resolved,
            policy=policy,
            facts=facts,
            version=services.catalogue.version() if body.get("reasoning_effort") in ("xhigh", "max") else None,
            num_ctx_header=_answer.num_ctx_header(request.headers.get("x-o2o-num-ctx")),
        )
        turns = _turns(question, body.get("n") or 1, bool(body.get("stream")))
        _answer.admit(services, ticket)
        digest = services.catalogue.digest(resolved.target)
        stamp = _answer.new_stamp("chatcmpl-", resolved.requested, fingerprint(digest))

        def headers() -> dict[str, str]:
            for turn in turns:
                if "roles_merged" in turn.warnings:
                    services.merged.add(resolved.target)
            warnings = [warning for turn in turns for warning in turn.warnings]
            ticket.notes += warnings
            return _answer.headers(question.ignored + unknown, warnings, turns[0].num_ctx)

        def usage() -> dict[str, object]:
            ticket.usage = total([turn.usage for turn in turns])
            return ticket.usage

        stream = bool(body.get("stream"))
        beat = services.beat if stream else None
        run = run_all(turns, services.upstream, ticket.line, beat, AT_ONCE)
        if not stream:
            return _answer.whole(run, lambda choices: chat.completion(stamp, choices, usage()), headers)
        return _answer.streamed(ticket, run, _answer.Chunks(chat.head(stamp), body, usage), headers)

    def _turns(question: asking.Question, n: int, stream: bool) -> list[ChatTurn]:
        if n > policy.max_n:
            raise BadRequest(
                f"Invalid 'n': this server makes at most {policy.max_n} choices (O2O_MAX_N).",
                code="integer_above_max_value",
                param="n",
            )
        seed = question.payload.get("options", {}).get("seed")
        return [
            ChatTurn(
                question.reseeded(None if seed is None or k == 0 else (seed + k) % 2**31),
                policy=policy,
                new_id=_answer.new_call_id,
                index=k,
                whole=not stream,
                merged=question.payload["model"] in services.merged,
            )
            for k in range(n)
        ]

    return made
