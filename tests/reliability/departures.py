"""Callers that leave, in every state that an answer can be in, and how long Ollama goes on for nobody."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.reliability.caller import Caller, Endpoint
from tests.reliability.chaos import Chaos


@dataclass(frozen=True, eq=False)
class State:
    """An answer in the making, and how its caller leaves."""

    fault: str
    stream: bool = True
    endpoint: Endpoint = "chat"
    events: int = 0
    """How many events the caller waits for before it leaves."""
    leave: Callable[[Caller], None] = Caller.close
    connections: int = 1
    """How many requests Ollama has got for it."""
    more: dict[str, Any] = field(default_factory=dict)


THREE = {"n": 3}
STATES = {
    "queued: nothing came from Ollama": State("silent"),
    "queued, half-closed": State("silent", leave=Caller.half_close),
    "queued, reset": State("silent", leave=Caller.reset),
    "queued, a whole answer": State("silent", stream=False),
    "queued, a whole answer, half-closed": State("silent", stream=False, leave=Caller.half_close),
    "queued, a text completion": State("silent", endpoint="completions"),
    "queued, embeddings": State("silent", stream=False, endpoint="embeddings"),
    "queued, three choices": State("silent", connections=3, more=THREE),
    "the head came, and nothing else": State("silent-after-head"),
    "in the middle of a stream": State("endless", events=3),
    "in the middle of a stream, half-closed": State("endless", events=3, leave=Caller.half_close),
    "in the middle of a stream, reset": State("endless", events=3, leave=Caller.reset),
    "in the middle of three choices": State("endless", events=9, connections=3, more=THREE),
    "in the middle of three whole answers": State("endless", stream=False, connections=3, more=THREE),
    "in the middle of a whole answer": State("endless", stream=False),
    "in the middle of a whole answer, half-closed": State("endless", stream=False, leave=Caller.half_close),
    "in a silence between two lines": State("silent-late", events=3),
    "in the middle of a line": State("dripping"),
    "while much is waiting to be read": State("flood", events=1),
}

WHILE_LOADING = State("silent", events=2)
"""Before a server with quick heartbeats: the events are comments, the model is still being loaded."""


def depart(port: int, chaos: Chaos, state: State, tag: str) -> list[float]:
    """Let one caller leave; return how many seconds later Ollama saw each of its connections end."""
    model = f"{state.fault}:{tag}"
    with Caller(port) as caller:
        caller.ask(state.endpoint, model, stream=state.stream, **state.more)
        asked = chaos.await_asked(model, state.connections)
        if state.events:
            caller.head()
            events = caller.events()
            for _ in range(state.events):
                next(events)
        left = time.monotonic()
        state.leave(caller)
        chaos.await_that(lambda: all(seen.connection.left for seen in asked), "the end upstream")
    return [(seen.connection.left or 0.0) - left for seen in asked]
