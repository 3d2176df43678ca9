"""From a checked request to a `Speech`: the prompt fitted to the window, the answer composed and limited.

What is raised here is what Ollama learns from the model runner: faults that come late.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from o2o.practice import faults, schema_instance, tokens
from o2o.practice.answers import Piece, Question, compose, continued
from o2o.practice.generation import Shape, Speech, limited
from o2o.practice.models import Model

WINDOW = 4096
"""The context window where no `num_ctx` is sent."""


@dataclass(frozen=True)
class Request:
    """A checked request for words; `bare` is a prompt that goes to the model without a template, or ""."""

    model: Model
    shape: Shape
    body: Mapping[str, Any]
    messages: Sequence[Mapping[str, Any]]
    think: bool | str
    bare: str = ""

    @property
    def rendered(self) -> str:
        """Return the whole prompt, before anything is cut."""
        return self.bare or tokens.render(self.messages, self.body.get("tools", ()))


def window_of(model: Model, body: Mapping[str, Any]) -> int:
    """Return the context window that a request loads the model with, in tokens."""
    asked = body.get("options", {}).get("num_ctx")
    # Ollama: nonsense loads a runner with a window of a few tokens.
    return int(min(WINDOW if asked is None else max(asked, 4), model.context_length))


def bare_prompt(body: Mapping[str, Any]) -> str:
    """Return the prompt of a generate request that takes no chat template, or ""."""
    prompt = str(body.get("prompt", ""))
    if body.get("raw"):
        return prompt
    return f"<|prefix|>{prompt}<|suffix|>{body['suffix']}<|middle|>" if body.get("suffix") else ""


def speak(request: Request, window: int, load_ns: int) -> Speech:
    """Return the answer, ready to be timed; raise what only the model runner finds wrong."""
    body = request.body
    images = [image for message in request.messages for image in message.get("images", ())]
    if images and not request.model.can("vision"):
        raise faults.no_images()
    schema = _schema(body.get("format"))
    prompt = _prompt(request, window)
    pieces = _pieces(request, prompt.text, schema, images)
    stop = body.get("options", {}).get("stop") or ()
    generated = limited(pieces, _limit(body, window - prompt.tokens), stop)
    templated = request.shape == "generate" and not body.get("raw")
    return Speech(
        model=body["model"],
        shape=request.shape,
        generated=generated,
        prompt_tokens=prompt.tokens,
        load_ns=load_ns,
        top=body.get("top_logprobs", 0) if body.get("logprobs") else None,
        context=_context(prompt.text, generated.pieces) if templated else None,
        resumed=_resumed(generated.pieces) if schema is not None else 0,
    )


def _pieces(request: Request, prompt: str, schema: Any, images: Sequence[bytes]) -> list[Piece]:
    body = request.body
    seed = _seed(body.get("options", {}).get("seed"), prompt)
    if request.bare and schema is None:
        return continued(body.get("suffix", ""), seed)
    return compose(Question(request.messages, seed, body.get("tools", ()), schema, request.think, images))


def _prompt(request: Request, window: int) -> tokens.Prompt:
    body = request.body
    truncate, shift = body.get("truncate", True), body.get("shift", True)
    tools = body.get("tools", ())
    if request.bare:
        return tokens.fit_text(request.bare, window, truncate=truncate, shift=shift)
    return tokens.fit_messages(request.messages, tools, window, truncate=truncate, shift=shift)


def _schema(value: Any) -> Any:
    if value in (None, ""):
        return None
    if value != "json" and not isinstance(value, dict):
        raise faults.bad_format(value)
    try:
        schema_instance.check({} if value == "json" else value)
    except schema_instance.Unconvertible as error:
        raise faults.bad_schema(str(error)) from None
    return value


def _limit(body: Mapping[str, Any], room: int) -> int | None:
    """Return how many tokens may be generated; 0 and less mean no limit, as on Ollama's rendered path."""
    asked = body.get("options", {}).get("num_predict") or -1
    limit = None if asked <= 0 or asked > 10**9 else int(asked)
    if body.get("shift", True):
        return limit
    return max(1, room if limit is None else min(limit, room))


def _seed(asked: Any, prompt: str) -> int:
    # Ollama: these two mean "random"; here the prompt decides, so that answers stay the same.
    chosen = "" if asked in (None, -1, 2**32 - 1) else int(max(-(2**63), min(asked, 2**63 - 1)))
    return zlib.crc32(f"{chosen} {prompt}".encode())


def _resumed(pieces: Sequence[Piece]) -> int:
    """Return how many thinking tokens went into the prompt of a second, constrained run."""
    thinking = sum(piece.kind == "thinking" for piece in pieces)
    return thinking if thinking < len(pieces) else 0


def _context(prompt: str, pieces: Sequence[Piece]) -> list[int]:
    words = tokens.pieces(prompt) + [piece.text for piece in pieces]
    return [zlib.crc32(word.encode()) % 262_144 for word in words]
