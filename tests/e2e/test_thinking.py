"""Models that think: where their reasoning stands, how it is asked for, and how it goes back."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.e2e.wire import chat, deltas, last, line, recorded
from tests.ollama import FakeOllama, stream
from tests.server import Server

THINKER = "practice-think"


def message_of(server: Server, /, **fields: Any) -> dict[str, Any]:
    answer = chat(server, **{"model": THINKER, **fields})
    assert answer.status == 200, answer.raw
    message: dict[str, Any] = answer.body["choices"][0]["message"]
    return message


def test_reasoning_stands_beside_the_content_under_both_of_its_names(server: Server) -> None:
    message = message_of(server)
    assert message["content"] == "hi"
    assert message["reasoning_content"]
    assert message["reasoning_content"] == message["reasoning"]
    assert "<think>" not in message["content"]


def test_the_sdk_shows_reasoning_as_an_extra_field(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model=THINKER, messages=[{"role": "user", "content": "say: hi"}], reasoning_effort="medium"
    )
    extra = completion.choices[0].message.model_extra or {}
    assert extra["reasoning_content"]
    usage = completion.usage
    assert usage is not None
    assert usage.completion_tokens_details is not None
    assert (usage.completion_tokens_details.reasoning_tokens or 0) > 0


def test_a_model_that_does_not_think_has_no_key_for_it(server: Server) -> None:
    assert message_of(server, model="practice").keys() == {"role", "content", "refusal"}


# --- asking for it


OFF: list[dict[str, Any]] = [
    {"reasoning_effort": "none"},
    {"reasoning": {"effort": "none"}},
    {"reasoning": {"enabled": False}},
    {"thinking": {"type": "disabled"}},
    {"think": False},
    {"enable_thinking": False},
    {"chat_template_kwargs": {"enable_thinking": False}},
]


@pytest.mark.parametrize("fields", OFF, ids=str)
def test_thinking_is_switched_off_in_many_words(
    server: Server, ollama: FakeOllama, fields: dict[str, Any]
) -> None:
    message = message_of(server, **fields)
    assert "reasoning" not in message
    assert "reasoning_content" not in message
    assert ollama.asked("/api/chat")[-1].body["think"] is False


@pytest.mark.parametrize(
    ("effort", "think"),
    [
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "medium"),
        ("high", "high"),
        ("xhigh", "max"),
        ("max", "max"),
    ],
)
def test_efforts_become_those_that_ollama_has(
    server: Server, ollama: FakeOllama, effort: str, think: str
) -> None:
    assert message_of(server, reasoning_effort=effort)["reasoning"]
    assert ollama.asked("/api/chat")[-1].body["think"] == think


def test_an_effort_for_a_model_that_cannot_think_is_listed_and_dropped(
    server: Server, ollama: FakeOllama
) -> None:
    answer = chat(server, reasoning_effort="high")
    assert answer.status == 200
    assert answer.headers["x-o2o-ignored"] == "reasoning_effort"
    assert "think" not in ollama.asked("/api/chat")[-1].body


def test_without_a_wish_the_model_decides(server: Server, ollama: FakeOllama) -> None:
    assert message_of(server)["reasoning"]
    assert "think" not in ollama.asked("/api/chat")[-1].body


def test_reasoning_may_be_made_and_not_shown(server: Server) -> None:
    for fields in ({"include_reasoning": False}, {"reasoning": {"exclude": True}}):
        message = message_of(server, **fields)
        assert message.keys() == {"role", "content", "refusal"}


# --- streams


def test_reasoning_streams_before_the_content(server: Server) -> None:
    events = chat(server, model=THINKER, stream=True).events
    first, *said = deltas(events)
    assert first["role"] == "assistant"
    kinds = ["reasoning" if "reasoning" in delta else "content" for delta in said if delta]
    assert kinds == sorted(kinds, reverse=True)
    assert set(kinds) == {"reasoning", "content"}
    for delta in said:
        if "reasoning" in delta:
            assert delta.keys() == {"reasoning_content", "reasoning"}
            assert delta["reasoning"]
            assert delta["reasoning_content"] == delta["reasoning"]
    joined = "".join(delta.get("reasoning", "") for delta in said)
    assert joined == message_of(server)["reasoning"]


@pytest.mark.parametrize(
    "name",
    [
        "jinja-think-unset-stream",
        "parser-harmony-unset-stream",
        "parser-qwen35-unset-stream",
        "parser-think-unset-stream",
    ],
)
def test_recorded_thinkers_keep_reasoning_and_content_apart(
    server: Server, ollama: FakeOllama, name: str
) -> None:
    ollama.script("/api/chat", recorded(f"03-thinking/{name}"), recorded(f"03-thinking/{name}"))
    message = message_of(server)
    said = deltas(chat(server, model=THINKER, stream=True).events)
    for key in ("reasoning", "content"):
        assert "".join(delta.get(key) or "" for delta in said) == message[key]
        assert message[key].strip()


def test_thinking_that_was_switched_off_and_comes_all_the_same_is_the_answer(
    server: Server, ollama: FakeOllama
) -> None:
    ollama.script("/api/chat", stream(line(thinking="It is "), line(thinking="blue."), last()))
    message = message_of(server, reasoning_effort="none")
    assert message["content"] == "It is blue."
    assert "reasoning" not in message


def test_a_limit_inside_the_thinking_leaves_the_content_empty(server: Server) -> None:
    answer = chat(server, model=THINKER, max_tokens=4)
    choice = answer.body["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("length", "")
    assert choice["message"]["reasoning"]


# --- going back


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_goes_back_to_the_model_under_any_of_its_names(
    server: Server, ollama: FakeOllama, name: str
) -> None:
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "y", name: "I thought about it."},
        {"role": "user", "content": "say: hi"},
    ]
    assert message_of(server, messages=messages)["content"] == "hi"
    said = ollama.asked("/api/chat")[-1].body["messages"][1]
    assert said == {"role": "assistant", "content": "y", "thinking": "I thought about it."}


def test_null_reasoning_is_none(server: Server, ollama: FakeOllama) -> None:
    messages = [
        {"role": "assistant", "content": "y", "reasoning_content": None, "reasoning": None},
        {"role": "user", "content": "say: hi"},
    ]
    message_of(server, messages=messages)
    assert ollama.asked("/api/chat")[-1].body["messages"][0] == {"role": "assistant", "content": "y"}


@pytest.mark.parametrize("streaming", [False, True])
def test_reasoning_stands_in_tags_where_the_operator_wants_that(obliging: Server, streaming: bool) -> None:
    answer = chat(obliging, model="practice-think", stream=streaming)
    if streaming:
        said = deltas(answer.events)
        text = "".join(delta.get("content") or "" for delta in said)
        assert not any("reasoning" in delta or "reasoning_content" in delta for delta in said)
    else:
        message = answer.body["choices"][0]["message"]
        text = message["content"]
        assert message.keys() == {"role", "content", "refusal"}
    thoughts, _, content = text.partition("</think>\n\n")
    assert thoughts.startswith("<think>The user says")
    assert content == "hi"


def test_a_caller_may_have_no_tags_either(obliging: Server) -> None:
    for hidden in ({"include_reasoning": False}, {"reasoning": {"exclude": True}}):
        answer = chat(obliging, model="practice-think", **hidden)
        assert answer.body["choices"][0]["message"]["content"] == "hi"
