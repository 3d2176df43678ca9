"""An Ollama in which everything goes wrong: the name of the model says what, so that faults need no order.

    {"model": "stall-late"}        the fault `stall-late` of `faults`
    {"model": "stall-late:17"}     the same; what stands after the colon tells one caller's request from another's

Models that are no faults are answered as the practice Ollama does.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

from o2o.practice import Exchange
from o2o.practice.gojson import encode
from o2o.practice.server import JSON
from tests.ollama import FakeOllama, Seen
from tests.reliability.answering import Answer
from tests.reliability.faults import FAULTS

GENERATING = ("/api/chat", "/api/generate", "/api/embed")
ALLOWED = {
    ("POST", "/api/chat"),
    ("POST", "/api/generate"),
    ("POST", "/api/embed"),
    ("POST", "/api/show"),
    ("GET", "/api/tags"),
    ("GET", "/api/ps"),
    ("GET", "/api/version"),
}
"""All that may ever be asked of an Ollama."""

SHOWN = {
    "capabilities": ["completion", "tools", "embedding"],
    "details": {"family": "chaos"},
    "model_info": {},
}
"""What `/api/show` says of a fault."""


class Chaos(FakeOllama):
    """The fake Ollama whose models are faults."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host, port)
        self._by_model: dict[str, list[Seen]] = {}
        self._sorted = 0

    def asked_for(self, model: str) -> list[Seen]:
        """Return the requests for an answer of this very model, in order."""
        with self._changed:
            for seen in self.requests[self._sorted :]:
                if seen.path in GENERATING and isinstance(seen.body, dict):
                    self._by_model.setdefault(str(seen.body.get("model")), []).append(seen)
            self._sorted = len(self.requests)
            return list(self._by_model.get(model, ()))

    def await_asked(self, model: str, count: int = 1) -> list[Seen]:
        """Wait until this model was asked `count` times; return those requests.

        A server that has just been started needs its time on a busy machine.
        """
        self.await_that(
            lambda: len(self.asked_for(model)) >= count, f"request {count} for {model}", patience=20
        )
        return self.asked_for(model)

    def outside(self) -> list[str]:
        """Return what was asked that may never be asked of an Ollama."""
        return [
            f"{seen.method} {seen.path}"
            for seen in list(self.requests)
            if (seen.method, seen.path) not in ALLOWED
        ]

    def unscripted(self, handler: Exchange, method: str, path: str, body: bytes) -> None:
        """Let happen what the model's name says."""
        asked = _parsed(body)
        fault = FAULTS.get(str(asked.get("model")).partition(":")[0])
        if fault is None:
            super().unscripted(handler, method, path, body)
        elif path in GENERATING:
            fault(Answer(handler, path, asked, reused=self._by_exchange[handler].requests > 1))
        else:
            Answer(handler, path, asked).page(200, encode(SHOWN), JSON)


def _parsed(body: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        value = json.loads(body)
        if isinstance(value, dict):
            return value
    return {}
