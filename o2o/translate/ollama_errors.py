"""Reading Ollama's errors: they are sentences, or the JSON of its runner's errors inside a sentence.

What they mean to a caller stands in `faults`.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from o2o.errors import Refused, clip

MAX_TEXT = 500
_LONGEST = 10_000

_SECRETS = (
    (re.compile(r'\b(?:Get|Post|Head|Put) "[a-z]+://[^"]*"?'), "a request"),
    (re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"']+", re.IGNORECASE), "<address>"),
    (re.compile(r"\b(?:dial|read|write) (?:tcp|udp|unix)[46]?\b.*", re.DOTALL), "no connection"),
    (re.compile(r"\blookup \S+(?: on \S+)?"), "lookup"),
    (
        re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\[[0-9a-fA-F:]*:[0-9a-fA-F:]*\](?::\d+)?"),
        "<address>",
    ),
    (re.compile(r"\b(?:localhost(?::\d+)?|[\w-]+(?:\.[\w-]+)+:\d{4,5})\b"), "<address>"),
    (re.compile(r"(?<![\w/.])(?:/[\w.@~-]+){2,}"), "<path>"),
    (re.compile(r"\b[A-Za-z]:\\[\w.\\ @~-]+"), "<path>"),
)
_NUMBERS = re.compile(r"\((\d{1,18}) tokens\) exceeds the available context size \((\d{1,18}) tokens\)")
_OVERFLOW = re.compile(
    r"exceeds the available context size|exceed_context_size_error|longer than the context length|"
    r"input length exceeds the context length|exceeds maximum context length"
)
_CALL = re.compile(
    r"invalid tool call arguments|does not match the expected \S+ format|XML syntax error|error parsing tool call|"
    r"invalid character .* (?:looking for|in|after)|unexpected end of JSON input|failed to parse tool",
    re.DOTALL,
)


class Overflow(NamedTuple):
    """A prompt that does not fit: its tokens and the window's, where Ollama said them."""

    n_prompt_tokens: int | None
    n_ctx: int | None


def overflow(refused: Refused) -> Overflow | None:
    """Return the numbers of a prompt that did not fit the window, or None when it was something else."""
    text, fields = unwrap(refused.text)
    if fields.get("type") != "exceed_context_size_error" and not _OVERFLOW.search(text):
        return None
    numbers = _NUMBERS.search(text)
    tokens, window = (int(number) for number in numbers.groups()) if numbers else (None, None)
    return Overflow(_count(fields.get("n_prompt_tokens"), tokens), _count(fields.get("n_ctx"), window))


def is_role_order(refused: Refused) -> bool:
    """Tell whether the model's template refused the roles of the messages, or their order."""
    return refused.upstream_status == 400 and not refused.midway and "Jinja Exception" in refused.text


def is_cut_call(refused: Refused) -> bool:
    """Tell whether a tool call ended before it was whole, most likely by the limit of tokens."""
    return "invalid tool call arguments" in refused.text and "unexpected end of JSON input" in refused.text


def is_call_parse_error(refused: Refused) -> bool:
    """Tell whether one of Ollama's parsers could not read the call that the model wrote."""
    return refused.upstream_status >= 500 and _CALL.search(unwrap(refused.text)[0]) is not None


def is_repetition(refused: Refused) -> bool:
    """Tell whether Ollama stopped a model that said the same thing over and over; what came before stands."""
    return "token repeat limit reached" in refused.text


def unwrap(text: str) -> tuple[str, dict[str, Any]]:
    """Return the sentence of an error of Ollama's, and the fields of its runner's if it has any."""
    fields: dict[str, Any] = {}
    for _ in range(3):
        if not text.lstrip().startswith("{"):
            break
        try:
            inner = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            break
        while isinstance(inner, dict) and isinstance(inner.get("error"), (dict, str)):
            inner = inner["error"]
        if isinstance(inner, dict):
            fields = inner
            inner = inner.get("message")
        if not isinstance(inner, str):
            break
        text = inner
    return text[:_LONGEST], fields


def clean(text: str) -> str:
    """Return a text of Ollama's for callers: without addresses and paths, at most 500 characters."""
    text = text[:_LONGEST]
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return clip(" ".join(text.split()), MAX_TEXT)


def _count(value: Any, otherwise: int | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise
