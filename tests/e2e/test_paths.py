"""The same endpoints where other clients look for them, and endpoints that are not here."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from tests.e2e.wire import DONE, ask
from tests.ollama import FakeOllama
from tests.server import Server

PREFIXES = ["", "/v1", "/openai/v1", "/openai", "/api/v1", "/v1/v1"]
CHAT = {"model": "practice", "messages": [{"role": "user", "content": "say: hi"}]}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/chat/completions", CHAT),
        ("POST", "/completions", {"model": "practice", "prompt": "x"}),
        ("POST", "/embeddings", {"model": "practice-embed", "input": "x"}),
        ("GET", "/models", None),
        ("GET", "/models/practice", None),
    ],
)
def test_every_endpoint_is_found_under_every_prefix_without_a_redirect(
    server: Server, prefix: str, slash: str, method: str, path: str, body: object
) -> None:
    assert ask(server, method, prefix + path + slash, body).status == 200


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_sdk_works_with_any_of_them_as_its_base(server: Server, prefix: str) -> None:
    with openai.OpenAI(base_url=f"{server.url}{prefix}/", api_key="x", max_retries=0) as client:
        pieces = client.chat.completions.create(
            model="practice", messages=[{"role": "user", "content": "say: hi"}], stream=True
        )
        assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == "hi"
        assert client.models.retrieve("practice").id == "practice:latest"


def test_a_path_with_a_query_is_the_same_path(server: Server) -> None:
    assert ask(server, "POST", "/v1/chat/completions?api-version=2024-10-21&beta=true", CHAT).status == 200


# --- Azure's


@pytest.fixture
def azure(server: Server) -> Iterator[openai.AzureOpenAI]:
    with openai.AzureOpenAI(
        azure_endpoint=server.url, api_version="2024-10-21", api_key="any", max_retries=0
    ) as client:
        yield client


def test_azures_client_chats_with_a_deployment(azure: openai.AzureOpenAI, ollama: FakeOllama) -> None:
    completion = azure.chat.completions.create(
        model="practice", messages=[{"role": "user", "content": "say: hi"}]
    )
    assert (completion.choices[0].message.content, completion.model) == ("hi", "practice")
    pieces = azure.chat.completions.create(
        model="practice", messages=[{"role": "user", "content": "say: hi there"}], stream=True
    )
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == "hi there"


def test_azures_client_completes_and_embeds(azure: openai.AzureOpenAI) -> None:
    assert azure.completions.create(model="practice", prompt="x").choices[0].text
    assert len(azure.embeddings.create(model="practice-embed", input="x").data[0].embedding) == 384


def test_azures_client_is_told_of_an_unknown_deployment(azure: openai.AzureOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        azure.chat.completions.create(model="gone", messages=[{"role": "user", "content": "x"}])
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("deployment", "model"), [("practice", "practice"), ("practice%3Alatest", "practice:latest")]
)
def test_the_deployment_is_the_model_where_the_body_names_none(
    server: Server, ollama: FakeOllama, deployment: str, model: str
) -> None:
    path = f"/openai/deployments/{deployment}/chat/completions?api-version=2024-10-21"
    answer = ask(server, "POST", path, {"messages": CHAT["messages"]}, {"api-key": "any"})
    assert (answer.status, answer.body["model"]) == (200, model)
    assert ollama.asked("/api/chat")[-1].body["model"] == model


def test_a_deployment_may_be_a_name_with_slashes(server: Server) -> None:
    path = "/openai/deployments/hf.co%2Fsomebody%2Fgone:Q4/embeddings?api-version=2024-10-21"
    answer = ask(server, "POST", path, {"input": "x"})
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert "`hf.co/somebody/gone:Q4`" in answer.error["message"]


def test_the_body_beats_the_deployment(server: Server) -> None:
    path = "/openai/deployments/gone/chat/completions?api-version=2024-10-21"
    assert ask(server, "POST", path, CHAT).body["model"] == "practice"


def test_azures_newer_client_uses_the_plain_prefix(server: Server) -> None:
    assert ask(server, "GET", "/openai/models?api-version=2024-10-21").status == 200
    answer = ask(server, "POST", "/openai/v1/chat/completions?api-version=preview", {**CHAT, "stream": True})
    assert answer.events[-1] == DONE


# --- not here


ABSENT = [
    ("GET", "/v1/chat/completions/chatcmpl-1"),
    ("POST", "/v1/chat/completions/chatcmpl-1"),
    ("DELETE", "/v1/chat/completions/chatcmpl-1"),
    ("GET", "/v1/chat/completions/chatcmpl-1/messages"),
    ("POST", "/v1/moderations"),
    ("POST", "/v1/images/generations"),
    ("POST", "/v1/images/edits"),
    ("POST", "/v1/audio/transcriptions"),
    ("POST", "/v1/audio/speech"),
    ("POST", "/v1/files"),
    ("GET", "/v1/files"),
    ("GET", "/v1/files/file-1/content"),
    ("POST", "/v1/batches"),
    ("POST", "/v1/fine_tuning/jobs"),
    ("GET", "/v1/assistants"),
    ("POST", "/v1/threads/runs"),
    ("GET", "/v1/vector_stores"),
    ("POST", "/v1/uploads"),
    ("POST", "/images/generations"),
    ("POST", "/openai/deployments/dall-e/images/generations"),
]


@pytest.mark.parametrize(("method", "path"), ABSENT)
def test_an_endpoint_that_is_not_implemented_says_so_and_is_not_worth_a_retry(
    server: Server, method: str, path: str
) -> None:
    answer = ask(server, method, path, {} if method == "POST" else None)
    assert (answer.status, answer.error["code"]) == (404, "unsupported_endpoint")
    assert answer.error["type"] == "invalid_request_error"
    assert path in answer.error["message"]
    assert answer.headers["x-should-retry"] == "false"


def test_the_sdk_does_not_retry_what_is_not_there(server: Server) -> None:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=2) as client:
        with pytest.raises(openai.NotFoundError) as caught:
            client.moderations.create(input="x")
        assert caught.value.code == "unsupported_endpoint"
    assert server.log.count("path=/v1/moderations") >= 1
    assert caught.value.response.request.headers["x-stainless-retry-count"] == "0"


def test_anthropics_endpoint_is_pointed_to_ollamas_own(server: Server) -> None:
    answer = ask(server, "POST", "/v1/messages", {})
    assert (answer.status, answer.error["code"]) == (404, "unsupported_endpoint")
    assert "Anthropic" in answer.error["message"]
    assert "Ollama" in answer.error["message"]


@pytest.mark.parametrize(
    "path", ["/v1/chat", "/v2/chat/completions", "/chat/completion", "/api/chat", "/favicon.ico"]
)
def test_a_path_that_nobody_has_is_an_invalid_url(server: Server, path: str) -> None:
    answer = ask(server, "POST", path, CHAT)
    assert (answer.status, answer.error["code"]) == (404, None)
    assert answer.error["message"] == f"Invalid URL (POST {path})"
