"""Whole chat completions: what they consist of, and what reaches the model."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from tests.e2e.wire import chat, deltas, last, line, post, recorded
from tests.ollama import FakeOllama, stream
from tests.server import Server


def sent(ollama: FakeOllama) -> dict[str, Any]:
    """Return what Ollama was last asked."""
    body: dict[str, Any] = ollama.asked("/api/chat")[-1].body
    return body


def test_a_minimal_request_gets_everything_that_openai_promises(server: Server) -> None:
    body = chat(server).body
    assert body.keys() == {
        "id",
        "object",
        "created",
        "model",
        "choices",
        "usage",
        "service_tier",
        "system_fingerprint",
    }
    assert body["id"].startswith("chatcmpl-")
    assert (body["object"], body["model"], body["service_tier"]) == ("chat.completion", "practice", "default")
    assert isinstance(body["created"], int)
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hi", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]


def test_the_sdk_reads_a_completion(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model="practice", messages=[{"role": "user", "content": "say: hello there"}]
    )
    assert completion.choices[0].message.content == "hello there"
    assert completion.choices[0].message.role == "assistant"
    assert completion.choices[0].message.refusal is None
    assert completion.choices[0].logprobs is None


def test_no_two_completions_have_the_same_id(server: Server) -> None:
    assert len({chat(server).body["id"] for _ in range(5)}) == 5


def test_usage_adds_up_and_has_its_details(server: Server) -> None:
    usage = chat(server).body["usage"]
    assert usage["prompt_tokens"] > 0
    assert usage["completion_tokens"] > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == 0
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 0


def test_cached_tokens_are_those_that_ollama_counts(server: Server, ollama: FakeOllama) -> None:
    ollama.script("/api/chat", stream(line("hi"), last(prompt_eval_count=50, prompt_eval_cached_count=40)))
    usage = chat(server).body["usage"]
    assert (usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]) == (50, 40)


def test_thinking_is_counted_among_the_completion_tokens(server: Server) -> None:
    usage = chat(server, model="practice-think").body["usage"]
    assert 0 < usage["completion_tokens_details"]["reasoning_tokens"] < usage["completion_tokens"]


# --- how it ends, and how long it may be


def test_an_answer_that_ends_by_itself_stops(server: Server) -> None:
    assert chat(server).body["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_of_tokens_limits_and_is_told(server: Server, name: str) -> None:
    body = chat(server, messages=[{"role": "user", "content": "count to 100"}], **{name: 5}).body
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 5
    assert body["choices"][0]["message"]["content"].startswith("1 2")


def test_of_two_limits_the_newer_parameter_counts(server: Server, ollama: FakeOllama) -> None:
    body = chat(
        server, messages=[{"role": "user", "content": "count to 100"}], max_tokens=50, max_completion_tokens=5
    ).body
    assert body["usage"]["completion_tokens"] == 5
    assert sent(ollama)["options"]["num_predict"] == 5


def test_minus_one_is_no_limit(server: Server) -> None:
    body = chat(server, messages=[{"role": "user", "content": "count to 50"}], max_tokens=-1).body
    assert body["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "name", ["02-length-stop/echo-length-stream", "02-length-stop/jinja-tools-length-stream"]
)
def test_a_recorded_answer_that_reached_its_limit_says_so(
    server: Server, ollama: FakeOllama, name: str
) -> None:
    ollama.script("/api/chat", recorded(name))
    assert chat(server, max_tokens=8).body["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("stop", ["5", ["5"], ["99", " 5", "x"]])
def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(server: Server, stop: str | list[str]) -> None:
    body = chat(server, messages=[{"role": "user", "content": "count to 20"}], stop=stop).body
    assert body["choices"][0]["message"]["content"].rstrip() == "1 2 3 4"
    assert body["choices"][0]["finish_reason"] == "stop"


# --- messages


def test_developer_is_system_and_several_of_them_travel(server: Server, ollama: FakeOllama) -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "say: hi"},
        {"role": "developer", "content": "Be quick."},
    ]
    assert chat(server, messages=messages).status == 200
    assert sent(ollama)["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "say: hi"},
        {"role": "system", "content": "Be quick."},
    ]


def test_developer_and_system_get_the_same_answer(server: Server) -> None:
    answers = {
        chat(
            server,
            messages=[
                {"role": role, "content": "Be brief."},
                {"role": "user", "content": "What is a heron?"},
            ],
            seed=1,
        ).body["choices"][0]["message"]["content"]
        for role in ("developer", "system")
    }
    assert len(answers) == 1


def test_content_in_parts_is_taken_from_every_role(server: Server, ollama: FakeOllama) -> None:
    def parts(*texts: str) -> list[dict[str, str]]:
        return [{"type": "text", "text": text} for text in texts]

    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "system", "content": parts("Be ", "brief.")},
        {"role": "user", "content": parts("one", " two")},
        {"role": "assistant", "content": parts("three"), "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": parts("four", "five")},
        {"role": "user", "content": parts("say: hi")},
    ]
    assert chat(server, messages=messages).status == 200
    texts = [message["content"] for message in sent(ollama)["messages"]]
    assert texts == ["Be brief.", "one two", "three", "fourfive", "say: hi"]


def test_names_of_speakers_and_other_keys_are_ignored(server: Server, ollama: FakeOllama) -> None:
    message = {"role": "user", "content": "say: hi", "name": "somebody", "weight": 1, "cache_control": {}}
    assert chat(server, messages=[message]).status == 200
    assert sent(ollama)["messages"] == [{"role": "user", "content": "say: hi"}]


def test_our_own_answers_are_accepted_back(server: Server) -> None:
    first = chat(server, model="practice-think").body["choices"][0]["message"]
    messages = [{"role": "user", "content": "x"}, first, {"role": "user", "content": "say: again"}]
    answer = chat(server, model="practice-think", messages=messages)
    assert answer.body["choices"][0]["message"]["content"] == "again"


def test_every_text_arrives_as_it_was_sent(server: Server) -> None:
    text = 'naïve 漢字 🙈\u200d🙉 \u0000\u2028 \\" </s> <|im_end|> {{ .Prompt }} \t end'
    messages = [{"role": "user", "content": f"say: {text}"}]
    assert chat(server, messages=messages).body["choices"][0]["message"]["content"] == text


# --- sampling


def test_sampling_parameters_reach_ollama_under_its_names(server: Server, ollama: FakeOllama) -> None:
    chat(
        server,
        seed=42,
        temperature=0,
        top_p=0.5,
        frequency_penalty=0.25,
        presence_penalty=-1,
        stop=["END"],
        max_tokens=10,
    )
    assert sent(ollama)["options"] == {
        "seed": 42,
        "temperature": 0,
        "top_p": 0.5,
        "frequency_penalty": 0.25,
        "presence_penalty": -1,
        "stop": ["END"],
        "num_predict": 10,
    }


def test_what_nobody_asked_for_is_not_sent(server: Server, ollama: FakeOllama) -> None:
    chat(server)
    assert sent(ollama).keys() == {"model", "messages", "stream", "truncate"}


def test_a_seed_makes_answers_repeat(server: Server) -> None:
    def say(seed: int) -> str:
        messages = [{"role": "user", "content": "Tell me something."}]
        body = chat(server, messages=messages, seed=seed, temperature=0).body
        return str(body["choices"][0]["message"]["content"])

    assert say(1) == say(1)
    assert len({say(seed) for seed in range(5)}) > 1


def test_what_only_ollama_knows_is_honoured_at_the_top_and_in_options(
    client: openai.OpenAI, ollama: FakeOllama
) -> None:
    client.chat.completions.create(
        model="practice-vision",
        messages=[{"role": "user", "content": "hi"}],
        top_p=0.9,
        extra_body={
            "top_k": 40,
            "min_p": 0.05,
            "repeat_penalty": 1.1,
            "num_ctx": 8192,
            "keep_alive": "10m",
            "options": {"num_ctx": 2048, "top_p": 0.1, "num_batch": 64},
        },
    )
    asked = sent(ollama)
    assert asked["keep_alive"] == "10m"
    assert asked["options"] == {
        "top_k": 40,
        "min_p": 0.05,
        "repeat_penalty": 1.1,
        "num_ctx": 8192,
        "top_p": 0.9,
        "num_batch": 64,
    }


@pytest.mark.parametrize(
    ("fields", "format_sent"),
    [
        (
            {"guided_json": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}},
            "object",
        ),
        (
            {"format": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}},
            "object",
        ),
        (
            {"structured_outputs": {"json": {"type": "object", "properties": {"a": {"type": "integer"}}}}},
            "object",
        ),
    ],
)
def test_schemas_by_the_names_of_other_servers_are_honoured(
    server: Server, ollama: FakeOllama, fields: dict[str, Any], format_sent: str
) -> None:
    content = chat(server, **fields).body["choices"][0]["message"]["content"]
    assert isinstance(json.loads(content), dict)
    assert sent(ollama)["format"]["type"] == format_sent


@pytest.mark.parametrize("switch", ["enable_thinking", "thinking"])
def test_switches_of_chat_templates_are_honoured(server: Server, ollama: FakeOllama, switch: str) -> None:
    answer = chat(server, model="practice-think", chat_template_kwargs={switch: False})
    assert sent(ollama)["think"] is False
    assert "reasoning" not in answer.body["choices"][0]["message"]


# --- several choices


def test_three_choices_are_three_answers_to_one_prompt(client: openai.OpenAI, ollama: FakeOllama) -> None:
    before = len(ollama.asked("/api/chat"))
    one = client.chat.completions.create(model="practice", messages=[{"role": "user", "content": "Tell me."}])
    three = client.chat.completions.create(
        model="practice", messages=[{"role": "user", "content": "Tell me."}], n=3, seed=5
    )
    assert [choice.index for choice in three.choices] == [0, 1, 2]
    assert all(choice.finish_reason == "stop" for choice in three.choices)
    assert len({choice.message.content for choice in three.choices}) > 1
    assert one.usage is not None
    assert three.usage is not None
    assert three.usage.prompt_tokens == one.usage.prompt_tokens
    assert three.usage.completion_tokens > one.usage.completion_tokens
    assert three.usage.total_tokens == three.usage.prompt_tokens + three.usage.completion_tokens
    seeds = {seen.body["options"]["seed"] for seen in ollama.asked("/api/chat")[before + 1 :]}
    assert seeds == {5, 6, 7}


# --- an answer that is begun


def test_an_answer_that_the_caller_began_is_continued(server: Server, ollama: FakeOllama) -> None:
    messages = [{"role": "user", "content": "count to 6"}, {"role": "assistant", "content": "1 2 3"}]
    plain = chat(server, messages=messages).body["choices"][0]["message"]["content"]
    assert plain == " 4 5 6"
    assert sent(ollama)["messages"][-1] == {"role": "assistant", "content": "1 2 3"}
    named = chat(server, messages=messages, continue_final_message=True, add_generation_prompt=False)
    assert named.body["choices"][0]["message"]["content"] == " 4 5 6"
    assert "x-o2o-ignored" not in named.headers
    prefixed = chat(server, messages=[messages[0], {**messages[1], "prefix": True}])
    assert prefixed.body["choices"][0]["message"]["content"] == " 4 5 6"


def test_a_beginning_that_ollama_repeats_is_taken_away(server: Server, ollama: FakeOllama) -> None:
    ollama.script("/api/show", recorded("00-server/show-gemma3-jinja"))
    ollama.script("/api/chat", recorded("23-prefill/gemma3-jinja-trailing-assistant"))
    messages = [
        {"role": "user", "content": "Repeat it."},
        {"role": "assistant", "content": "The quick brown"},
    ]
    content = chat(server, model="gemma3-jinja:270m", messages=messages).body["choices"][0]["message"][
        "content"
    ]
    assert content.startswith(" fox jumps over the lazy dog.")


def test_a_continuation_that_sounds_like_the_beginning_is_kept(server: Server, ollama: FakeOllama) -> None:
    ollama.script("/api/chat", stream(line("ha"), line("ha"), last()))
    messages = [{"role": "user", "content": "Laugh."}, {"role": "assistant", "content": "ha"}]
    assert chat(server, messages=messages).body["choices"][0]["message"]["content"] == "haha"


# --- who answered


def test_the_tier_is_always_the_default_one(server: Server) -> None:
    assert chat(server, service_tier="flex").body["service_tier"] == "default"


def test_the_fingerprint_is_that_of_the_model_and_stays(client: openai.OpenAI) -> None:
    def fingerprint(model: str) -> str | None:
        return client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hi"}]
        ).system_fingerprint

    client.models.list()  # from here on the digests are known
    practice = fingerprint("practice")
    assert practice is not None
    assert practice.startswith("fp_")
    assert fingerprint("practice:latest") == practice
    assert fingerprint("practice-think") != practice


# --- bodies of the Responses API, which some clients post here


@pytest.mark.parametrize("streaming", [False, True])
def test_a_body_of_the_responses_api_is_answered_as_chat(
    server: Server, ollama: FakeOllama, streaming: bool
) -> None:
    body = {
        "model": "practice",
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "call get_weather for Berlin"}]}
        ],
        "tools": [
            {
                "type": "function",
                "name": "get_weather",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}},
                    "required": ["city"],
                },
            }
        ],
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 100,
        "stream": streaming,
        "stream_options": {"include_usage": True},
    }
    answer = post(server, "/chat/completions", body)
    assert answer.status == 200, answer.raw
    if streaming:
        calls = [delta["tool_calls"][0] for delta in deltas(answer.events) if "tool_calls" in delta]
        assert answer.events[-2]["usage"]["total_tokens"] > 0
    else:
        assert answer.body["object"] == "chat.completion"
        calls = answer.body["choices"][0]["message"]["tool_calls"]
    assert calls[0]["function"]["name"] == "get_weather"
    asked = sent(ollama)
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert asked["options"]["num_predict"] == 100
