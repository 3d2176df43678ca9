"""Windows, limits and counts: what is asked of Ollama for them, and what the caller is told.

A server and an Ollama of their own: windows that were asked for stay, and other tests ask for none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.e2e.wire import Answer, chat, last, line, post
from tests.ollama import FakeOllama, stream
from tests.server import Server

SETTINGS = {
    "O2O_MODEL_ALIASES": "long=practice-think?num_ctx=16384",
    "O2O_DEFAULT_MAX_TOKENS": "20",
    "O2O_MAX_TOKENS": "40",
    "O2O_TIMINGS": "true",
}


@pytest.fixture
def own_ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as fake:
        yield fake


@pytest.fixture
def own(own_ollama: FakeOllama) -> Iterator[Server]:
    with Server(own_ollama.url, SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def limited(ollama: FakeOllama) -> Iterator[Server]:
    """A server in front of everybody's Ollama, for tests that ask for no window."""
    with Server(ollama.url, SETTINGS) as running:
        yield running


def words(number: int) -> list[dict[str, Any]]:
    return [{"role": "user", "content": "say: hi"}, {"role": "user", "content": "word " * number}]


def windows(ollama: FakeOllama) -> list[int | None]:
    """Return the windows that chats have asked for."""
    return [seen.body.get("options", {}).get("num_ctx") for seen in ollama.asked("/api/chat")]


# --- windows


def test_a_window_grows_with_the_prompts_of_an_agent_and_never_shrinks(
    own: Server, own_ollama: FakeOllama
) -> None:
    first = chat(own, messages=words(5000))
    assert (first.status, first.headers["x-o2o-num-ctx"]) == (200, "8192")
    assert first.headers["x-o2o-warning"] == "num_ctx_grown"
    assert "x-o2o-warning" not in chat(own).headers
    second = chat(own, messages=words(9000), stream=True)
    assert second.events[-1] == "[DONE]"
    assert (second.headers["x-o2o-num-ctx"], second.headers["x-o2o-warning"]) == ("16384", "num_ctx_grown")
    smaller = chat(own, num_ctx=4096)
    assert smaller.headers["x-o2o-num-ctx"] == "16384"
    assert windows(own_ollama) == [None, 8192, 8192, 8192, 16384, 16384]
    refused = chat(own, messages=words(33000))
    assert (refused.status, refused.error["code"]) == (400, "context_length_exceeded")


def test_the_window_of_a_text_completion_grows_too(own: Server, own_ollama: FakeOllama) -> None:
    answer = post(own, "/completions", {"model": "practice", "prompt": "word " * 5000})
    assert (answer.status, answer.headers["x-o2o-num-ctx"]) == (200, "8192")
    assert answer.headers["x-o2o-warning"] == "num_ctx_grown"


# Each is larger than the one before, since the largest stays.
WAYS: list[tuple[dict[str, str], dict[str, Any], int]] = [
    ({}, {"num_ctx": 8192}, 8192),
    ({}, {"options": {"num_ctx": 9000}}, 9000),
    ({"x-o2o-num-ctx": "10000"}, {}, 10000),
    ({"x-o2o-num-ctx": "8192"}, {"num_ctx": 11000}, 11000),
    ({}, {"model": "long"}, 16384),
    ({}, {"model": "long", "num_ctx": 17000}, 17000),
]


def test_a_window_can_be_asked_for_in_many_ways_and_is_then_nobody_elses_to_change(
    own: Server, own_ollama: FakeOllama
) -> None:
    for headers, fields, window in WAYS:
        answer = chat(own, headers, **fields)
        assert (answer.status, answer.headers["x-o2o-num-ctx"]) == (200, str(window)), (headers, fields)
        assert windows(own_ollama)[-1] == window
        assert chat(own, headers, **{**fields, "messages": words(20000)}).status == 400
    assert len(own_ollama.asked("/api/chat")) == 2 * len(WAYS)


def test_an_answer_that_outgrew_its_window_is_told(own: Server, own_ollama: FakeOllama) -> None:
    figures = {"prompt_eval_count": 4000, "eval_count": 200}
    own_ollama.script("/api/chat", *[stream(line("hi"), last("stop", **figures))] * 2)
    assert chat(own, num_ctx=4096).headers["x-o2o-warning"] == "context_shifted"
    assert chat(own, num_ctx=4096, stream=True).events[-1] == "[DONE]"
    own.await_log(lambda log: log.count("notes=context_shifted") == 2, "telling it")


# --- limits


def length(answer: Answer) -> tuple[int, str]:
    assert answer.status == 200, answer.raw
    choice = answer.body["choices"][0]
    return answer.body["usage"]["completion_tokens"], choice["finish_reason"]


@pytest.mark.parametrize(
    ("wish", "tokens"),
    [
        ({}, 20),
        ({"max_tokens": 30}, 30),
        ({"max_completion_tokens": 1000}, 40),
        ({"max_tokens": -1}, 40),
        ({"options": {"num_predict": -1}}, 40),
    ],
)
def test_no_answer_is_longer_than_the_operator_allows(
    limited: Server, wish: dict[str, Any], tokens: int
) -> None:
    messages = [{"role": "user", "content": "count to 100"}]
    assert length(chat(limited, messages=messages, **wish)) == (tokens, "length")


def test_text_completions_have_the_same_limit_and_a_default_of_their_own(limited: Server) -> None:
    body = {"model": "practice", "prompt": "count to 100", "raw": False}
    assert length(post(limited, "/completions", body)) == (16, "length")
    assert length(post(limited, "/completions", {**body, "max_tokens": 1000})) == (40, "length")


# --- counts


def test_a_prompt_can_be_counted_before_it_is_sent(limited: Server, ollama: FakeOllama) -> None:
    body = {"model": "practice", "messages": [{"role": "user", "content": "How long is this?"}]}
    counted = post(limited, "/chat/completions/input_tokens", body)
    used = post(limited, "/chat/completions", body).body["usage"]["prompt_tokens"]
    assert counted.body == {"object": "chat.completion.input_tokens", "input_tokens": used}
    asked = ollama.asked("/api/chat")[-2].body
    assert asked["options"]["num_predict"] == 1
    too_long = post(limited, "/chat/completions/input_tokens", {**body, "messages": words(40000)})
    assert too_long.body["input_tokens"] > 40000


# --- timings


def test_timings_come_with_an_answer_and_with_the_usage_of_a_stream(limited: Server) -> None:
    with openai.OpenAI(base_url=f"{limited.url}/v1", api_key="x", max_retries=0) as client:
        messages: Any = [{"role": "user", "content": "say: one two three"}]
        whole = client.chat.completions.create(model="practice", messages=messages)
        chunks = list(
            client.chat.completions.create(
                model="practice", messages=messages, stream=True, stream_options={"include_usage": True}
            )
        )
    for told in (whole.model_extra, chunks[-1].model_extra):
        assert told is not None
        timings = told["timings"]
        assert timings["prompt_n"] > 0
        assert timings["predicted_n"] > 0
        for name in ("prompt_ms", "predicted_ms", "predicted_per_second", "load_ms", "queue_ms"):
            assert timings[name] >= 0
    assert all("timings" not in (chunk.model_extra or {}) for chunk in chunks[:-1])


def test_a_request_may_do_without_timings(limited: Server) -> None:
    assert "timings" not in chat(limited, timings=False).body
