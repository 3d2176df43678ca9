"""Embeddings: vectors in both encodings, their order, their length, and inputs that cannot be embedded."""

from __future__ import annotations

import asyncio
import base64
import math
import struct
from typing import Any

import openai
import pytest

from tests.e2e.wire import Answer, post
from tests.ollama import FakeOllama, whole
from tests.server import Server

TEXTS = ["a red fox", "a green owl", "a blue whale"]


def embed(server: Server, given: Any = "a red fox", /, **fields: Any) -> Answer:
    return post(server, "/embeddings", {"model": "practice-embed", "input": given, **fields})


def unpacked(text: str) -> list[float]:
    raw = base64.b64decode(text, validate=True)
    return list(struct.unpack(f"<{len(raw) // 4}f", raw))


def test_one_text_has_one_vector(server: Server) -> None:
    body = embed(server).body
    assert body.keys() == {"object", "data", "model", "usage"}
    assert (body["object"], body["model"]) == ("list", "practice-embed")
    (entry,) = body["data"]
    assert (entry["object"], entry["index"], len(entry["embedding"])) == ("embedding", 0, 384)
    assert all(isinstance(number, float) for number in entry["embedding"])
    assert body["usage"]["prompt_tokens"] == body["usage"]["total_tokens"] > 0


def test_several_texts_keep_their_order(server: Server) -> None:
    together = embed(server, TEXTS).body["data"]
    assert [entry["index"] for entry in together] == [0, 1, 2]
    alone = [embed(server, [text]).body["data"][0]["embedding"] for text in TEXTS]
    assert [entry["embedding"] for entry in together] == alone


# --- encodings


def test_base64_is_the_same_vector_in_little_endian_floats(server: Server) -> None:
    floats = embed(server, TEXTS, encoding_format="float").body["data"]
    packed = embed(server, TEXTS, encoding_format="base64").body["data"]
    for one, other in zip(floats, packed, strict=True):
        assert isinstance(other["embedding"], str)
        vector = unpacked(other["embedding"])
        assert len(vector) == 384
        assert vector == pytest.approx(one["embedding"], rel=1e-6)


def test_the_sdk_gets_the_vector_by_its_default_and_as_floats(
    client: openai.OpenAI, ollama: FakeOllama
) -> None:
    default = client.embeddings.create(model="practice-embed", input="a red fox")
    floats = client.embeddings.create(model="practice-embed", input="a red fox", encoding_format="float")
    assert len(default.data[0].embedding) == 384
    assert default.data[0].embedding == pytest.approx(floats.data[0].embedding, rel=1e-6)
    assert default.usage.total_tokens == default.usage.prompt_tokens


def test_those_who_await_get_the_same(server: Server) -> None:
    async def ask() -> list[float]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as client:
            made = await client.embeddings.create(model="practice-embed", input=TEXTS)
            return made.data[2].embedding

    vector = embed(server, TEXTS[2]).body["data"][0]["embedding"]
    assert asyncio.run(ask()) == pytest.approx(vector, rel=1e-6)


def test_an_unknown_encoding_is_refused(server: Server) -> None:
    answer = embed(server, encoding_format="int8")
    assert (answer.status, answer.error["param"]) == (400, "encoding_format")


# --- dimensions


@pytest.mark.parametrize("dimensions", [1, 64, 384])
def test_a_shorter_vector_has_length_one_again(server: Server, dimensions: int) -> None:
    full = embed(server).body["data"][0]["embedding"]
    short = embed(server, dimensions=dimensions).body["data"][0]["embedding"]
    assert len(short) == dimensions
    assert math.hypot(*short) == pytest.approx(1, rel=1e-5)
    factor = math.hypot(*full[:dimensions])
    assert short == pytest.approx([number / factor for number in full[:dimensions]], rel=1e-4)


