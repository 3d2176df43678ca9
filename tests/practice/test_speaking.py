from __future__ import annotations

from typing import Any

import pytest

from tests.practice.conftest import Ask

HELLO = [{"role": "user", "content": "Hello"}]
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def chat(ask: Ask, content: str = "Hello", **body: Any) -> Any:
    messages = [{"role": "user", "content": content}]
    return ask("/api/chat", **{"model": "practice", "messages": messages, **body})


@pytest.mark.parametrize(("think", "thinks"), [(None, True), (True, True), ("low", True), (False, False)])
def test_the_thinking_model_thinks_unless_told_not_to(ask: Ask, think: Any, thinks: bool) -> None:
    message = chat(ask, model="practice-think", think=think)["message"]
    assert ("thinking" in message) == thinks
    assert message["content"]


def test_the_others_accept_not_to_think(ask: Ask) -> None:
    assert "thinking" not in chat(ask, think=False)["message"]


@pytest.mark.parametrize("unlimited", [-1, -2, 0, None, 1e20])
def test_some_limits_are_none(ask: Ask, unlimited: Any) -> None:
    reply = chat(ask, "count to 50", options={"num_predict": unlimited})
    assert (reply["done_reason"], reply["eval_count"]) == ("stop", 51)


def test_floats_are_cut_to_whole_tokens(ask: Ask) -> None:
    assert chat(ask, options={"num_predict": 2.9})["eval_count"] == 2


def test_without_shift_the_window_is_the_limit(ask: Ask) -> None:
    asked: dict[str, Any] = {"content": "count to 100", "options": {"num_ctx": 60}, "truncate": False}
    reply = chat(ask, **asked, shift=False)
    assert reply["done_reason"] == "length"
    assert reply["prompt_eval_count"] + reply["eval_count"] == 60
    assert chat(ask, **asked)["done_reason"] == "stop"


def test_the_window_is_never_larger_than_the_model_s(ask: Ask) -> None:
    refused = chat(ask, "word " * 40_000, options={"num_ctx": 1_000_000}, truncate=False)
    assert '\\"n_ctx\\":32768' in refused["error"] or '"n_ctx":32768' in refused["error"]


@pytest.mark.parametrize("num_ctx", [0, -5])
def test_a_window_of_nothing_cuts_the_prompt_to_a_few_tokens(ask: Ask, num_ctx: int) -> None:
    assert chat(ask, options={"num_ctx": num_ctx})["prompt_eval_count"] < 6


def test_seeds_that_mean_chance_leave_it_to_the_prompt(ask: Ask) -> None:
    plain = chat(ask)["message"]
    for seed in (None, -1, 2**32 - 1):
        assert chat(ask, options={"seed": seed})["message"] == plain
    assert chat(ask, options={"seed": 0})["message"] != plain
    assert chat(ask, options={"seed": 1e300})["message"] != plain


def test_thinking_before_a_schema_counts_as_prompt(ask: Ask) -> None:
    free = chat(ask, model="practice-think", format=SCHEMA, think=False)
    thought = chat(ask, model="practice-think", format=SCHEMA)
    assert thought["prompt_eval_count"] > free["prompt_eval_count"]
    assert thought["eval_count"] < 12


def test_generate_takes_system_suffix_and_raw(ask: Ask) -> None:
    asked = {"model": "practice", "prompt": "Once upon a time"}
    templated = ask("/api/generate", **asked, system="Be brief.")
    assert len(templated["context"]) == templated["prompt_eval_count"] + templated["eval_count"] - 1
    assert "context" not in ask("/api/generate", **asked, raw=True)
    assert "fills this in" in ask("/api/generate", **asked, suffix="the end")["response"]
    assert ask("/api/generate", **asked, raw=True, suffix="x")["prompt_eval_count"] == 4


def test_raw_prompts_are_not_thought_about_unless_asked(ask: Ask) -> None:
    asked = {"model": "practice-think", "prompt": "Once", "raw": True}
    assert "thinking" not in ask("/api/generate", **asked)


def test_raw_json_is_json(ask: Ask) -> None:
    reply = ask("/api/generate", model="practice", prompt="A number:", raw=True, format=SCHEMA)
    assert reply["response"].startswith('{"n": ')


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_images_need_a_model_that_sees(ask: Ask, path: str) -> None:
    image = {"images": ["aGVsbG8="]}
    chatting = {"messages": [{**HELLO[0], **image}]}
    body = chatting if path == "/api/chat" else {"prompt": "Hello", **image}
    assert "Multimodal" in ask(path, model="practice", **body)["error"]
    reply = ask(path, model="practice-vision", **body)
    assert "5 bytes" in (reply.get("response") or reply["message"]["content"])


@pytest.mark.parametrize("value", ["yaml", 5, True, [1]])
def test_a_format_is_json_or_a_schema(ask: Ask, value: Any) -> None:
    assert ask("/api/chat", model="practice", messages=HELLO, format=value)["error"].startswith(
        "invalid format"
    )


@pytest.mark.parametrize("value", ["", None])
def test_no_format_is_text(ask: Ask, value: Any) -> None:
    assert "{" not in chat(ask, format=value)["message"]["content"]
