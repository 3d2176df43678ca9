"""Bodies that cannot be served: which status, code and param, and that odd but harmless ones are served."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.e2e import wire
from tests.e2e.wire import Answer, ask, chat, post
from tests.ollama import FakeOllama
from tests.server import Server

MESSAGES = [{"role": "user", "content": "say: hi"}]
CHAT: dict[str, Any] = {"model": "practice", "messages": MESSAGES}
ENDPOINTS = ["/chat/completions", "/completions", "/embeddings"]


def told(answer: Answer, status: int = 400) -> tuple[str | None, str | None]:
    """Return code and param of a refusal."""
    assert answer.status == status, answer.raw
    assert answer.error["type"] == "invalid_request_error"
    return answer.error["code"], answer.error["param"]


# --- bodies that are no JSON object


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(
    "raw", [b"{", b"{'model': 1}", b'{"model": NaN}', b'{"a": 1}}', b"\xff\xfe", b'{"model": "\\ud800"}']
)
def test_malformed_json_is_refused(server: Server, path: str, raw: bytes) -> None:
    answer = post(server, path, raw)
    assert told(answer) == (None, None)
    assert answer.error["message"].startswith("We could not parse the JSON body of your request.")


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("raw", [b"[]", b'"x"', b"1", b"null", b"true", b'[{"model": "practice"}]'])
def test_json_that_is_no_object_is_refused(server: Server, path: str, raw: bytes) -> None:
    assert told(post(server, path, raw)) == (None, None)


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("raw", [b"", b" \r\n"])
def test_an_empty_body_is_refused(server: Server, path: str, raw: bytes) -> None:
    assert told(post(server, path, raw)) == (None, None)


def test_a_post_without_any_body_is_refused(server: Server) -> None:
    assert told(ask(server, "POST", "/v1/chat/completions")) == (None, None)


# --- what is missing


@pytest.mark.parametrize(
    ("path", "body", "missing"),
    [
        ("/chat/completions", {"model": "practice"}, "messages"),
        ("/chat/completions", {"model": "practice", "messages": None}, "messages"),
        ("/completions", {"model": "practice"}, "prompt"),
        ("/embeddings", {"model": "practice-embed"}, "input"),
        ("/chat/completions", {"messages": MESSAGES}, "model"),
        ("/chat/completions", {"messages": MESSAGES, "model": None}, "model"),
        ("/completions", {"prompt": "x"}, "model"),
        ("/embeddings", {"input": "x"}, "model"),
        ("/chat/completions", {"model": "practice", "messages": [{"content": "x"}]}, "messages[0].role"),
    ],
)
def test_a_missing_parameter_is_named(server: Server, path: str, body: Any, missing: str) -> None:
    answer = post(server, path, body)
    assert told(answer) == ("missing_required_parameter", missing)
    assert answer.error["message"] == f"Missing required parameter: '{missing}'."


@pytest.mark.parametrize("model", ["", " ", "../../etc", "a\nb", "x" * 300])
def test_a_name_that_no_model_can_have_is_refused(server: Server, model: str) -> None:
    answer = chat(server, model=model)
    assert answer.status in (400, 404)
    assert answer.error["param"] == "model"


# --- wrong values


VALUES = [
    pytest.param({"messages": []}, "empty_array", "messages", id="no messages"),
    pytest.param({"temperature": 2.1}, "decimal_above_max_value", "temperature", id="temperature too high"),
    pytest.param({"temperature": -0.1}, "decimal_below_min_value", "temperature", id="temperature too low"),
    pytest.param({"top_p": 1.5}, "decimal_above_max_value", "top_p", id="top_p too high"),
    pytest.param(
        {"presence_penalty": -3}, "decimal_below_min_value", "presence_penalty", id="penalty too low"
    ),
    pytest.param({"n": 0}, "integer_below_min_value", "n", id="n of 0"),
    pytest.param({"n": 129}, "integer_above_max_value", "n", id="n of 129"),
    pytest.param({"n": 17}, "integer_above_max_value", "n", id="n above what the operator allows"),
    pytest.param({"max_tokens": 0}, "integer_below_min_value", "max_tokens", id="no tokens"),
    pytest.param(
        {"top_logprobs": 21, "logprobs": True},
        "integer_above_max_value",
        "top_logprobs",
        id="21 alternatives",
    ),
    pytest.param({"stop": list("abcde")}, "array_above_max_length", "stop", id="5 stop strings"),
    pytest.param({"temperature": "hot"}, "invalid_type", "temperature", id="temperature in words"),
    pytest.param({"messages": "x"}, "invalid_type", "messages", id="messages as text"),
    pytest.param({"messages": ["x"]}, "invalid_type", "messages[0]", id="a message as text"),
    pytest.param(
        {"messages": [{"role": "user", "content": {"a": 1}}]},
        "invalid_type",
        "messages[0].content",
        id="content",
    ),
    pytest.param(
        {"messages": [*MESSAGES, {"role": "user", "content": [{"type": "text", "text": 1}]}]},
        "invalid_type",
        "messages[1].content[0].text",
        id="text of a part",
    ),
    pytest.param({"stream": "yes"}, "invalid_type", "stream", id="stream in words"),
    pytest.param({"max_tokens": 1.5}, "invalid_type", "max_tokens", id="half a token"),
    pytest.param({"model": 7}, "invalid_type", "model", id="a number for a model"),
    pytest.param(
        {"response_format": {"type": "object"}}, "invalid_value", "response_format.type", id="unknown format"
    ),
    pytest.param({"tool_choice": "foo"}, "invalid_value", "tool_choice", id="unknown tool choice"),
    pytest.param(
        {"messages": [{"role": "king", "content": "x"}]}, "invalid_value", "messages[0].role", id="role"
    ),
    pytest.param({"reasoning_effort": "a lot"}, "invalid_value", "reasoning_effort", id="unknown effort"),
    pytest.param(
        {"messages": [{"role": "user", "content": [{"type": "video", "video": "x"}]}]},
        "invalid_value",
        "messages[0].content[0].type",
        id="unknown part",
    ),
]


@pytest.mark.parametrize(("fields", "code", "param"), VALUES)
def test_a_wrong_value_is_told_by_code_and_path(
    server: Server, ollama: FakeOllama, fields: dict[str, Any], code: str, param: str
) -> None:
    before = len(ollama.requests)
    assert told(chat(server, **fields)) == (code, param)
    assert len(ollama.requests) == before, "nothing of it reaches Ollama"


def test_the_sentences_are_those_of_openai(server: Server) -> None:
    assert chat(server, temperature=2.1).error["message"] == (
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.1 instead."
    )
    assert chat(server, messages=[]).error["message"] == (
        "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
    )
    assert chat(server, stop=list("abcde")).error["message"] == (
        "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length 5 "
        "instead."
    )


@pytest.mark.parametrize(
    ("fields", "supported"),
    [
        ({"response_format": {"type": "object"}}, ["json_object", "json_schema", "text"]),
        ({"tool_choice": "foo"}, ["none", "auto", "required"]),
        ({"service_tier": "gold"}, ["auto", "default"]),
        ({"verbosity": "loud"}, ["low", "medium", "high"]),
    ],
)
def test_an_unknown_word_is_answered_with_the_known_ones(
    server: Server, fields: dict[str, Any], supported: list[str]
) -> None:
    message = chat(server, **fields).error["message"]
    assert all(f"'{word}'" in message for word in supported), message


def test_the_sdk_raises_what_it_raises_for_openai(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="practice", messages=[], temperature=1)
    assert (caught.value.code, caught.value.param) == ("empty_array", "messages")
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="gone", messages=[{"role": "user", "content": "x"}])
    assert unknown.value.code == "model_not_found"


# --- what is accepted


@pytest.mark.parametrize("path", ENDPOINTS)
def test_unknown_parameters_are_accepted_and_listed(server: Server, path: str) -> None:
    model = "practice-embed" if path == "/embeddings" else "practice"
    body = {"model": model, "messages": MESSAGES, "prompt": "x", "input": "x", "best_practice": 1, "x y": 2}
    answer = post(server, path, body)
    assert answer.status == 200
    ignored = answer.headers["x-o2o-ignored"].split(", ")
    assert "best_practice" in ignored
    assert "?" in ignored, "a name that is no name is not repeated in a header"


def test_a_strict_server_refuses_unknown_parameters(strict: Server) -> None:
    answer = chat(strict, best_practice=1)
    assert told(answer) == (None, None)
    assert answer.error["message"] == "Unrecognized request argument supplied: best_practice"
    assert chat(strict, user="me", metadata={"a": "b"}).status == 200


OPTIONAL = (
    "audio frequency_penalty presence_penalty function_call functions logit_bias logprobs top_logprobs"
    " max_completion_tokens max_tokens metadata modalities moderation n parallel_tool_calls prediction"
    " prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort response_format"
    " safety_identifier seed service_tier stop store stream stream_options temperature top_p tool_choice tools"
    " user verbosity web_search_options options keep_alive think format truncate top_k min_p repeat_penalty"
    " num_ctx reasoning chat_template_kwargs guided_json"
).split()


@pytest.mark.parametrize(
    ("path", "needed", "optional"),
    [
        ("/chat/completions", CHAT, OPTIONAL),
        (
            "/completions",
            {"model": "practice", "prompt": "x"},
            (
                "best_of echo frequency_penalty presence_penalty logit_bias logprobs max_tokens n seed stop stream"
                " stream_options suffix temperature top_p user options keep_alive"
            ).split(),
        ),
        (
            "/embeddings",
            {"model": "practice-embed", "input": "x"},
            ["encoding_format", "dimensions", "user", "truncate", "options", "keep_alive"],
        ),
    ],
)
def test_null_means_not_given(
    server: Server, ollama: FakeOllama, path: str, needed: dict[str, Any], optional: list[str]
) -> None:
    assert post(server, path, needed).status == 200
    plain = ollama.requests[-1].body
    answer = post(server, path, {**needed, **dict.fromkeys(optional)})
    assert answer.status == 200, answer.raw
    assert ollama.requests[-1].body == plain
    assert "x-o2o-ignored" not in answer.headers


def test_what_openai_knows_and_ollama_does_not_need_is_accepted(server: Server) -> None:
    answer = chat(
        server,
        user="me",
        metadata={"a": "b"},
        service_tier="auto",
        prompt_cache_key="x",
        safety_identifier="y",
        verbosity="low",
        modalities=["text"],
        prediction={"type": "content", "content": "hi"},
        tools=[],
        stop=[],
    )
    assert answer.status == 200
    assert answer.body["choices"][0]["message"]["content"] == "hi"


# --- what contradicts itself


TOOL = {"type": "function", "function": {"name": "look"}}
ALLOWED: dict[str, Any] = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}
GONE = {"type": "function", "function": {"name": "gone"}}
COMPLETE = {"model": "practice", "prompt": "hi"}
INPUT = {"model": "practice", "input": "hi"}

CONFLICTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("/chat/completions", {**CHAT, "n": 17}, "integer_above_max_value", "n"),
    ("/chat/completions", {**CHAT, "top_logprobs": 2}, "invalid_value", "top_logprobs"),
    ("/chat/completions", {**CHAT, "tools": [TOOL], "tool_choice": GONE}, "invalid_value", "tool_choice"),
    ("/chat/completions", {**CHAT, "tools": [TOOL], "tool_choice": ALLOWED}, "invalid_value", "tool_choice"),
    (
        "/chat/completions",
        {**CHAT, "tools": [TOOL], "tool_choice": {**ALLOWED, "allowed_tools": {"mode": "any", "tools": []}}},
        "invalid_value",
        "tool_choice.allowed_tools.mode",
    ),
    (
        "/chat/completions",
        {**CHAT, "functions": [TOOL["function"]], "function_call": {"name": "gone"}},
        "invalid_value",
        "function_call",
    ),
    (
        "/chat/completions",
        {**CHAT, "continue_final_message": True},
        "invalid_value",
        "continue_final_message",
    ),
    ("/chat/completions", {**CHAT, "guided_regex": "(?=a)"}, "invalid_value", "guided_regex"),
    (
        "/chat/completions",
        {**INPUT, "previous_response_id": "resp_1"},
        "unsupported_parameter",
        "previous_response_id",
    ),
    ("/chat/completions", {**INPUT, "conversation": "conv_1"}, "unsupported_parameter", "conversation"),
    ("/chat/completions", {**INPUT, "instructions": ["x"]}, "invalid_type", "instructions"),
    ("/chat/completions", {**INPUT, "truncation": "maybe"}, "invalid_value", "truncation"),
    ("/completions", {**COMPLETE, "n": 17}, "integer_above_max_value", "n"),
    ("/completions", {**COMPLETE, "best_of": 20}, "integer_above_max_value", "best_of"),
    ("/completions", {**COMPLETE, "best_of": 1, "n": 2}, "invalid_value", "best_of"),
    ("/completions", {**COMPLETE, "best_of": 2, "stream": True}, "invalid_value", "best_of"),
    ("/completions", {**COMPLETE, "echo": True, "logprobs": 0}, "unsupported_parameter", "logprobs"),
    ("/completions", {**COMPLETE, "echo": True, "suffix": "end"}, "invalid_value", "echo"),
    (
        "/completions",
        {**COMPLETE, "echo": True, "best_of": 2, "stream": True},
        "invalid_value",
        "best_of",
    ),
    ("/completions", {**COMPLETE, "prompt": [1, 2]}, "unsupported_value", "prompt"),
    ("/embeddings", {**INPUT, "model": "practice-embed", "input": [1]}, "unsupported_value", "input"),
    ("/embeddings", {**INPUT, "model": "practice-embed", "num_gpu": "all"}, "invalid_type", "num_gpu"),
    (
        "/embeddings",
        {**INPUT, "model": "practice-embed", "dimensions": 385},
        "integer_above_max_value",
        "dimensions",
    ),
]


@pytest.mark.parametrize(("path", "body", "code", "param"), CONFLICTS)
def test_what_contradicts_itself_or_cannot_be_had_together_is_told_by_code_and_path(
    server: Server, ollama: FakeOllama, path: str, body: dict[str, Any], code: str, param: str
) -> None:
    before = [seen.path for seen in ollama.requests]
    assert told(post(server, path, body)) == (code, param)
    assert {seen.path for seen in ollama.requests[len(before) :]} <= {"/api/show"}


def test_a_demand_without_tools_is_ignored_and_listed_but_not_by_a_strict_server(
    server: Server, strict: Server
) -> None:
    answer = chat(server, tool_choice="required")
    assert (answer.status, answer.headers["x-o2o-ignored"]) == (200, "tool_choice")
    assert told(chat(strict, tool_choice="required", tools=[])) == ("unsupported_parameter", "tool_choice")
    assert chat(strict, tool_choice="auto", tools=[]).status == 200


# --- what this server, or the model, cannot do


CANNOT = [
    pytest.param(
        {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
        "modalities",
        id="speech",
    ),
    pytest.param({"audio": {"voice": "alloy", "format": "wav"}}, "audio", id="a voice"),
    pytest.param({"moderation": {"model": "omni-moderation-latest"}}, "moderation", id="moderation"),
    pytest.param({"web_search_options": {}}, "web_search_options", id="web search"),
    pytest.param({"logit_bias": {"15496": 5}}, "logit_bias", id="biased tokens"),
]


@pytest.mark.parametrize(("fields", "param"), CANNOT)
def test_what_cannot_be_done_is_refused_by_its_parameter(
    server: Server, fields: dict[str, Any], param: str
) -> None:
    assert told(chat(server, **fields)) == ("unsupported_parameter", param)


@pytest.mark.parametrize("bias", [{}, {"15496": 0, "7": 0}])
def test_a_bias_that_changes_nothing_is_accepted(server: Server, bias: dict[str, int]) -> None:
    assert chat(server, logit_bias=bias).status == 200


def test_a_bias_is_ignored_and_listed_where_the_operator_says_so(tuned: Server) -> None:
    answer = chat(tuned, logit_bias={"15496": 5})
    assert answer.status == 200
    assert answer.headers["x-o2o-ignored"] == "logit_bias"


def test_tools_on_a_model_without_them_are_refused(server: Server) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    answer = chat(server, model="practice-vision", tools=[tool])
    assert told(answer)[1] == "tools"
    assert "practice-vision" in answer.error["message"]


def test_an_image_for_a_model_that_only_reads_is_refused(server: Server) -> None:
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{pixel}"}}
    answer = chat(server, messages=[{"role": "user", "content": [part]}])
    assert told(answer)[1] == "messages"


def test_a_chat_model_makes_no_embeddings_and_an_embedding_model_does_not_chat(server: Server) -> None:
    assert told(post(server, "/embeddings", {"model": "practice", "input": "x"}))[1] == "model"
    assert told(chat(server, model="practice-embed"))[1] == "model"


# --- too long for the window


# One model and one window for all of them: a window that was asked for stays, and other tests ask for none.
LONG = {"model": "practice-vision", "num_ctx": 8192}
WORDS = "word " * 9000


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (
            "/chat/completions",
            {**LONG, "messages": [{"role": "user", "content": WORDS}]},
            "messages",
        ),
        ("/completions", {**LONG, "prompt": WORDS}, "prompt"),
        ("/embeddings", {"model": "practice-embed", "input": ["short", WORDS]}, "input"),
    ],
)
def test_a_prompt_that_does_not_fit_is_refused_in_the_words_that_clients_look_for(
    server: Server, path: str, body: dict[str, Any], param: str
) -> None:
    answer = post(server, path, body)
    assert told(answer) == ("context_length_exceeded", param)
    assert answer.error["message"].startswith("This model's maximum context length is ")
    assert "Please reduce the length of the" in answer.error["message"]


def test_a_prompt_that_does_not_fit_may_be_cut_when_the_caller_says_so(server: Server) -> None:
    messages = [{"role": "user", "content": WORDS}, {"role": "user", "content": "say: hi"}]
    assert chat(server, **LONG, messages=messages, truncate=True).status == 200


def test_a_stream_that_does_not_fit_is_refused_with_a_status(server: Server) -> None:
    answer = chat(server, **LONG, messages=[{"role": "user", "content": WORDS}], stream=True)
    assert told(answer) == ("context_length_exceeded", "messages")


def test_bodies_with_many_parameters_and_deep_values_are_bounded(server: Server) -> None:
    deep: Any = "x"
    for _ in range(70):
        deep = [deep]
    assert told(chat(server, metadata={"deep": deep})) == (None, None)
    assert told(chat(server, messages=MESSAGES * 2049)) == ("array_above_max_length", "messages")
    assert wire.post(server, "/chat/completions", b"[" * 100_000).status == 400


def test_a_body_larger_than_the_operator_allows_is_refused(tuned: Server) -> None:
    answer = chat(tuned, messages=[{"role": "user", "content": "x" * 200_000}])
    assert told(answer, 413) == ("request_too_large", None)
