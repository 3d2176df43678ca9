"""One answer of an Ollama, written step by step, however wrongly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from o2o.practice import Exchange
from o2o.practice.gojson import encode
from o2o.practice.server import JSON, NDJSON
from tests.ollama import hang_up

FOREVER = 3600.0


class Answer:
    """One answer on its way to o2o; faults write it."""

    def __init__(
        self, handler: Exchange, path: str, body: Mapping[str, Any], *, reused: bool = False
    ) -> None:
        self.handler = handler
        self.reused = reused
        self.path = path
        self.body = body
        self._begun = False

    @property
    def model(self) -> str:
        """The model's name, which begins with the fault's."""
        return str(self.body["model"])

    def begin(self, status: int = 200, content_type: str = NDJSON, **headers: str) -> None:
        """Send the head; bodies are chunked unless the headers say otherwise."""
        named = {
            "Content-Type": content_type,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        if not {"Content-Length", "Connection"} & named.keys():
            named["Transfer-Encoding"] = "chunked"
        self.handler.begin(status, named.items())
        self._begun = True

    def raw(self, data: bytes) -> None:
        """Send a piece of the body, after the head if that was not sent yet."""
        if not self._begun:
            self.begin()
        self.handler.write(data)

    def line(self, reply: Mapping[str, Any]) -> None:
        """Send one line."""
        self.raw(encode(reply) + b"\n")

    def text_line(self, text: str) -> dict[str, Any]:
        """Return the line that says `text`, in the shape of the path."""
        said = (
            {"message": {"role": "assistant", "content": text}}
            if self.path == "/api/chat"
            else {"response": text}
        )
        return {"model": self.model, "created_at": "2026-11-22T10:30:00.000000001Z", **said, "done": False}

    def say(self, *texts: str) -> None:
        """Send a line for each text."""
        for text in texts:
            self.line(self.text_line(text))

    def done(self, count: int = 3) -> None:
        """Say that the answer is complete."""
        numbers = {
            "total_duration": 9,
            "prompt_eval_count": 5,
            "prompt_eval_duration": 4,
            "eval_count": count,
        }
        self.line({**self.text_line(""), "done": True, "done_reason": "stop", **numbers, "eval_duration": 3})

    def end(self) -> None:
        """End the body."""
        self.handler.end()

    def error(self, status: int, text: str, **headers: str) -> None:
        """Answer with an error as Ollama does."""
        data = encode({"error": text})
        self.page(status, data, JSON, **headers)

    def page(self, status: int, data: bytes, content_type: str, **headers: str) -> None:
        """Answer with a body of known length."""
        self.begin(status, content_type, Content_Length=str(len(data)), **headers)
        self.handler.write(data)

    def wait(self, seconds: float = FOREVER) -> None:
        """Be silent; ends at once when o2o leaves."""
        self.handler.pause(seconds)

    def hang_up(self, *, reset: bool = False) -> None:
        """End the connection where it stands."""
        hang_up(self.handler, reset=reset)
