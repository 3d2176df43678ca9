from __future__ import annotations

import json
from typing import Any

import pytest

from o2o.practice.bodies import CHAT, EMBED, GENERATE, read
from o2o.practice.faults import Fault


def chat(**fields: Any) -> dict[str, Any]:
    return read(json.dumps(fields).encode(), "ChatRequest", CHAT)


def refusal(raw: bytes) -> str:
    with pytest.raises(Fault) as caught:
        read(raw, "ChatRequest", CHAT)
    assert caught.value.status == 400
    return caught.value.text


def test_names_of_fields_are_read_without_regard_to_case_and_unknown_ones_dropped() -> None:
    body = chat(
        MODEL="m", Messages=[{"Role": "user", "CONTENT": "hi", "x": 1}], tool_choice="auto", STREAM=None
    )
    assert body == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def test_names_inside_options_and_arguments_keep_their_case() -> None:
    calls = [{"function": {"name": "f", "arguments": {"A": {"B": 1}}}}]
    body = chat(options={"NUM_CTX": 1}, messages=[{"tool_calls": calls}, None])
    assert body == {"options": {"NUM_CTX": 1}, "messages": [{"tool_calls": calls}, {}]}


def test_images_are_decoded() -> None:
    assert chat(messages=[{"images": ["aGk=", "a\nGk=", ""]}])["messages"] == [
        {"images": [b"hi", b"hi", b""]}
    ]
    assert read(b'{"images":["aGk="]}', "GenerateRequest", GENERATE) == {"images": [b"hi"]}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", "missing request body"),
        (b" \n", "missing request body"),
        (b"{", "unexpected EOF"),
        (b'{"model": "x', "unexpected EOF"),
        (b"{x", "invalid character 'x' looking for beginning of object key string"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a": 1 "b"}', "invalid character '\"' after object key:value pair"),
        (b"x", "invalid character 'x' looking for beginning of value"),
        (b'{"a": NaN}', "invalid character 'N' looking for beginning of value"),
        (b'{"a": "\n"}', "invalid character '\n' in string literal"),
        (b"[]", "json: cannot unmarshal array into Go value of type api.ChatRequest"),
        (b"[" * 100_000, "exceeded max depth"),
        (b'{"messages": [1]}', "into Go struct field ChatRequest.messages of type api.Message"),
        (b'{"messages": [{"images": "x"}]}', "ChatRequest.messages.images of type []api.ImageData"),
        (b'{"messages": [{"images": [1]}]}', "ChatRequest.messages.images of type api.ImageData"),
        (b'{"messages": [{"images": ["a"]}]}', "illegal base64 data at input byte 1"),
        (b'{"messages": [{"tool_calls": [{"function": 1}]}]}', "of type api.ToolCallFunction"),
        (
            b'{"top_logprobs": 1.5}',
            "cannot unmarshal number 1.5 into Go struct field ChatRequest.top_logprobs",
        ),
        (b'{"tools": [1]}', "ChatRequest.tools of type api.Tool"),
        (b'{"tools": [{"function": 1}]}', "ChatRequest.tools.function of type api.ToolFunction"),
        (b'{"tools": [{"function": {"name": 1}}]}', "ChatRequest.tools.function.name of type string"),
        (b'{"tools": [{"function": {"parameters": 1}}]}', "of type api.ToolFunctionParameters"),
        (b'{"keep_alive": []}', "Unsupported type: '[]interface {}'"),
        (b'{"keep_alive": "soon"}', 'time: invalid duration "soon"'),
    ],
)
def test_complaints_are_go_s(raw: bytes, text: str) -> None:
    assert text in refusal(raw)


def test_rubbish_behind_the_object_is_ignored_and_null_is_nothing() -> None:
    assert read(b'{"model":"a"} and more', "ChatRequest", CHAT) == {"model": "a"}
    assert read(b"null", "ChatRequest", CHAT) == {}


def test_broken_text_becomes_replacement_characters() -> None:
    assert read(b'{"model":"a\xff"}', "ChatRequest", CHAT) == {"model": "a\ufffd"}
    raw = b'{"options":{"\\ud83d":["\\ud83d b", 1]}}'
    assert read(raw, "ChatRequest", CHAT) == {"options": {"\ufffd": ["\ufffd b", 1]}}
    assert read(b'{"model":"\\ud83e\\udd50"}', "ChatRequest", CHAT) == {"model": "🥐"}


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(0, 0), (-1, -1), (1.5, 1.5), ("5m", 300), ("1h30m", 5400), ("-1m", -60), ("1.5s", 1.5)],
)
def test_keep_alive_is_seconds_or_a_duration(given: Any, seconds: float) -> None:
    assert chat(keep_alive=given) == {"keep_alive": seconds}


@pytest.mark.parametrize("think", [True, False, "low", "max"])
def test_think_is_a_switch_or_a_level(think: Any) -> None:
    assert chat(think=think) == {"think": think}


def test_context_is_a_list_of_numbers() -> None:
    assert read(b'{"context":[1,2]}', "GenerateRequest", GENERATE) == {"context": [1, 2]}
    with pytest.raises(Fault, match=r"GenerateRequest\.context of type int"):
        read(b'{"context":["a"]}', "GenerateRequest", GENERATE)


def test_tools_pass_as_they_are() -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {}}}}}, {}]
    assert chat(tools=tools) == {"tools": tools}


def test_inputs_of_any_kind_are_left_to_embed() -> None:
    assert read(b'{"input":{"a":1}}', "EmbedRequest", EMBED) == {"input": {"a": 1}}
