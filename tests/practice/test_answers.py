from __future__ import annotations

import json
from typing import Any

import pytest

from o2o.practice.answers import Question, compose, continued, hints
from tests.practice.conftest import Ask

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer", "minimum": 1, "maximum": 9},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city"],
        },
    },
}
NOTIFY = {"type": "function", "function": {"name": "notify", "parameters": {"type": "object"}}}
TOOLS = (WEATHER, NOTIFY)


def user(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": text, **more}


def said(text: str, **question: Any) -> str:
    messages = question.pop("messages", None) or [user(text)]
    return "".join(piece.text for piece in compose(Question(messages, question.pop("seed", 1), **question)))


def called(text: str, **question: Any) -> list[Any]:
    pieces = compose(Question([user(text)], 1, question.pop("tools", TOOLS), **question))
    return [dict(piece.call) for piece in pieces if piece.call is not None]


@pytest.mark.parametrize("text", ["Hello", "", "What is the meaning of all this? " * 40])
def test_every_answer_says_that_it_is_practice(text: str) -> None:
    for seed in range(50):
        assert "practice" in said(text, seed=seed)


def test_seeds_decide_the_wording() -> None:
    assert len({said("Hello", seed=seed) for seed in range(30)}) == 30
    assert said("Hello", seed=7) == said("Hello", seed=7)


def test_it_repeats_what_it_is_told_to_say() -> None:
    assert said("say: ein Hörnchen 🥐\nund Tee") == "ein Hörnchen 🥐\nund Tee"
    assert said("Please repeat after me: yes") == "yes"


def test_it_can_count() -> None:
    assert said("Count to 5, please") == "1 2 3 4 5"


def test_it_goes_on_where_an_assistant_message_ends() -> None:
    begun = [user("count to 5"), {"role": "assistant", "content": "1 2 "}]
    assert said("", messages=begun) == "3 4 5"


def test_it_begins_anew_where_the_assistant_said_something_else() -> None:
    begun = [user("count to 2"), {"role": "assistant", "content": "Well,"}]
    assert said("", messages=begun) == " 1 2"


@pytest.mark.parametrize(
    "text",
    [
        "Use get_weather for Paris",
        "What is the weather in Paris?",
        "use the tool, for Paris",
        "Please call something about Paris",
    ],
)
def test_it_calls_the_tool_that_it_is_asked_for(text: str) -> None:
    (call,) = called(text)
    assert call["name"] == "get_weather"
    assert call["arguments"]["city"] == "Paris"


def test_arguments_are_taken_from_the_message_where_they_fit() -> None:
    (call,) = called("What will the weather be in Oslo, 3 days, in fahrenheit?")
    assert call["arguments"] == {"city": "Oslo", "days": 3, "unit": "fahrenheit"}


def test_two_tools_that_are_named_are_both_called_in_that_order() -> None:
    assert [call["name"] for call in called("notify Bob, then get_weather")] == ["notify", "get_weather"]


def test_a_call_is_written_out_before_it_is_made() -> None:
    pieces = compose(Question([user("use get_weather")], 1, TOOLS))
    text = "".join(piece.text for piece in pieces)
    assert text.startswith("<tool_call>\n{")
    assert json.loads(text.split("\n")[1]) == pieces[-1].call


def test_without_a_wish_no_tool_is_called() -> None:
    assert called("Hello there") == []
    assert called("What is the weather?", tools=()) == []


def test_a_tool_without_parameters_is_called_with_nothing() -> None:
    bare = {"type": "function", "function": {"name": "ping"}}
    assert called("ping", tools=(bare,)) == [{"name": "ping", "arguments": {}}]


def test_a_dead_reference_in_a_tool_does_not_matter() -> None:
    odd = {"name": "odd", "parameters": {"properties": {"a": {"$ref": "#/$defs/None"}}}}
    (call,) = called("odd", tools=({"function": odd},))
    assert set(call["arguments"]) == {"a"}


def test_a_tool_s_result_is_answered_in_words() -> None:
    result = {"role": "tool", "tool_name": "get_weather", "content": "21 degrees"}
    text = said("", messages=[user("use get_weather"), {"role": "assistant"}, result], tools=TOOLS)
    assert "get_weather said" in text
    assert "21 degrees" in text


def test_a_schema_wins_over_tools() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    assert json.loads(said("use get_weather for Rome", tools=TOOLS, schema=schema)) == {"city": "Rome"}


@pytest.mark.parametrize("schema", ["json", {}, {"type": "object"}])
def test_open_json_is_an_object_with_the_answer_in_it(schema: Any) -> None:
    assert json.loads(said("say: hi", schema=schema)) == {"practice": True, "answer": "hi"}


def test_thinking_comes_first_and_grows_with_the_effort() -> None:
    lengths = []
    for level in ("low", "medium", "high", "max"):
        pieces = compose(Question([user("Hello")], 1, think=level))
        kinds = [piece.kind for piece in pieces]
        assert kinds == sorted(kinds, reverse=True)
        lengths.append(kinds.count("thinking"))
    assert lengths == sorted(lengths)
    assert lengths[0] > 0


def test_images_are_weighed() -> None:
    text = said("What is it?", images=(b"\x89PNG1234", b"RIFF1234WEBP", b"?"))
    assert "image (PNG) of 8 bytes and an image (WebP) of 12 bytes and an unknown thing of 1 bytes" in text


def test_a_bare_prompt_goes_on_and_a_gap_is_filled() -> None:
    onward = "".join(piece.text for piece in continued("", 1))
    assert onward.startswith(" and so on, says the practice model.")
    assert "fills this in" in "".join(piece.text for piece in continued("b", 1))


def test_hints_are_quoted_words_names_and_numbers() -> None:
    found = hints('Ask Ann Lee about "blue cheese" and 12 or -3 or 4.5, in Rome')
    assert found.strings == ["blue cheese", "Ann Lee", "Rome"]
    assert found.numbers == [12, -3]


def test_answers_stay_the_same_from_request_to_request(ask: Ask) -> None:
    body = {"model": "practice", "messages": [user("Hello")]}
    assert ask("/api/chat", **body)["message"] == ask("/api/chat", **body)["message"]
    other = ask("/api/chat", **body, options={"seed": 5})["message"]
    assert other != ask("/api/chat", **body, options={"seed": 6})["message"]
    assert other == ask("/api/chat", **body, options={"seed": 5})["message"]
