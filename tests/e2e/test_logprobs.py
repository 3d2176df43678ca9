"""Log probabilities of chat completions: entries that join to the content, and their alternatives."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.e2e.wire import DONE, chat, recorded
from tests.ollama import FakeOllama
from tests.server import Server

COUNT = [{"role": "user", "content": "count to 7"}]


def check(entries: list[dict[str, Any]], content: str, alternatives: int) -> None:
    """Check that the entries are those of OpenAI and that their texts are the content."""
    assert "".join(entry["token"] for entry in entries) == content
    for entry in entries:
        assert entry.keys() == {"token", "logprob", "bytes", "top_logprobs"}
        assert entry["bytes"] == list(entry["token"].encode())
        assert -9999 <= entry["logprob"] <= 0
        assert len(entry["top_logprobs"]) <= alternatives
        for other in entry["top_logprobs"]:
            assert other.keys() == {"token", "logprob", "bytes"}


@pytest.mark.parametrize("top", [0, 1, 5, 20])
def test_each_piece_of_content_has_its_entry(server: Server, top: int) -> None:
    choice = chat(server, messages=COUNT, logprobs=True, top_logprobs=top).body["choices"][0]
    assert choice["logprobs"]["refusal"] is None
    check(choice["logprobs"]["content"], choice["message"]["content"], top)
    assert all(len(entry["top_logprobs"]) == top for entry in choice["logprobs"]["content"])


def test_without_alternatives_the_list_is_empty(server: Server) -> None:
    choice = chat(server, messages=COUNT, logprobs=True).body["choices"][0]
    assert choice["logprobs"]["content"]
    assert all(entry["top_logprobs"] == [] for entry in choice["logprobs"]["content"])


def test_nobody_gets_them_unasked(server: Server) -> None:
    assert chat(server, messages=COUNT, logprobs=False).body["choices"][0]["logprobs"] is None


def test_alternatives_need_log_probabilities(server: Server) -> None:
    answer = chat(server, messages=COUNT, top_logprobs=3)
    assert (answer.status, answer.error["param"]) == (400, "top_logprobs")


def test_thinking_has_no_entries(server: Server) -> None:
    choice = chat(server, model="practice-think", messages=COUNT, logprobs=True).body["choices"][0]
    assert choice["message"]["reasoning"]
    check(choice["logprobs"]["content"], choice["message"]["content"], 0)


@pytest.mark.parametrize("model", ["practice", "practice-think"])
def test_each_chunk_carries_the_entries_of_just_its_text(server: Server, model: str) -> None:
    *chunks, end = chat(
        server, model=model, messages=COUNT, logprobs=True, top_logprobs=2, stream=True
    ).events
    assert end == DONE
    seen = 0
    for chunk in chunks:
        (choice,) = chunk["choices"]
        content = choice["delta"].get("content")
        if content:
            check(choice["logprobs"]["content"], content, 2)
            seen += 1
        else:
            assert choice["logprobs"] is None
    assert seen > 5


def test_the_sdk_reads_them(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model="practice", messages=[{"role": "user", "content": "count to 7"}], logprobs=True
    ) as running:
        final = running.get_final_completion()
    logprobs = final.choices[0].logprobs
    assert logprobs is not None
    assert "".join(entry.token for entry in logprobs.content or ()) == "1 2 3 4 5 6 7"


@pytest.mark.parametrize(
    "name",
    [
        "echo-emoji-stream",
        "echo-rare-emoji-stream",
        "echo-top2-stream",
        "jinja-think-stream",
        "jinja-tools-emoji-stream",
        "parser-think-stream",
        "think-stream",
    ],
)
def test_recorded_entries_join_to_the_content(server: Server, ollama: FakeOllama, name: str) -> None:
    ollama.script("/api/chat", recorded(f"10-logprobs/{name}"))
    choice = chat(server, logprobs=True, top_logprobs=2).body["choices"][0]
    entries = choice["logprobs"]["content"]
    assert entries
    assert "".join(entry["token"] for entry in entries) == choice["message"]["content"]
    assert all(len(entry["top_logprobs"]) <= 2 for entry in entries)
