"""One fake Ollama and one real gunicorn for the tests that need no settings of their own."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from tests.ollama import FakeOllama
from tests.server import Server


@pytest.fixture(scope="session")
def ollama() -> Iterator[FakeOllama]:
    """A fake Ollama for the whole session; scripts are used up by the test that wrote them."""
    with FakeOllama() as fake:
        yield fake


@pytest.fixture(scope="session")
def server(ollama: FakeOllama) -> Iterator[Server]:
    """The shipped configuration with one worker, in front of the fake Ollama."""
    with Server(ollama.url) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    """The official client, which does not retry, so that one call is one request."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=30) as made:
        yield made
