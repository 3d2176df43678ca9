"""`POST /v1/chat/completions`: answers of a conversation, whole or as a stream of chunks.

Deviations from OpenAI's: reasoning stands in `reasoning_content` and `reasoning`, many parameters of other
servers are honoured, and what cannot be is refused or listed in `x-o2o-ignored`; `docs/compatibility.md` has a
row for each. A body of the Responses API is understood here too. `/input_tokens` below it counts a prompt.
"""

from __future__ import annotations

from flask import Blueprint, Response

from o2o.blueprints import _request, _response
from o2o.blueprints._delivery import Delivery
from o2o.errors import BadRequest
from o2o.generation import run
from o2o.ids import new_id
from o2o.schemas import ChatRequest, check_chat, known_parameters
from o2o.services import Services
from o2o.ticket import Ticket
from o2o.translate import asking, chat, options, responses_shape
from o2o.translate.chat import ChatTurn
from o2o.translate.counting import CountTurn
from o2o.translate.policy import Resolved
from o2o.translate.thinking import wants_most
from o2o.translate.usage import total


def blueprint(services: Services) -> Blueprint:
    """Return the routes of chat completions."""
    made = Blueprint("chat", __name__)
    known = known_parameters("chat")
    policy = services.policy

    @made.post("/chat/completions")
    def create() -> Response:
        ticket, body, ignored = read()
        resolved = _request.resolve_model(services, ticket, body)
        question = ask(ticket, body, resolved)
        turns = make_turns(question, body)
        delivery = Delivery(
            services,
            ticket,
            body,
            resolved,
            turns=turns,
            ignored=question.ignored + ignored,
            usage=lambda: total([turn.usage for turn in turns]),
        )
        return delivery.respond("chatcmpl-", chat.head, chat.completion)

    @made.post("/chat/completions/input_tokens")
    def count() -> Response:
        """Count the tokens of a prompt as the model itself does: by having it read the prompt."""
        ticket, body, ignored = read()
        resolved = _request.resolve_model(services, ticket, body)
        question = ask(ticket, body, resolved)
        turn = CountTurn(question)
        _request.admit(services, ticket)
        for _ in run(turn, services.upstream, ticket.line):
            pass
        if turn.num_ctx is not None:
            services.catalogue.sent_window(resolved.target, turn.num_ctx)
        headers = _response.headers(question.ignored + ignored, (), turn.num_ctx)
        return _response.as_json(
            {"object": "chat.completion.input_tokens", "input_tokens": turn.tokens}, headers=headers
        )

    def read() -> tuple[Ticket, ChatRequest, list[str]]:
        ticket, raw = _request.open_request(services)
        dropped: list[str] = []
        if responses_shape.is_responses_shape(raw):
            raw, dropped = responses_shape.to_chat_body(check_chat(raw, plain=not services.short_ways))
            asking.refuse_ignored(dropped, policy)
        body = check_chat(raw, plain=not services.short_ways)
        return ticket, body, dropped + asking.unknown(body, known, policy)

    def ask(ticket: Ticket, body: ChatRequest, resolved: Resolved) -> asking.Question:
        needed = options.needs_facts(body, resolved.defaults)
        question = asking.ask(
            body,
            resolved,
            policy=policy,
            facts=_request.facts(services, resolved, needed),
            version=services.catalogue.version() if wants_most(body, resolved.defaults) else None,
            num_ctx_header=_request.num_ctx_header(),
            images=_request.fetch_pictures(services, ticket, body["messages"]),
        )
        return _request.in_window(services, resolved, question)

    def make_turns(question: asking.Question, body: ChatRequest) -> list[ChatTurn]:
        n = body.get("n") or 1
        if n > policy.max_n:
            raise BadRequest(
                f"Invalid 'n': this server makes at most {policy.max_n} choices (O2O_MAX_N).",
                code="integer_above_max_value",
                param="n",
            )
        target = question.payload["model"]
        merged = bool({target, services.catalogue.digest(target)} & services.merged)
        return [
            ChatTurn(
                question.reseeded(k),
                new_id=_new_call_id,
                index=k,
                whole=not body.get("stream"),
                merged=merged,
                short_way=services.short_ways,
            )
            for k in range(int(n))
        ]

    return made


def _new_call_id() -> str:
    return new_id("call_")
