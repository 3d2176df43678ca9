"""Laws of translation: what the schema accepts is translated, or refused as OpenAI would, and nothing else is sent."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from o2o import errors
from o2o.errors import O2OError
from o2o.schemas import check_chat, check_completions
from o2o.translate import responses_shape
from o2o.translate.facts import Facts
from o2o.translate.ollama_options import OPTIONS
from o2o.translate.policy import Policy
from tests.driving import chat_turns, completion_turns
from tests.property.replies import body, facts, policies, requests
from tests.property.test_schema_laws import mutants

CHAT = {
    "model", "messages", "tools", "format", "options", "think", "stream", "keep_alive", "truncate",
    "logprobs", "top_logprobs",
}  # fmt: skip
GENERATE = {
    "model", "prompt", "suffix", "raw", "format", "options", "think", "stream", "keep_alive", "truncate",
    "logprobs", "top_logprobs",
}  # fmt: skip
MESSAGE = {"role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id"}
FUNCTION = {"name", "description", "parameters"}
PARAMETERS = {"type", "properties", "required", "items", "$defs"}


def translated(endpoint: str, given_body: Any, policy: Policy, known: Facts | None) -> list[dict[str, Any]]:
    """Return the payloads of a body; nothing when it is refused, as it must be with an O2OError."""
    try:
        if endpoint == "completions":
            check_completions(given_body)
            turns: list[Any] = list(completion_turns(given_body, policy, known))
        else:
            if responses_shape.is_responses_shape(given_body):
                check_chat(given_body)
                given_body = responses_shape.to_chat_body(given_body).body
            check_chat(given_body)
            turns = list(chat_turns({**given_body, "n": 1}, policy, known))
    except O2OError as error:
        check_refusal(error)
        return []
    return [turn.ask.payload for turn in turns]


def check_refusal(error: O2OError) -> None:
    check_error(error)
    assert 400 <= error.http_status < 500


def check_error(error: O2OError) -> None:
    told = error.body()
    assert list(told) == ["error"]
    assert list(told["error"]) == ["message", "type", "param", "code"]
    assert told["error"]["message"]
    assert msgspec.json.decode(msgspec.json.encode(told)) == told


def check_payload(endpoint: str, payload: dict[str, Any]) -> None:
    """Fail unless a payload has only what Ollama knows, of the types that it takes."""
    assert set(payload) <= (CHAT if endpoint == "chat" else GENERATE)
    assert payload["stream"] is True
    assert payload.get("think") in (None, True, False, "low", "medium", "high", "max")
    assert set(payload.get("options", {})) <= set(OPTIONS)
    assert payload.get("options", {}).get("num_predict") != 0
    if endpoint == "chat":
        assert payload["messages"]
        for message in payload["messages"]:
            check_message(message)
        for tool in payload.get("tools", ()):
            assert set(tool) == {"type", "function"}
            assert set(tool["function"]) <= FUNCTION
            parameters = tool["function"]["parameters"]
            assert set(parameters) <= PARAMETERS
            assert parameters["type"] == "object"
            assert isinstance(parameters["properties"], dict)
    else:
        assert isinstance(payload["prompt"], str)
        assert payload["prompt"]
        assert not (payload.get("raw") and payload.get("suffix"))
    assert msgspec.json.decode(msgspec.json.encode(payload))["model"] == payload["model"]


def check_message(message: dict[str, Any]) -> None:
    assert set(message) <= MESSAGE
    assert message["role"] in ("system", "user", "assistant", "tool")
    assert isinstance(message["content"], str)
    for call in message.get("tool_calls", ()):
        assert set(call) <= {"id", "function"}
        assert set(call["function"]) == {"name", "arguments"}
        assert isinstance(call["function"]["arguments"], dict)
    assert all(isinstance(image, str) for image in message.get("images", ()))


@settings(max_examples=700, deadline=None)
@given(mutants(), policies, facts)
def test_a_body_that_is_accepted_becomes_payloads_that_ollama_knows_or_an_error_of_the_callers(
    mutant: tuple[str, Any], policy: Policy, known: Facts | None
) -> None:
    endpoint, given_body = mutant
    if endpoint != "embeddings":
        for payload in translated(endpoint, given_body, policy, known):
            check_payload(endpoint, payload)


@settings(max_examples=300, deadline=None)
@given(requests, policies, facts)
def test_tools_forms_and_the_rest_go_together(
    request: dict[str, Any], policy: Policy, known: Facts | None
) -> None:
    for payload in translated("chat", body(request), policy, known):
        check_payload("chat", payload)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(OPTIONS)), st.integers(-2, 5) | st.floats(0, 2) | st.none()),
    policies,
)
def test_options_are_those_that_ollama_knows(options: dict[str, Any], policy: Policy) -> None:
    for payload in translated("chat", body({"options": options}), policy, None):
        check_payload("chat", payload)


CLASSES = [
    one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, O2OError) and one is not errors.Refused
]


@pytest.mark.parametrize("kind", CLASSES)
@given(st.text(max_size=50))
def test_every_error_has_the_four_keys(kind: type[O2OError], message: str) -> None:
    check_error(kind(message.replace("\ud800", "")))
    check_error(kind())
