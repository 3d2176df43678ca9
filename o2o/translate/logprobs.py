"""Ollama's log probabilities -> OpenAI's: entries of chat choices, and the lists of legacy completions.

Ollama's entries are not quite tokens, and there are some for text that is not content: thinking, tags, calls.
What is told is one entry for each that belongs to content, and their text joins to the content.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Entry = dict[str, Any]

_UNLIKELY = -9999.0
"""OpenAI's number for what is out of reach; JSON has no infinity."""


class Collector:
    """Ties entries to the content they belong to, however late that is said.

    `add` what each reply carries; `take` with every piece of content in its order.
    """

    __slots__ = ("_owed", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[Entry] = []
        # The end of an entry's text that a piece of content did not reach.
        self._owed = ""

    def add(self, entries: Sequence[Entry] | None, *, about_content: bool) -> None:
        """Take the entries of one reply; those that are not about content are let go."""
        if entries and about_content:
            self._waiting += entries

    def take(self, text: str) -> list[Entry]:
        """Return OpenAI's entries for `text`, the next piece of content."""
        if self._owed:
            common = min(len(self._owed), len(text))
            if self._owed[:common] == text[:common]:
                self._owed, text = self._owed[common:], text[common:]
            else:
                self._owed = ""
        taken: list[Entry] = []
        while text and self._waiting:
            at, token = self._next(text)
            if at is None:
                break
            entry = self._waiting[at]
            del self._waiting[: at + 1]
            self._owed, text = token[len(text) :], text[len(token) :]
            taken.append(
                to_chat(entry if token == entry.get("token") else {**entry, "token": token, "bytes": None})
            )
        return taken

    def _next(self, text: str) -> tuple[int | None, str]:
        """Return the first entry that `text` can begin with, and the text that it stands for."""
        for at, entry in enumerate(self._waiting):
            token = _token(entry)
            if token and (text.startswith(token) or token.startswith(text)):
                return at, token
            # Ollama's parsers strip white space from where content begins.
            bare = token.lstrip()
            if bare and bare != token and (text.startswith(bare) or bare.startswith(text)):
                return at, bare
        return None, ""


def to_chat(entry: Entry) -> Entry:
    """Return one of Ollama's entries as an entry of a chat choice; every key is there."""
    return {**_one(entry), "top_logprobs": [_one(other) for other in entry.get("top_logprobs") or ()]}


def to_legacy(entries: Sequence[Entry], *, offset: int, top: int | None) -> dict[str, Any]:
    """Return Ollama's entries in the four lists of legacy completions.

    `offset` is where the first begins in the whole text, in characters; `top` how many others were asked for.
    Those are null when none were; the token itself is always among them.
    """
    tokens = [_token(entry) for entry in entries]
    numbers = [_number(entry) for entry in entries]
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token)
    return {
        "tokens": tokens,
        "token_logprobs": numbers,
        "top_logprobs": [_top(entry, top) for entry in entries] if top else None,
        "text_offset": offsets,
    }


def _top(entry: Entry, top: int) -> dict[str, float]:
    others = (entry.get("top_logprobs") or ())[:top]
    return {**{_token(other): _number(other) for other in others}, _token(entry): _number(entry)}


def _one(entry: Entry) -> Entry:
    token = _token(entry)
    given = entry.get("bytes")
    # Ollama makes the bytes from the text itself, and leaves out empty ones.
    return {
        "token": token,
        "logprob": _number(entry),
        "bytes": given if isinstance(given, list) else list(token.encode("utf-8")),
    }


def _token(entry: Entry) -> str:
    token = entry.get("token")
    return token if isinstance(token, str) else ""


def _number(entry: Entry) -> float:
    number = entry.get("logprob")
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
        return _UNLIKELY
    return number
