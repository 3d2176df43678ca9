"""The official client, as most callers use it: with its own retries."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import openai
from openai.types.chat import ChatCompletionMessageParam

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello!"}]

PATIENCE = 60.0
"""How long one call may take, in seconds."""


@dataclass(frozen=True)
class Seen:
    """What came of one call."""

    text: str
    error: openai.APIError | None = None

    @property
    def code(self) -> str | None:
        return self.error.code if self.error is not None else None

    @property
    def param(self) -> str | None:
        return self.error.param if self.error is not None else None

    @property
    def status(self) -> int | None:
        return self.error.status_code if isinstance(self.error, openai.APIStatusError) else None


def stream(url: str, model: str) -> Iterator[str]:
    """Yield the pieces of an answer; the connection is closed with the iterator."""
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=PATIENCE) as client:
        for chunk in client.chat.completions.create(model=model, messages=HELLO, stream=True):
            yield chunk.choices[0].delta.content or ""


def ask(url: str, model: str, *, stream: bool = False, retries: int = 2, **more: Any) -> Seen:
    """Ask for a chat completion and return what came of it, retries included."""
    text, until = "", time.monotonic() + PATIENCE
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=retries, timeout=PATIENCE) as client:
        try:
            if not stream:
                whole = client.chat.completions.create(model=model, messages=HELLO, **more)
                return Seen(whole.choices[0].message.content or "")
            for chunk in client.chat.completions.create(model=model, messages=HELLO, stream=True, **more):
                text += chunk.choices[0].delta.content or ""
                if time.monotonic() > until:
                    raise TimeoutError(f"no end within {PATIENCE} s")
        except openai.APIError as error:
            return Seen(text, error)
    return Seen(text)
