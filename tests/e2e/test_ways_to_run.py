"""The ways to run it: gunicorn, `flask run`, and a plain WSGI host with threads; each for real, over a socket."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from tests.e2e import wire
from tests.e2e.hosts import Host, wsgiref
from tests.e2e.wire import DONE, Answer, ask, chat, deltas, last, line
from tests.ollama import FakeOllama, error, stream
from tests.server import Server

WAYS: dict[str, list[str]] = {
    "gunicorn wsgi:app": ["-m", "gunicorn", "wsgi:app"],
    "flask run": ["-m", "flask", "run", "--port", "0"],
    "wsgiref": wsgiref(),
    "wsgiref validated": wsgiref("validator(application)"),
}
SETTINGS = {"O2O_HEARTBEAT_AFTER": "0.2", "O2O_HEARTBEAT_INTERVAL": "0.2"}


@pytest.fixture(scope="module", params=WAYS)
def host(request: pytest.FixtureRequest, ollama: FakeOllama) -> Iterator[Host]:
    """One of the ways, started."""
    with Host(ollama.url, SETTINGS, command=[sys.executable, *WAYS[request.param]]) as running:
        yield running
        assert "Traceback" not in running.log, running.log


@pytest.fixture
def client(host: Host) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{host.url}/v1", api_key="none", max_retries=0, timeout=20) as made:
        yield made


def text_of(answer: Answer) -> str:
    return "".join(delta.get("content") or "" for delta in deltas(answer.events))


def test_it_answers_whole(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model="practice", messages=[{"role": "user", "content": "say: hi"}]
    )
    assert completion.choices[0].message.content == "hi"
    assert (completion._request_id or "").startswith("req_")


def test_it_streams(client: openai.OpenAI) -> None:
    pieces = client.chat.completions.create(
        model="practice",
        messages=[{"role": "user", "content": "count to 9"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(pieces)
    assert (
        "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
        == "1 2 3 4 5 6 7 8 9"
    )
    assert chunks[-1].usage is not None


def test_it_lists_models(client: openai.OpenAI) -> None:
    assert "practice:latest" in [model.id for model in client.models.list()]
    assert client.models.retrieve("practice").id == "practice:latest"


def test_it_completes_and_embeds(client: openai.OpenAI) -> None:
    assert client.completions.create(model="practice", prompt=["one", "two"], n=2).choices[3].text
    assert len(client.embeddings.create(model="practice-embed", input="x").data[0].embedding) == 384


def test_words_arrive_before_the_answer_is_complete(client: openai.OpenAI, ollama: FakeOllama) -> None:
    rest = threading.Event()
    ollama.script("/api/chat", stream(line("first "), rest, line("second"), last()))
    said = ""
    for chunk in client.chat.completions.create(
        model="practice", messages=[{"role": "user", "content": "x"}], stream=True
    ):
        said += chunk.choices[0].delta.content or ""
        if said == "first ":
            rest.set()
    assert said == "first second"


def test_silence_is_filled_with_comments(host: Host, ollama: FakeOllama) -> None:
    ollama.script("/api/chat", stream(0.7, line("late"), last()))
    answer = chat(host, stream=True)
    assert answer.raw.startswith(b": heartbeat\n\n")
    assert text_of(answer) == "late"


def test_failures_are_in_the_envelope(host: Host, ollama: FakeOllama) -> None:
    assert ask(host, "GET", "/v1/nowhere").error["message"] == "Invalid URL (GET /v1/nowhere)"
    assert ask(host, "PUT", "/v1/models", {}).headers["allow"]
    assert chat(host, model="gone").error["code"] == "model_not_found"
    assert chat(host, temperature=9).error["code"] == "decimal_above_max_value"
    assert wire.post(host, "/chat/completions", b"{").status == 400
    ollama.script("/api/chat", error(503, "server busy, please try again"))
    assert chat(host, stream=True).error["code"] == "server_overloaded"
    ollama.script("/api/chat", stream(line("half"), "close"))
    assert chat(host, stream=True).events[-1]["error"]["code"] == "upstream_truncated"


def test_preflights_and_visitors_are_answered(host: Host) -> None:
    asked = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    answer = ask(host, "OPTIONS", "/v1/chat/completions", headers=asked)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, "http://localhost:3000")
    for path in ("/", "/healthz", "/readyz", "/v1"):
        assert ask(host, "GET", path).status == 200
        assert ask(host, "HEAD", path).raw == b""


def test_many_at_once_are_served(host: Host) -> None:
    def one(number: int) -> str:
        messages = [{"role": "user", "content": f"say: answer {number}"}]
        return text_of(chat(host, messages=messages, stream=True))

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(one, range(32))) == [f"answer {number}" for number in range(32)]


def test_a_large_body_is_read_whole(host: Host, ollama: FakeOllama) -> None:
    text = "x" * 3_000_000
    assert chat(host, messages=[{"role": "user", "content": text}], truncate=True).status == 200
    assert ollama.asked("/api/chat")[-1].body["messages"][0]["content"] == text


def test_a_caller_who_leaves_a_stream_ends_the_generation(host: Host, ollama: FakeOllama) -> None:
    ollama.script("/api/chat", stream(line("a"), 20.0, last()))
    with openai.OpenAI(base_url=f"{host.url}/v1", api_key="none", max_retries=0, timeout=20) as client:
        running = client.chat.completions.create(
            model="practice", messages=[{"role": "user", "content": "x"}], stream=True
        )
        next(iter(running))
        running.close()
    generation = ollama.asked("/api/chat")[-1].connection
    ollama.await_that(lambda: generation.left is not None, "the end of the generation", patience=3)


def test_the_same_request_gets_the_same_answer_everywhere(host: Host, server: Server) -> None:
    def bare(answer: Answer) -> str:
        said = answer.raw.decode().replace(": heartbeat\n\n", "")
        return re.sub(r'"(id|created|system_fingerprint)":("[^"]*"|\d+|null)', "", said)

    for fields in ({"seed": 1}, {"seed": 1, "stream": True}, {"temperature": 3}, {"model": "practice-think"}):
        assert bare(chat(host, **fields)) == bare(chat(server, **fields))
    assert json.loads(chat(host).raw)["object"] == "chat.completion"
    assert chat(host, stream=True).events[-1] == DONE


# --- our own bugs


BUG = """
from o2o.app import create_app
from o2o.config import Settings

class Buggy:
    def ask(self, *args, **options):
        raise ZeroDivisionError("a detail that is nobody's business")

    tags = ask
"""


def test_a_bug_of_ours_is_told_without_its_details(ollama: FakeOllama) -> None:
    with Host(
        ollama.url, command=[sys.executable, *wsgiref("create_app(Settings(), Buggy())", BUG)]
    ) as running:
        for answer in (chat(running), chat(running, stream=True), ask(running, "GET", "/v1/models")):
            assert answer.status == 500
            assert answer.error["type"] == "server_error"
            assert "nobody's business" not in answer.raw.decode()
            assert "Traceback" not in answer.raw.decode()
            assert answer.headers["x-request-id"] in running.log
        assert running.log.count("ZeroDivisionError: a detail") == 3
