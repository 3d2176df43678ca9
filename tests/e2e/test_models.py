"""The list of models, single models by all their names, and names that mean another model."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.e2e.wire import ask, chat, post
from tests.ollama import FakeOllama, error, whole
from tests.server import Server

TAG = {
    "model": "x",
    "modified_at": "2026-11-01T12:00:00Z",
    "size": 4_000_000_000,
    "digest": "f" * 64,
    "details": {"family": "llama", "quantization_level": "Q4_K_M"},
}


def listed(*names: str) -> dict[str, Any]:
    """Return what Ollama says when it has these models."""
    return {"models": [{**TAG, "name": name} for name in names]}


def test_the_list_has_what_openai_promises_of_each_model(client: openai.OpenAI) -> None:
    models = list(client.models.list())
    assert {model.id for model in models} >= {"practice:latest", "practice-embed:latest"}
    for model in models:
        assert model.object == "model"
        assert isinstance(model.created, int)
        assert model.created > 1_500_000_000
        assert isinstance(model.owned_by, str)


def test_the_list_tells_more_than_openai_does(server: Server) -> None:
    body = ask(server, "GET", "/v1/models").body
    assert body.keys() == {"object", "data"}
    assert body["object"] == "list"
    model = next(model for model in body["data"] if model["id"] == "practice-vision:latest")
    assert model["context_length"] == 32768
    assert model["capabilities"] == ["completion", "vision"]
    assert (model["family"], model["quantization"], model["size"]) == ("practice", "F16", 1_000_000)
    assert isinstance(model["loaded"], bool)


@pytest.mark.parametrize(
    "name", ["practice", "practice:latest", "Practice", "ollama/practice", "practice%3Alatest"]
)
def test_a_model_is_found_with_and_without_latest(server: Server, name: str) -> None:
    answer = ask(server, "GET", f"/v1/models/{name}")
    assert (answer.status, answer.body["id"]) == (200, "practice:latest")


@pytest.mark.parametrize(
    ("listed_as", "asked_for"),
    [
        ("hf.co/somebody/Some-GGUF:Q4_K_M", "hf.co%2Fsomebody%2FSome-GGUF:Q4_K_M"),
        ("hf.co/somebody/Some-GGUF:Q4_K_M", "hf.co/somebody/Some-GGUF:Q4_K_M"),
        ("hf.co/somebody/Some-GGUF:latest", "hf.co/somebody/Some-GGUF"),
        ("qwen3:8b", "qwen3:8b"),
        ("somebody/model:latest", "somebody%2Fmodel"),
    ],
)
def test_a_name_with_slashes_and_tags_is_found_encoded_or_not(
    server: Server, ollama: FakeOllama, listed_as: str, asked_for: str
) -> None:
    ollama.script("/api/tags", whole(listed("other:1b", listed_as)))
    answer = ask(server, "GET", f"/v1/models/{asked_for}")
    assert (answer.status, answer.body["id"]) == (200, listed_as)


def test_the_sdk_retrieves_a_name_with_slashes(client: openai.OpenAI, ollama: FakeOllama) -> None:
    ollama.script("/api/tags", whole(listed("hf.co/somebody/Some-GGUF:Q4_K_M")))
    model = client.models.retrieve("hf.co/somebody/Some-GGUF:Q4_K_M")
    assert (model.id, model.owned_by) == ("hf.co/somebody/Some-GGUF:Q4_K_M", "somebody")


def test_two_tags_of_one_model_are_two_models(server: Server, ollama: FakeOllama) -> None:
    ollama.script("/api/tags", whole(listed("qwen3:8b", "qwen3:4b")))
    assert ask(server, "GET", "/v1/models/qwen3").status == 404


@pytest.mark.parametrize("name", ["gone", "practice:7b", "a/b/c/d", "..", "%20"])
def test_an_unknown_model_is_not_found(server: Server, name: str) -> None:
    answer = ask(server, "GET", f"/v1/models/{name}")
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/chat/completions", {"messages": [{"role": "user", "content": "x"}]}),
        ("/chat/completions", {"messages": [{"role": "user", "content": "x"}], "stream": True}),
        ("/completions", {"prompt": "x"}),
        ("/completions", {"prompt": "x", "stream": True}),
        ("/embeddings", {"input": "x"}),
    ],
)
def test_asking_an_unknown_model_names_it_in_backticks(
    server: Server, path: str, body: dict[str, Any]
) -> None:
    answer = post(server, path, {"model": "gone:7b", **body})
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert answer.error["message"] == "The model `gone:7b` does not exist or you do not have access to it."


def test_models_are_not_deleted_here(server: Server, client: openai.OpenAI, ollama: FakeOllama) -> None:
    answer = ask(server, "DELETE", "/v1/models/hf.co/somebody/model:latest")
    assert answer.status == 403
    assert "ollama rm" in answer.error["message"]
    with pytest.raises(openai.PermissionDeniedError):
        client.models.delete("practice")
    assert ollama.asked("/api/delete") == []


def test_the_list_is_right_though_facts_are_missing(server: Server, ollama: FakeOllama) -> None:
    entry = {**TAG, "name": "odd:1b", "digest": "0dd" + "0" * 61, "modified_at": "yesterday", "details": None}
    ollama.script("/api/tags", whole({"models": [entry]}))
    ollama.script("/api/ps", error(500, "no"))
    (model,) = ask(server, "GET", "/v1/models").body["data"]
    assert (model["id"], model["object"], model["created"]) == ("odd:1b", "model", 0)
    assert model["capabilities"] is None


def test_a_server_without_models_has_an_empty_list(server: Server, ollama: FakeOllama) -> None:
    ollama.script("/api/tags", whole({"models": None}))
    assert ask(server, "GET", "/v1/models").body == {"object": "list", "data": []}


# --- aliases


@pytest.mark.parametrize("stream", [False, True])
def test_an_alias_leads_to_its_model_and_the_answer_carries_the_alias(
    tuned: Server, ollama: FakeOllama, stream: bool
) -> None:
    answer = chat(tuned, model="gpt-4o", stream=stream)
    said = answer.events[0] if stream else answer.body
    assert said["model"] == "gpt-4o"
    assert ollama.asked("/api/chat")[-1].body["model"] == "practice"


def test_an_alias_carries_defaults_that_a_request_may_change(tuned: Server, ollama: FakeOllama) -> None:
    message = chat(tuned, model="gpt-thinking").body["choices"][0]["message"]
    assert "reasoning" not in message
    asked = ollama.asked("/api/chat")[-1].body
    assert (asked["think"], asked["options"]) == (False, {"seed": 7})
    assert (
        "reasoning" in chat(tuned, model="gpt-thinking", reasoning_effort="low").body["choices"][0]["message"]
    )


def test_aliases_are_listed_where_their_model_exists(tuned: Server) -> None:
    ids = [model["id"] for model in ask(tuned, "GET", "/v1/models").body["data"]]
    assert "gpt-4o" in ids
    assert "gpt-gone" not in ids
    assert ask(tuned, "GET", "/v1/models/gpt-4o").body["id"] == "gpt-4o"


def test_an_alias_of_a_model_that_is_gone_is_not_found_under_its_own_name(tuned: Server) -> None:
    answer = chat(tuned, model="gpt-gone")
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert "`gpt-gone`" in answer.error["message"]


def test_a_default_model_answers_where_none_is_named(tuned: Server) -> None:
    answer = post(tuned, "/chat/completions", {"messages": [{"role": "user", "content": "say: hi"}]})
    assert (answer.status, answer.body["model"]) == (200, "practice")


@pytest.mark.parametrize("name", ["ollama/practice", "openai/practice", "practice:latest"])
def test_a_name_with_a_clients_prefix_is_understood(server: Server, ollama: FakeOllama, name: str) -> None:
    answer = chat(server, model=name)
    assert answer.body["model"] == name
    assert ollama.asked("/api/chat")[-1].body["model"].removesuffix(":latest") == "practice"
