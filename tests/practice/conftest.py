"""A practice upstream on a socket, and a way to ask it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from o2o.practice import PracticeServer
from o2o.practice.routes import Ollama, Spoken, Whole

Ask = Callable[..., Any]


@pytest.fixture(scope="session")
def practice() -> Iterator[PracticeServer]:
    """Run one practice upstream, without any pauses."""
    with PracticeServer(pace=0) as server:
        yield server


@pytest.fixture(scope="session")
def session() -> Iterator[requests.Session]:
    """Keep connections, as o2o does."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def ask() -> Ask:
    """Ask the endpoints without a network; returns the body, or the folded answer, whatever the status."""
    ollama = Ollama(now=lambda: 1_800_000_000.0)

    def asked(path: str, **body: Any) -> Any:
        answer = ollama.answer("POST" if body else "GET", path, json.dumps(body).encode())
        if isinstance(answer, Whole):
            return answer.body
        assert isinstance(answer, Spoken)
        return answer.speech.whole("now", 10**9, 10**6)

    return asked
