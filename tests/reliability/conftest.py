"""The shared servers, and what must hold of all that was ever asked of the Ollama behind them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.reliability.chaos import Chaos
from tests.reliability.houses import Houses


@pytest.fixture(scope="session")
def houses() -> Iterator[Houses]:
    """Servers by name, started when a test first asks for them."""
    with Houses() as made:
        yield made
        assert made.chaos.outside() == [], "something was asked of Ollama that may never be asked"


@pytest.fixture(scope="session")
def chaos(houses: Houses) -> Chaos:
    """The Ollama behind most of the servers."""
    return houses.chaos


@pytest.fixture(scope="session")
def calm(houses: Houses) -> int:
    """The port of a server with the shipped settings."""
    return houses.port("calm")
