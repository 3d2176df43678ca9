"""The official client, used in all its ways: what it accumulates is what was sent."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.e2e.wire import chat, last, line
from tests.ollama import FakeOllama, stream
from tests.server import Server

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SAY: list[Any] = [{"role": "user", "content": "say: hello over there"}]
CALL: list[Any] = [{"role": "user", "content": "call get_weather for Berlin"}]


def accumulated(client: openai.OpenAI, **fields: Any) -> tuple[ChatCompletion, list[ChatCompletionChunk]]:
    """Return what the SDK makes of a stream, and its raw chunks."""
    chunks = []
    with client.chat.completions.stream(**{"model": "practice", "messages": SAY, **fields}) as running:
        for event in running:
            if event.type == "chunk":
                chunks.append(event.chunk)
        return running.get_final_completion(), chunks


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="text"),
        pytest.param({"model": "practice-think"}, id="thinking"),
        pytest.param({"messages": CALL, "tools": [TOOL]}, id="a call"),
        pytest.param({"n": 2}, id="two choices"),
        pytest.param({"logprobs": True, "top_logprobs": 1}, id="log probabilities"),
        pytest.param({"stream_options": {"include_usage": True}}, id="usage"),
    ],
)
def test_what_the_sdk_accumulates_is_what_was_sent(client: openai.OpenAI, fields: dict[str, Any]) -> None:
    final, chunks = accumulated(client, **fields)
    for choice in final.choices:
        mine = [one for chunk in chunks for one in chunk.choices if one.index == choice.index]
        assert choice.message.role == "assistant"
        assert (choice.message.content or "") == "".join(one.delta.content or "" for one in mine)
        assert choice.finish_reason == mine[-1].finish_reason
        pieces = [part for one in mine for part in one.delta.tool_calls or ()]
        calls = choice.message.tool_calls or []
        assert len(calls) == len({part.index for part in pieces})
        for call in calls:
            assert call.type == "function"
            assert call.function.name == "get_weather"
            assert json.loads(call.function.arguments) == {"city": "Berlin"}
            assert call.id == next(part.id for part in pieces if part.id)
        extra = choice.message.model_extra or {}
        reasoning = "".join((one.delta.model_extra or {}).get("reasoning", "") for one in mine)
        assert extra.get("reasoning", "") == extra.get("reasoning_content", "") == reasoning
    assert (final.usage is not None) == ("stream_options" in fields)


def test_a_stream_and_a_whole_answer_are_the_same_completion(client: openai.OpenAI) -> None:
    final, _ = accumulated(client, messages=CALL, tools=[TOOL], stream_options={"include_usage": True})
    whole = client.chat.completions.create(model="practice", messages=CALL, tools=[TOOL])
    one, other = (made.model_dump(exclude={"id", "created", "object"}) for made in (final, whole))
    for made in (one, other):
        for call in made["choices"][0]["message"]["tool_calls"]:
            del call["id"]
            call.pop("index", None)
            call["function"].pop("parsed_arguments", None)
        made["choices"][0]["message"].pop("parsed", None)
    assert one == other


def test_headers_are_seen_through_raw_and_streaming_responses(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="practice", messages=SAY, extra_body={"best_practice": 1}
    )
    assert raw.headers["x-o2o-ignored"] == "best_practice"
    assert raw.parse().choices[0].message.content == "hello over there"
    with client.chat.completions.with_streaming_response.create(
        model="practice", messages=SAY, stream=True
    ) as response:
        assert response.headers["x-request-id"].startswith("req_")
        assert sum(line == "data: [DONE]" for line in response.iter_lines()) == 1


def test_the_window_that_was_asked_for_is_told_in_a_header(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="practice-vision", messages=SAY, extra_headers={"x-o2o-num-ctx": "8192"}
    )
    assert raw.headers["x-o2o-num-ctx"] == "8192"


def test_many_await_at_once(server: Server) -> None:
    async def one(client: openai.AsyncOpenAI, number: int) -> str:
        pieces = await client.chat.completions.create(
            model="practice", messages=[{"role": "user", "content": f"say: answer {number}"}], stream=True
        )
        return "".join([piece.choices[0].delta.content or "" async for piece in pieces])

    async def all_of_them() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as client:
            return await asyncio.gather(*[one(client, number) for number in range(20)])

    assert asyncio.run(all_of_them()) == [f"answer {number}" for number in range(20)]


def test_leaving_a_stream_early_leaves_the_client_usable(client: openai.OpenAI, ollama: FakeOllama) -> None:
    ollama.script("/api/chat", stream(line("a"), 20.0, last()))
    running = client.chat.completions.create(model="practice", messages=SAY, stream=True)
    next(iter(running))
    running.close()
    generation = ollama.asked("/api/chat")[-1].connection
    ollama.await_that(lambda: generation.left is not None, "the end of the generation")
    assert client.chat.completions.create(model="practice", messages=SAY).choices


def test_one_connection_serves_many_requests(server: Server) -> None:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as client:
        for _ in range(3):
            list(client.chat.completions.create(model="practice", messages=SAY, stream=True))
            with pytest.raises(openai.BadRequestError):
                client.chat.completions.create(model="practice", messages=SAY, temperature=9)
            assert client.embeddings.create(model="practice-embed", input="x").data


@pytest.mark.parametrize(
    ("fields", "raised"),
    [
        ({"temperature": 9}, openai.BadRequestError),
        ({"model": "gone"}, openai.NotFoundError),
        ({"extra_headers": {"Origin": "https://evil.example"}}, openai.PermissionDeniedError),
        ({"extra_headers": {"Content-Encoding": "gzip"}}, openai.APIStatusError),
    ],
)
def test_refusals_are_the_exceptions_that_callers_catch(
    client: openai.OpenAI, fields: dict[str, Any], raised: type[openai.APIStatusError]
) -> None:
    with pytest.raises(raised) as caught:
        client.chat.completions.create(**{"model": "practice", "messages": SAY, **fields})
    assert caught.value.message.startswith(f"Error code: {caught.value.status_code} - ")
    assert caught.value.request_id is not None
    assert isinstance(caught.value.body, dict)
    assert caught.value.body.keys() == {"message", "type", "param", "code"}


def test_nothing_in_a_completion_is_infinite_or_missing(server: Server) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    raw = chat(server, model="practice-think", logprobs=True, top_logprobs=2).raw
    json.loads(raw, parse_constant=refuse)
    ChatCompletion.model_validate_json(raw, strict=True)
