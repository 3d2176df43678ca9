"""One fake Ollama, and a real gunicorn for each set of settings that tests of the whole need."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from tests.ollama import FakeOllama
from tests.server import Server
from tests.test_tokens import vocabulary

KEY = "sk-practice-0123456789abcdef"
"""The key that `keyed` asks for."""


@pytest.fixture(scope="session")
def ollama() -> Iterator[FakeOllama]:
    """A fake Ollama for the whole session."""
    with FakeOllama() as fake:
        yield fake


@pytest.fixture(autouse=True)
def _use_up(ollama: FakeOllama) -> Iterator[None]:
    """Let no scripted answer wait for another test."""
    yield
    assert ollama.take_unused() == []


@pytest.fixture(scope="session")
def server(ollama: FakeOllama) -> Iterator[Server]:
    """The shipped configuration with one worker, in front of the fake Ollama."""
    with Server(ollama.url) as running:
        yield running


@pytest.fixture(scope="session")
def keyed(ollama: FakeOllama) -> Iterator[Server]:
    """A server that asks for a key."""
    with Server(ollama.url, {"O2O_API_KEYS": f"another-key,{KEY}"}) as running:
        yield running


@pytest.fixture(scope="session")
def strict(ollama: FakeOllama) -> Iterator[Server]:
    """A server that takes nothing that it cannot honour."""
    with Server(ollama.url, {"O2O_STRICT": "true"}) as running:
        yield running


@pytest.fixture(scope="session")
def tuned(ollama: FakeOllama) -> Iterator[Server]:
    """A server whose operator named models, pages and limits."""
    settings = {
        "O2O_LOGIT_BIAS": "ignore",
        "O2O_MODEL_ALIASES": "gpt-4o=practice,gpt-thinking=practice-think?think=false&seed=7,gpt-gone=not-there",
        "O2O_DEFAULT_MODEL": "practice",
        "O2O_FETCH_IMAGES": "true",
        "O2O_CORS_ORIGINS": "https://chat.example.com",
        "O2O_MAX_BODY_BYTES": "100000",
    }
    with Server(ollama.url, settings) as running:
        yield running


@pytest.fixture(scope="session")
def obliging(ollama: FakeOllama, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose operator lets everything be tried that is off by default."""
    settings = {
        "O2O_TOOLS_FALLBACK": "prompt",
        "O2O_REASONING": "tags",
        "O2O_MAX_N": "4",
        "TIKTOKEN_CACHE_DIR": str(vocabulary(tmp_path_factory.mktemp("tiktoken"))),
    }
    with Server(ollama.url, settings) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    """The official client, which does not retry, so that one call is one request."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=30) as made:
        yield made