def test_an_ollama_that_knows_no_dimensions_gives_the_full_vector_which_is_shortened(
    server: Server, ollama: FakeOllama
) -> None:
    ollama.script("/api/embed", whole({"embeddings": [[3.0, 4.0, 12.0]], "prompt_eval_count": 2}))
    assert embed(server, dimensions=2).body["data"][0]["embedding"] == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize(
    ("dimensions", "code"),
    [(385, "integer_above_max_value"), (0, "integer_below_min_value"), ("x", "invalid_type")],
)
def test_dimensions_that_the_model_has_not_are_refused(server: Server, dimensions: Any, code: str) -> None:
    answer = embed(server, dimensions=dimensions)
    assert answer.status == 400
    assert (answer.error["code"], answer.error["param"]) == (code, "dimensions")


# --- inputs


@pytest.mark.parametrize(
    ("given", "param"), [("", "input"), ([], "input"), ([""], "input[0]"), (["a", "", "b"], "input[1]")]
)
def test_nothing_cannot_be_embedded(server: Server, ollama: FakeOllama, given: Any, param: str) -> None:
    before = len(ollama.requests)
    answer = embed(server, given)
    assert (answer.status, answer.error["param"]) == (400, param)
    assert len(ollama.requests) == before


@pytest.mark.parametrize("given", [[1, 2, 3], [[1, 2], [3]]])
def test_token_numbers_are_refused_with_the_remedy(server: Server, given: Any) -> None:
    answer = embed(server, given)
    assert (answer.status, answer.error["param"]) == (400, "input")
    assert "check_embedding_ctx_length=False" in answer.error["message"]


@pytest.mark.parametrize("given", [{"a": 1}, 7, [None], [["a"]], [True]])
def test_what_is_no_text_is_refused(server: Server, given: Any) -> None:
    answer = embed(server, given)
    assert answer.status == 400
    assert answer.error["param"].startswith("input")


def test_2049_inputs_are_too_many(server: Server) -> None:
    answer = embed(server, ["x"] * 2049)
    assert answer.status == 400
    assert (answer.error["code"], answer.error["param"]) == ("array_above_max_length", "input")


def test_2048_inputs_go_to_ollama_in_batches_and_keep_their_order(server: Server, ollama: FakeOllama) -> None:
    sizes = [512, 512, 512, 512]
    numbers = iter(range(2048))
    answers = [
        whole({"embeddings": [[float(next(numbers))] for _ in range(size)], "prompt_eval_count": size})
        for size in sizes
    ]
    before = len(ollama.asked("/api/embed"))
    ollama.script("/api/embed", *answers)
    body = embed(server, [f"text {number}" for number in range(2048)]).body
    assert [entry["embedding"] for entry in body["data"]] == [[float(number)] for number in range(2048)]
    assert [entry["index"] for entry in body["data"]] == list(range(2048))
    assert body["usage"]["prompt_tokens"] == 2048
    asked = ollama.asked("/api/embed")[before:]
    assert [len(seen.body["input"]) for seen in asked] == sizes
    assert asked[3].body["input"][-1] == "text 2047"


def test_too_long_an_input_is_refused_and_cut_only_on_request(server: Server, ollama: FakeOllama) -> None:
    long = "word " * 3000
    answer = embed(server, ["short", long])
    assert (answer.status, answer.error["code"]) == (400, "context_length_exceeded")
    assert "input[1]" in answer.error["message"]
    assert "2048 tokens" in answer.error["message"]
    assert embed(server, long, truncate=True).status == 200


@pytest.mark.parametrize(
    "reply",
    [
        {"embeddings": []},
        {"embeddings": [[0.1], [0.2]]},
        {"embeddings": [["a"]]},
        {"embedding": [0.1]},
        {},
    ],
)
def test_what_is_no_vector_is_an_error_of_the_server(server: Server, ollama: FakeOllama, reply: Any) -> None:
    ollama.script("/api/embed", whole(reply))
    answer = embed(server)
    assert (answer.status, answer.error["code"]) == (502, "upstream_invalid_response")
