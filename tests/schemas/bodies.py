"""The bodies that the tables are made of: a good one, and what is changed in it."""

from __future__ import annotations

from typing import Any

Body = dict[str, Any]

BASES: dict[str, Body] = {
    "chat": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "completions": {"model": "m", "prompt": "Once"},
    "embeddings": {"model": "m", "input": "hi"},
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def chat(**changes: Any) -> Body:
    return BASES["chat"] | changes


def said(**message: Any) -> Body:
    return chat(messages=[message])


def part(**fields: Any) -> Body:
    return said(role="user", content=[{"type": "text", "text": "look"}, fields])


def formatted(**fields: Any) -> Body:
    return chat(response_format={"type": "json_schema", "json_schema": fields})
