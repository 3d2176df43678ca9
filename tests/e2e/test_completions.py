"""Text completions: prompts, what stands between two texts, echoes, log probabilities, streams."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from tests.e2e.wire import DONE, Answer, post
from tests.ollama import FakeOllama, error, stream
from tests.server import Server


def complete(server: Server, prompt: Any = "Once upon a time", /, **fields: Any) -> Answer:
    return post(server, "/completions", {"model": "practice", "prompt": prompt, **fields})


def sent(ollama: FakeOllama) -> dict[str, Any]:
    body: dict[str, Any] = ollama.asked("/api/generate")[-1].body
    return body


def test_a_prompt_is_completed(server: Server) -> None:
    body = complete(server, max_tokens=100).body
    assert body.keys() == {"id", "object", "created", "model", "choices", "usage", "system_fingerprint"}
    assert body["id"].startswith("cmpl-")
    assert body["object"] == "text_completion"
    (choice,) = body["choices"]
    assert choice.keys() == {"text", "index", "logprobs", "finish_reason"}
    assert choice["text"].startswith(" and so on")
    assert (choice["index"], choice["logprobs"], choice["finish_reason"]) == (0, None, "stop")
    assert (
        body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]
    )


def test_the_prompt_goes_to_the_model_as_it_is(server: Server, ollama: FakeOllama) -> None:
    complete(server, "The {{ .Prompt }} is <|user|>\n")
    assert (sent(ollama)["raw"], sent(ollama)["prompt"]) == (True, "The {{ .Prompt }} is <|user|>\n")


def test_sixteen_tokens_are_the_default(server: Server) -> None:
    body = complete(server).body
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 16


def test_a_limit_and_stop_strings_are_obeyed(server: Server) -> None:
    body = complete(server, max_tokens=3).body
    assert (body["choices"][0]["finish_reason"], body["usage"]["completion_tokens"]) == ("length", 3)
    stopped = complete(server, max_tokens=100, stop=["on"]).body["choices"][0]
    assert (stopped["text"], stopped["finish_reason"]) == (" and so ", "stop")


def test_the_sdk_completes_whole_and_as_a_stream(client: openai.OpenAI) -> None:
    whole = client.completions.create(model="practice", prompt="Once", max_tokens=30)
    pieces = list(client.completions.create(model="practice", prompt="Once", max_tokens=30, stream=True))
    assert "".join(piece.choices[0].text for piece in pieces) == whole.choices[0].text
    assert pieces[-1].choices[0].finish_reason == whole.choices[0].finish_reason


# --- several prompts and answers


def test_answers_are_numbered_prompt_by_prompt(server: Server, ollama: FakeOllama) -> None:
    prompts = ["one", "two", "three"]
    before = len(ollama.asked("/api/generate"))
    body = complete(server, prompts, n=2, seed=1, echo=True, max_tokens=20).body
    assert [choice["index"] for choice in body["choices"]] == list(range(6))
    for choice in body["choices"]:
        assert choice["text"].startswith(prompts[choice["index"] // 2])
    assert len(ollama.asked("/api/generate")) == before + 6


def test_each_prompt_is_counted_once(server: Server) -> None:
    alone = [complete(server, prompt).body["usage"]["prompt_tokens"] for prompt in ("one", "two and three")]
    body = complete(server, ["one", "two and three"], n=2).body
    assert body["usage"]["prompt_tokens"] == sum(alone)
    assert body["usage"]["completion_tokens"] == 4 * 16


def test_several_prompts_stream_under_their_numbers(server: Server) -> None:
    *chunks, end = complete(server, ["one", "two"], echo=True, stream=True).events
    assert end == DONE
    texts = ["", ""]
    for chunk in chunks:
        (choice,) = chunk["choices"]
        texts[choice["index"]] += choice["text"]
    assert texts[0].startswith("one")
    assert texts[1].startswith("two")


def test_the_best_of_several_is_given(server: Server, ollama: FakeOllama) -> None:
    def answer(text: str, logprob: float) -> Any:
        entry = {"token": text, "logprob": logprob, "bytes": list(text.encode())}
        return stream(
            {"model": "practice", "response": text, "done": False, "logprobs": [entry]},
            {"model": "practice", "response": "", "done": True, "done_reason": "stop", "eval_count": 1},
        )

    ollama.script("/api/generate", answer("poor", -3.0), answer("good", -0.1), answer("fair", -1.0))
    body = complete(server, best_of=3, n=2).body
    assert [(choice["index"], choice["text"]) for choice in body["choices"]] == [(0, "good"), (1, "fair")]
    assert all(choice["logprobs"] is None for choice in body["choices"])
    assert body["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1, 2], [3]]])
def test_token_numbers_are_refused_with_a_remedy(server: Server, prompt: Any) -> None:
    answer = complete(server, prompt)
    assert (answer.status, answer.error["param"]) == (400, "prompt")
    assert "text" in answer.error["message"]


@pytest.mark.parametrize("prompt", ["", [], [""], ["a", ""]])
def test_nothing_cannot_be_completed(server: Server, prompt: Any) -> None:
    answer = complete(server, prompt)
    assert (answer.status, answer.error["param"]) == (400, "prompt")


# --- between two texts


@pytest.mark.parametrize("streaming", [False, True])
def test_a_suffix_asks_for_what_stands_between(server: Server, ollama: FakeOllama, streaming: bool) -> None:
    answer = complete(server, "def add(a, b):\n    ", suffix="\n\nprint(add(1, 2))", stream=streaming)
    if streaming:
        text = "".join(choice["text"] for chunk in answer.events[:-1] for choice in chunk["choices"])
    else:
        text = answer.body["choices"][0]["text"]
    assert text == " the practice model fills this in "
    assert sent(ollama)["suffix"] == "\n\nprint(add(1, 2))"
    assert "raw" not in sent(ollama)


def test_a_model_that_cannot_insert_says_so(server: Server) -> None:
    answer = post(server, "/completions", {"model": "practice-vision", "prompt": "a", "suffix": "b"})
    assert (answer.status, answer.error["param"]) == (400, "suffix")


# --- echo


def test_an_echo_puts_the_prompt_in_front(server: Server) -> None:
    plain = complete(server).body["choices"][0]["text"]
    assert complete(server, echo=True).body["choices"][0]["text"] == "Once upon a time" + plain
    chunks = complete(server, echo=True, stream=True).events[:-1]
    assert (
        "".join(choice["text"] for chunk in chunks for choice in chunk["choices"])
        == "Once upon a time" + plain
    )


def test_an_echo_of_nothing_more_is_just_the_prompt(server: Server) -> None:
    body = complete(server, echo=True, max_tokens=0).body
    assert body["choices"][0]["text"] == "Once upon a time"
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 0


# --- log probabilities


def test_log_probabilities_come_as_four_lists(server: Server) -> None:
    choice = complete(server, logprobs=3, max_tokens=6).body["choices"][0]
    logprobs = choice["logprobs"]
    assert logprobs.keys() == {"tokens", "token_logprobs", "top_logprobs", "text_offset"}
    assert "".join(logprobs["tokens"]) == choice["text"]
    assert len({len(values) for values in logprobs.values()}) == 1
    assert all(number <= 0 for number in logprobs["token_logprobs"])
    for token, number, top, offset in zip(
        logprobs["tokens"],
        logprobs["token_logprobs"],
        logprobs["top_logprobs"],
        logprobs["text_offset"],
        strict=True,
    ):
        assert top[token] == number
        assert len(top) <= 4
        assert choice["text"][offset:].startswith(token)


def test_log_probabilities_without_alternatives(server: Server) -> None:
    logprobs = complete(server, logprobs=0).body["choices"][0]["logprobs"]
    assert logprobs["top_logprobs"] is None
    assert logprobs["tokens"]


def test_the_offsets_of_a_stream_go_on(server: Server) -> None:
    chunks = complete(server, logprobs=1, max_tokens=6, stream=True).events[:-1]
    lists = [choice["logprobs"] for chunk in chunks for choice in chunk["choices"] if choice["logprobs"]]
    tokens = [token for one in lists for token in one["tokens"]]
    offsets = [offset for one in lists for offset in one["text_offset"]]
    assert offsets == [len("".join(tokens[:at])) for at in range(len(tokens))]


def test_too_many_alternatives_are_refused(server: Server) -> None:
    answer = complete(server, logprobs=6)
    assert answer.status == 400
    assert (answer.error["code"], answer.error["param"]) == ("integer_above_max_value", "logprobs")


def test_a_prompt_cannot_be_scored(server: Server) -> None:
    answer = complete(server, echo=True, logprobs=1, max_tokens=0)
    assert (answer.status, answer.error["param"]) == (400, "logprobs")


# --- streams


def test_chunks_have_the_shape_of_completions(server: Server) -> None:
    *chunks, end = complete(server, stream=True).events
    assert end == DONE
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    for chunk in chunks:
        assert chunk["object"] == "text_completion"
        assert chunk["id"].startswith("cmpl-")
        assert "usage" not in chunk
        (choice,) = chunk["choices"]
        assert choice.keys() == {"text", "index", "logprobs", "finish_reason"}
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None] * (len(reasons) - 1) + ["length"]


def test_usage_streams_last_when_it_is_asked_for(server: Server) -> None:
    *chunks, usage, end = complete(server, stream=True, stream_options={"include_usage": True}).events
    assert end == DONE
    assert all(chunk["usage"] is None for chunk in chunks)
    assert usage["choices"] == []
    assert usage["usage"] == complete(server).body["usage"]


def test_a_stream_that_fails_late_ends_with_an_error(server: Server, ollama: FakeOllama) -> None:
    ollama.script("/api/generate", stream({"response": "half", "done": False}, {"error": "it broke"}))
    events = complete(server, stream=True).events
    assert events[0]["choices"][0]["text"] == "half"
    assert events[-1]["error"]["code"] == "upstream_error"
    ollama.script("/api/generate", error(500, "it broke"))
    assert complete(server, stream=True).status == 502


def test_one_failure_among_several_prompts_fails_all(server: Server, ollama: FakeOllama) -> None:
    ollama.script("/api/generate", error(500, "it broke"))
    answer = complete(server, ["one", "two", "three"])
    assert (answer.status, answer.error["code"]) == (502, "upstream_error")


# --- forms, seeds, tokens


@pytest.mark.parametrize("streaming", [False, True])
def test_an_answer_has_its_form(server: Server, ollama: FakeOllama, streaming: bool) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    form = {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": schema}}
    ollama.script("/api/generate", stream({"response": '{"b": 1}'}, {"done": True, "done_reason": "stop"}))
    answer = complete(server, response_format=form, max_tokens=50, stream=streaming)
    if streaming:
        assert answer.events[-1]["error"]["code"] == "response_format_violation"
        return
    # The second try is the practice model's own.
    assert isinstance(json.loads(answer.body["choices"][0]["text"])["a"], int)
    assert ollama.asked("/api/generate")[-1].body["format"] == schema


@pytest.mark.parametrize("streaming", [False, True])
def test_one_of_several_texts_is_given_bare(server: Server, streaming: bool) -> None:
    answer = complete(server, guided_choice=["yes", "no"], max_tokens=50, stream=streaming)
    body = answer.events[:-1] if streaming else [answer.body]
    assert "".join(choice["text"] for one in body for choice in one["choices"]) in ("yes", "no")


def test_a_seeded_request_for_several_answers_repeats(client: openai.OpenAI) -> None:
    asked: Any = {"model": "practice", "prompt": ["Once", "Twice"], "n": 2, "seed": 11, "max_tokens": 30}
    first, second = (client.completions.create(**asked) for _ in range(2))
    texts = [choice.text for choice in first.choices]
    assert [choice.index for choice in first.choices] == [0, 1, 2, 3]
    assert texts == [choice.text for choice in second.choices]
    assert texts[0] != texts[1]


def test_prompts_of_tokens_are_read_where_the_operator_has_a_vocabulary(
    obliging: Server, ollama: FakeOllama
) -> None:
    with openai.OpenAI(base_url=f"{obliging.url}/v1", api_key="x", max_retries=0) as client:
        answer = client.completions.create(model="practice", prompt=[[1, 2], [5]], echo=True, max_tokens=1)
        assert [choice.text[:5] for choice in answer.choices] == ["hello", " w and"[:5]]
        embedded = client.embeddings.create(model="practice-embed", input=[[1, 2, 0], [5]])
        texts = client.embeddings.create(model="practice-embed", input=["hello!", " w"])
    assert [item.embedding for item in embedded.data] == [item.embedding for item in texts.data]
