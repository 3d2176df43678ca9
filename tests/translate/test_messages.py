from __future__ import annotations

import base64
from typing import Any

import pytest

from o2o.errors import BadRequest
from o2o.translate.facts import Facts
from o2o.translate.messages import arguments, merge_roles, to_ollama

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x02\0\0\0\x03\x08\x06\0\0\0"
PNG_TEXT = base64.b64encode(PNG).decode()
PNG_URL = f"data:image/png;base64,{PNG_TEXT}"
WAV_TEXT = base64.b64encode(b"RIFF\x24\0\0\0WAVEfmt ").decode()
DEAF = Facts(capabilities=frozenset({"completion", "vision"}))


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def picture(url: Any = PNG_URL) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, "detail": "low"}}


def attached(**file: Any) -> dict[str, Any]:
    return {"type": "file", "file": file}


def sound(data: str = WAV_TEXT) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


def as_file(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def one(message: dict[str, Any], **others: Any) -> dict[str, Any]:
    (translated,) = to_ollama([message], **others)
    return translated


def test_messages_travel_as_they_came() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "a"},
        {"role": "system", "content": "b", "name": "x"},
        {"role": "user", "content": "c"},
        {"role": "user", "content": ""},
        {"role": "assistant", "content": "d"},
        {"role": "assistant", "content": "e"},
        {"role": "user", "content": "f"},
    ]
    expected = [{"role": message["role"], "content": message["content"]} for message in messages]
    assert to_ollama(messages) == expected


def test_developer_is_system_and_function_is_tool() -> None:
    assert one({"role": "developer", "content": "x"}) == {"role": "system", "content": "x"}
    legacy = {"role": "function", "name": "f", "content": None}
    assert one(legacy) == {"role": "tool", "content": "", "tool_name": "f"}


@pytest.mark.parametrize("message", [{"role": "assistant", "content": None}, {"role": "assistant"}, user()])
def test_a_message_without_content_is_an_empty_text(message: dict[str, Any]) -> None:
    assert one(message)["content"] == ""


def test_text_parts_are_put_together_as_they_are() -> None:
    assert one(user(text("Hello, "), text("world"), text("")))["content"] == "Hello, world"
    assert one(user(text("Hello, "), {"type": "input_text", "text": "you"}))["content"] == "Hello, you"
    parts = [text("I "), {"type": "refusal", "refusal": "won't."}]
    assert one({"role": "assistant", "content": parts})["content"] == "I won't."
    assert one({"role": "tool", "content": [text("18 "), text("C")]}) == {"role": "tool", "content": "18 C"}


def test_images_go_beside_the_text_and_keep_texts_apart() -> None:
    assert one(user(text("Look:"), picture(), text("What?"))) == {
        "role": "user",
        "content": "Look:\nWhat?",
        "images": [PNG_TEXT],
    }
    assert one(user(picture(), text("What?")))["content"] == "What?"
    assert one(user(text("Look: "), picture(), text("What?"), text("!")))["content"] == "Look: What?!"
    assert one(user(text("Look:"), picture(), text("\nWhat?")))["content"] == "Look:\nWhat?"
    assert one(user(picture(), picture()))["images"] == [PNG_TEXT, PNG_TEXT]
    assert one({"role": "tool", "content": [picture()]})["images"] == [PNG_TEXT]


def test_an_image_may_be_a_plain_string_or_fetched() -> None:
    assert one(user({"type": "image_url", "image_url": PNG_URL}))["images"] == [PNG_TEXT]
    web = picture("https://example.com/a.png")
    assert one(user(web), images={"https://example.com/a.png": PNG_TEXT})["images"] == [PNG_TEXT]


