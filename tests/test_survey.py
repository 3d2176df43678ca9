"""What an Ollama has, as those who start o2o see it."""

from __future__ import annotations

import threading

from o2o.survey import Known, Survey, survey
from o2o.upstream.client import HTTPUpstream
from tests.ollama import FakeOllama, whole


def known(
    name: str, *capabilities: str, window: int | None = None, size: int = 1, remote: bool = False
) -> Known:
    return Known(name, frozenset(capabilities), 8192, window, size, remote)


def test_models_come_with_what_they_can() -> None:
    with FakeOllama() as ollama:
        found = survey(HTTPUpstream(ollama.url))
    assert found.error is None
    assert found.version
    chat, embedding = found.chat_model(), found.embedding_model()
    assert chat is not None
    assert embedding is not None
    assert chat.chats
    assert not chat.embeds
    assert embedding.embeds
    assert not embedding.chats
    assert chat.context_length


def test_nothing_there_is_an_error_in_words() -> None:
    with FakeOllama() as ollama:
        url = ollama.url
    found = survey(HTTPUpstream(url))
    assert found.error
    assert found.models == ()
    assert found.chat_model() is None


def test_one_that_never_answers_costs_no_more_than_the_patience() -> None:
    never = threading.Event()
    with FakeOllama() as ollama:
        ollama.script("/api/version", (200, {}, [never]))
        found = survey(HTTPUpstream(ollama.url), patience=0.2)
        never.set()
    assert found.error == "it did not answer within 0.2 seconds"


def test_something_else_on_the_port_is_an_error() -> None:
    with FakeOllama() as ollama:
        ollama.script("/api/version", whole([], 200))
        assert survey(HTTPUpstream(ollama.url)).error


def test_no_models_are_no_error() -> None:
    with FakeOllama() as ollama:
        ollama.script("/api/tags", whole({"models": []}))
        found = survey(HTTPUpstream(ollama.url))
    assert found.error is None
    assert found.models == ()


def test_the_handiest_model_is_loaded_then_small_and_never_far_away() -> None:
    large, small = known("large", "completion", size=9), known("small", "completion", size=2)
    loaded = known("loaded", "completion", size=20, window=4096)
    far = known("far", "completion", size=0, remote=True)
    embedding = known("embedding", "embedding", size=1, window=512)
    unknown = Known("unknown", None, None, None, 5, False)
    assert Survey(None, "", (large, small, far, embedding)).chat_model() == small
    assert Survey(None, "", (large, small, loaded)).chat_model() == loaded
    assert Survey(None, "", (far, embedding)).chat_model() == far
    assert Survey(None, "", (unknown, large)).chat_model() == unknown
    assert Survey(None, "", (unknown, large)).embedding_model() is None
