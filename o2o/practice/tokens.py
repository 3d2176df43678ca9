"""Pieces of text that stand for tokens, and the prompt that is counted in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from o2o.practice import faults

# A word, at most 12 letters of it, or one other character, with the white space in front of it.
_PIECE = re.compile(r"\s{0,8}(?:[^\W_]{1,12}|[^\w\s]|_)|\s{1,8}")

KEEP = 4
"""Ollama's default `num_keep`: how many tokens at the beginning survive a cut."""


def pieces(text: str) -> list[str]:
    """Return `text` cut into pieces that join to it again."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    """Return how many pieces `text` has."""
    return sum(1 for _ in _PIECE.finditer(text))


@dataclass(frozen=True)
class Prompt:
    """What the model is given: the rendered text and its length in tokens."""

    text: str
    tokens: int


def render(messages: Sequence[Mapping[str, Any]], tools: Sequence[Any] = ()) -> str:
    """Return the prompt of a conversation, as the practice models' template would write it."""
    parts = [f"<|tools|>\n{faults.compact(list(tools))}\n"] if tools else []
    for message in messages:
        calls = faults.compact(message["tool_calls"]) if message.get("tool_calls") else ""
        parts.append(f"<|{message.get('role') or ''}|>\n{message.get('content') or ''}{calls}\n")
    return "".join(parts) + "<|assistant|>\n"


def fit_messages(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Any], window: int, *, truncate: bool, shift: bool
) -> Prompt:
    """Return the prompt of a conversation in a window of `window` tokens, the way Ollama makes it fit.

    The oldest messages go first; system messages and the last message stay.
    """
    text = render(messages, tools)
    if truncate and count(text) > window:
        text = _drop_oldest(messages, tools, window)
    return fit_text(text, window, truncate=truncate, shift=shift)


def fit_text(text: str, window: int, *, truncate: bool, shift: bool) -> Prompt:
    """Return `text` cut to the window: its beginning, and as much of its end as half the window takes.

    Raise a Fault where Ollama refuses instead: `truncate` or `shift` is false.
    """
    tokens = count(text)
    if tokens <= window:
        return Prompt(text, tokens)
    if not truncate:
        raise faults.overflow(tokens, window)
    if not shift:
        raise faults.no_room_without_shift()
    all_pieces = pieces(text)
    # Ollama leaves about half of the free window to the answer: 259 of 512 as recorded.
    left = max(1, min(window, (window + KEEP) // 2 + 1))
    head = min(KEEP, left - 1)
    kept = all_pieces[:head] + all_pieces[len(all_pieces) - (left - head) :]
    return Prompt("".join(kept), left)


def _drop_oldest(messages: Sequence[Mapping[str, Any]], tools: Sequence[Any], window: int) -> str:
    last = len(messages) - 1
    droppable = [i for i, message in enumerate(messages) if message.get("role") != "system" and i != last]
    costs = {i: count(render([messages[i]])) for i in droppable}
    too_many = count(render(messages, tools)) - window
    gone = set()
    for index in droppable:
        if too_many <= 0:
            break
        gone.add(index)
        too_many -= max(1, costs[index] - count(render([])))
    return render([message for i, message in enumerate(messages) if i not in gone], tools)