@pytest.mark.parametrize(
    ("part", "code", "place"),
    [
        (picture("https://example.com/a.png"), "invalid_image_url", "image_url.url"),
        (picture("data:image/png;base64,###"), "invalid_base64_image", "image_url.url"),
        ({"type": "image_url", "image_url": "x"}, "invalid_image_url", "image_url"),
        (sound("###"), "invalid_value", "input_audio.data"),
        (sound(PNG_TEXT), "invalid_value", "input_audio.data"),
        (attached(file_id="file-1"), "unsupported_file", "file.file_id"),
        (attached(filename="a.txt"), "unsupported_file", "file"),
        (attached(file_data=as_file(b"%PDF-1.7")), "unsupported_file", "file"),
        (attached(file_data=as_file(b"a\0b")), "unsupported_file", "file"),
        (attached(file_data=as_file(b"\xff\xfe\xfd")), "unsupported_file", "file"),
        (attached(file_data="###"), "invalid_value", "file.file_data"),
        (attached(file_data="data:text/plain;base64,#"), "invalid_value", "file.file_data"),
        (attached(file_data=as_file(PNG[:12])), "invalid_image", "file.file_data"),
        ({"type": "video_url"}, "invalid_value", "type"),
        ({}, "invalid_value", "type"),
    ],
)
def test_what_cannot_be_brought_to_ollama_is_refused_where_it_stands(
    part: dict[str, Any], code: str, place: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        to_ollama([{"role": "user", "content": "a"}, user(text("b"), part)])
    assert (caught.value.code, caught.value.param) == (code, f"messages[1].content[1].{place}")


def test_content_of_another_type_is_refused() -> None:
    with pytest.raises(BadRequest) as caught:
        to_ollama([{"role": "user", "content": {}}], param="input")
    assert (caught.value.code, caught.value.param) == ("invalid_type", "input[0].content")


def test_a_request_may_have_sixteen_images() -> None:
    assert len(one(user(*[picture()] * 16))["images"]) == 16
    with pytest.raises(BadRequest) as caught:
        to_ollama([user(*[picture()] * 10), user(*[picture()] * 7)])
    assert (caught.value.code, caught.value.param) == ("array_above_max_length", "messages")


@pytest.mark.parametrize("raw", [b"RIFF\x24\0\0\0WAVEfmt ", b"ID3\x04", b"\xff\xfb\x90"])
def test_recordings_go_among_the_images(raw: bytes) -> None:
    data = base64.b64encode(raw).decode()
    for spelling in (data, f"data:audio/wav;base64,{data}"):
        for facts in (None, Facts(), Facts(capabilities=frozenset({"audio"}))):
            assert one(user(sound(spelling)), facts=facts)["images"] == [data]


def test_recordings_for_a_model_that_cannot_hear_are_refused() -> None:
    with pytest.raises(BadRequest) as caught:
        to_ollama([user(text("a"), sound())], facts=DEAF)
    assert (caught.value.code, caught.value.param) == (
        "unsupported_content",
        "messages[0].content[1].input_audio",
    )


def test_text_files_are_written_into_the_message() -> None:
    note = attached(filename='my "notes".txt', file_data=as_file("BM\ufeffü".encode()))
    content = one(user(text("Read this:"), note, text("Then answer.")))["content"]
    assert content == "Read this:\n<file name=\"my 'notes'.txt\">\nBM\ufeffü\n</file>\nThen answer."
    plain = attached(file_data="data:text/csv,a,b%0A1,2")
    assert one(user(plain, plain))["content"].count('<file name="file">\na,b\n1,2\n</file>') == 2
    with_bom = attached(file_data=as_file(b"\xef\xbb\xbfx"))
    assert one(user(with_bom))["content"] == '<file name="file">\nx\n</file>'


def test_an_image_may_come_as_a_file() -> None:
    assert one(user(attached(file_data=PNG_URL))) == {"role": "user", "content": "", "images": [PNG_TEXT]}


def call(number: int, name: str, given: Any, **others: Any) -> dict[str, Any]:
    return {
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": name, "arguments": given},
        **others,
    }


def test_calls_and_their_results_are_tied_by_name() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [call(1, "a", '{"x":1}'), call(2, "b", "")]},
        {"role": "tool", "tool_call_id": "call_2", "content": "two"},
        {"role": "tool", "tool_call_id": "call_1", "content": "one"},
        {"role": "tool", "tool_call_id": "call_9", "content": "nine"},
        {"role": "tool", "tool_call_id": "call_9", "content": "nine", "name": "c"},
        {"role": "tool", "content": "whose?"},
        {"role": "tool", "tool_name": "d", "content": "ten", "name": "e"},
    ]
    assert to_ollama(messages)[1:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "call_1", "function": {"name": "a", "arguments": {"x": 1}}},
                {"id": "call_2", "function": {"name": "b", "arguments": {}}},
            ],
        },
        {"role": "tool", "content": "two", "tool_name": "b", "tool_call_id": "call_2"},
        {"role": "tool", "content": "one", "tool_name": "a", "tool_call_id": "call_1"},
        {"role": "tool", "content": "nine", "tool_call_id": "call_9"},
        {"role": "tool", "content": "nine", "tool_name": "c", "tool_call_id": "call_9"},
        {"role": "tool", "content": "whose?"},
        {"role": "tool", "content": "ten", "tool_name": "d"},
    ]


def test_an_id_that_is_used_again_means_its_latest_call() -> None:
    turn = [{"role": "assistant", "tool_calls": [call(1, name, "{}")]} for name in ("old", "new")]
    result = {"role": "tool", "tool_call_id": "call_1", "content": ""}
    translated = to_ollama([turn[0], result, turn[1], result])
    assert [message.get("tool_name") for message in translated] == [None, "old", None, "new"]


