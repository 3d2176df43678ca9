from __future__ import annotations

from typing import Any

import pytest

from o2o.errors import BadRequest
from o2o.schemas import check_chat
from o2o.translate.responses_shape import is_responses_shape, to_chat_body

CURSOR: dict[str, Any] = {
    "model": "m",
    "instructions": "Be brief.",
    "input": [
        {"role": "system", "content": "You are an agent."},
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "What is the weather?"}],
        },
        {"type": "reasoning", "summary": [], "encrypted_content": "…"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Rome"}'},
        {"type": "custom_tool_call", "call_id": "call_2", "name": "patch", "input": "*** Begin"},
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
        {
            "type": "custom_tool_call_output",
            "call_id": "call_2",
            "output": [{"type": "input_text", "text": "ok"}],
        },
        {"type": "computer_call", "id": "x"},
    ],
    "tools": [
        {
            "type": "function",
            "name": "weather",
            "parameters": {"type": "object", "properties": {}},
            "strict": None,
        },
        {"type": "function", "function": {"name": "nested"}},
        {"type": "custom", "name": "patch", "description": "a patch"},
        {"type": "web_search"},
    ],
    "tool_choice": {"type": "function", "name": "weather"},
    "text": {
        "format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}},
        "verbosity": "low",
    },
    "max_output_tokens": 99,
    "reasoning": {"effort": "low"},
    "include": ["reasoning.encrypted_content"],
    "stream": True,
    "stream_options": {"include_usage": True},
}


def test_cursors_body_becomes_a_chat_body_that_is_valid() -> None:
    assert is_responses_shape(CURSOR)
    body, dropped = to_chat_body(CURSOR)
    check_chat(body)
    assert dropped == ["input.8", "tools.3", "include"]
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "system", "content": "You are an agent."},
        {"role": "user", "content": [{"type": "text", "text": "What is the weather?"}]},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "I look."}],
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city":"Rome"}'},
                },
                {"id": "call_2", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "ok"}]},
    ]
    assert [tool[tool["type"]]["name"] for tool in body["tools"]] == ["weather", "nested", "patch"]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"type": "object"}},
    }
    assert body["max_completion_tokens"] == 99
    assert body["reasoning"] == {"effort": "low"}
    assert body["verbosity"] == "low"
    assert body["stream"] is True
    assert "include" not in body
    assert "input" not in body


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"input": ["x", {"type": "item_reference", "id": "msg_1"}]}, "input[1]"),
    ],
)
def test_what_stands_for_something_kept_is_refused_since_the_model_would_not_see_it(
    part: dict[str, Any], param: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        to_chat_body({"model": "m", "input": "and then?", **part})
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", param)
    to_chat_body({"model": "m", "input": "x", "previous_response_id": None, "conversation": None})


@pytest.mark.parametrize(("word", "truncate"), [("auto", True), ("disabled", False)])
def test_truncation_is_ollamas_truncate(word: str, truncate: bool) -> None:
    assert to_chat_body({"input": "x", "truncation": word}).body["truncate"] is truncate
    assert "truncate" not in to_chat_body({"input": "x", "truncation": None}).body


def test_log_probabilities_are_wished_for_by_including_them_or_by_their_number() -> None:
    body, dropped = to_chat_body({"input": "x", "include": ["message.output_text.logprobs"]})
    assert (body["logprobs"], dropped) == (True, [])
    body, dropped = to_chat_body({"input": "x", "top_logprobs": 2, "include": ["web_search_call.results"]})
    assert (body["logprobs"], body["top_logprobs"], dropped) == (True, 2, ["include"])
    assert "logprobs" not in to_chat_body({"input": "x", "top_logprobs": 0}).body


def test_a_string_is_what_the_user_says() -> None:
    assert to_chat_body({"model": "m", "input": "hi"}).body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
    }


def test_pictures_and_files_keep_their_meaning() -> None:
    parts = [{"type": "input_image", "image_url": "data:,x"}, {"type": "input_file", "filename": "a.txt"}]
    body, _ = to_chat_body({"input": {"role": "user", "content": parts}})
    assert body["messages"][0]["content"] == [
        {"type": "image_url", "image_url": {"url": "data:,x"}},
        {"type": "file", "file": {"filename": "a.txt"}},
    ]


def test_a_call_without_a_turn_of_its_own_gets_one() -> None:
    body, _ = to_chat_body({"input": [{"type": "function_call", "name": "f", "arguments": ""}]})
    assert body["messages"][0]["role"] == "assistant"


def test_allowed_tools_are_nested() -> None:
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}
    body, _ = to_chat_body({"input": "x", "tool_choice": choice})
    assert body["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
    }
    assert to_chat_body({"input": "x", "tool_choice": "auto"}).body["tool_choice"] == "auto"
    nested = {"type": "function", "function": {"name": "f"}}
    assert to_chat_body({"input": "x", "tool_choice": nested}).body["tool_choice"] == nested


def test_a_plain_text_format_is_left_alone() -> None:
    assert to_chat_body({"input": "x", "text": {"format": {"type": "text"}}}).body["response_format"] == {
        "type": "text"
    }
    assert "response_format" not in to_chat_body({"input": "x", "text": {}}).body


@pytest.mark.parametrize("body", [{"messages": [], "input": "x"}, {"input": None}, [], "x", None])
def test_other_bodies_are_not_of_this_shape(body: Any) -> None:
    assert not is_responses_shape(body)


@pytest.mark.parametrize(
    "given",
    [5, [5], [None], [{"role": 5}], [{"type": "message", "role": "user", "content": [5]}], {}, {"tools": 5}],
)
def test_what_is_malformed_is_told_and_not_a_crash(given: Any) -> None:
    body, _ = to_chat_body({"model": "m", "input": given, "tools": 5})
    with pytest.raises(BadRequest):
        check_chat(body)