def test_calls_of_other_times_and_kinds_are_understood() -> None:
    legacy = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a":1}'}}
    assert one(legacy)["tool_calls"] == [{"function": {"name": "f", "arguments": {"a": 1}}}]
    custom = {
        "role": "assistant",
        "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "p", "input": "x"}}],
    }
    assert one(custom)["tool_calls"] == [{"id": "c", "function": {"name": "p", "arguments": {"input": "x"}}}]
    nameless = {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}], "function_call": None}
    assert one(nameless)["tool_calls"] == [{"function": {"name": "f", "arguments": {}}}]
    assert "tool_calls" not in one({"role": "assistant", "content": "x", "tool_calls": None})


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ('{"b":1,"a":[1e2]}', {"b": 1, "a": [100.0]}),
        ({"b": 1}, {"b": 1}),
        ("", {}),
        (" \n", {}),
        (None, {}),
        ("[1,2]", {"_value": [1, 2]}),
        ('"x"', {"_value": "x"}),
        ("null", {"_value": None}),
        ([1], {"_value": [1]}),
        ('{"a":', {"_raw": '{"a":'}),
        ('{"a":NaN}', {"_raw": '{"a":NaN}'}),
        ('{"a":"\\ud800"}', {"_raw": '{"a":"\\ud800"}'}),
        ("plain", {"_raw": "plain"}),
    ],
)
def test_arguments_become_an_object(given: Any, sent: dict[str, Any]) -> None:
    assert arguments(given) == sent


@pytest.mark.parametrize("depth", [65, 900, 200_000])
def test_arguments_that_are_nested_too_deeply_stay_a_text(depth: int) -> None:
    given = '{"a":' * depth + "1" + "}" * depth
    assert arguments(given) == {"_raw": given}
    assert arguments("[" * depth + "]" * depth).keys() == {"_raw"}


def test_arguments_of_a_bearable_depth_are_read() -> None:
    assert "a" in arguments('{"a":' * 60 + "1" + "}" * 60)


@pytest.mark.parametrize(
    ("extra", "thinking"),
    [
        ({"reasoning_content": "x"}, "x"),
        ({"reasoning": "y"}, "y"),
        ({"thinking": "z"}, "z"),
        ({"reasoning_content": "", "reasoning": "y", "thinking": "z"}, "y"),
        ({"reasoning_content": None, "reasoning": {"summary": "y"}, "thinking": "z"}, "z"),
        (
            {"reasoning_details": [{"type": "reasoning.text", "text": "a"}, {"data": "b"}, 5, {"text": "c"}]},
            "ac",
        ),
    ],
)
def test_earlier_reasoning_is_given_back(extra: dict[str, Any], thinking: str) -> None:
    assert one({"role": "assistant", "content": "4", **extra})["thinking"] == thinking


@pytest.mark.parametrize(
    "extra", [{}, {"reasoning": ""}, {"reasoning_details": "x"}, {"reasoning_details": []}]
)
def test_no_reasoning_is_invented(extra: dict[str, Any]) -> None:
    assert "thinking" not in one({"role": "assistant", "content": "4", **extra})
    assert "thinking" not in one({"role": "user", "content": "4", "reasoning": "x"})


def test_a_refusal_is_what_the_assistant_said() -> None:
    assert one({"role": "assistant", "content": None, "refusal": "No."})["content"] == "No."
    assert one({"role": "assistant", "content": "Yes.", "refusal": "No."})["content"] == "Yes."
    assert one({"role": "assistant", "content": None, "refusal": None})["content"] == ""


def test_assistant_messages_at_the_end_are_one() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "reasoning": "t"},
        {"role": "assistant", "content": None, "tool_calls": [call(1, "f", "{}")]},
        {"role": "assistant", "content": "c"},
    ]
    assert to_ollama(messages) == [
        {"role": "user", "content": "a"},
        {
            "role": "assistant",
            "content": "b\n\nc",
            "thinking": "t",
            "tool_calls": [{"id": "call_1", "function": {"name": "f", "arguments": {}}}],
        },
    ]
    assert to_ollama(messages[1:2]) == [{"role": "assistant", "content": "b", "thinking": "t"}]


def test_merging_puts_one_system_message_in_front_and_joins_neighbours() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "a", "images": ["1"]},
        {"role": "system", "content": "s"},
        {"role": "user", "content": "", "images": ["2"]},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "", "tool_calls": [1], "thinking": "t"},
        {"role": "assistant", "content": "", "tool_calls": [2], "thinking": "u"},
        {"role": "tool", "content": "x", "tool_name": "f"},
        {"role": "tool", "content": "y", "tool_name": "g"},
        {"role": "system", "content": "t"},
    ]
    before = [dict(message) for message in messages]
    assert merge_roles(messages) == [
        {"role": "system", "content": "s\n\nt"},
        {"role": "user", "content": "a\n\nb", "images": ["1", "2"]},
        {"role": "assistant", "content": "", "tool_calls": [1, 2], "thinking": "t\n\nu"},
        {"role": "tool", "content": "x", "tool_name": "f"},
        {"role": "tool", "content": "y", "tool_name": "g"},
    ]
    assert messages == before
    assert merge_roles([]) == []


def test_merging_again_changes_nothing() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "system", "content": "c"},
    ]
    once = merge_roles(messages)
    assert merge_roles(once) == once
