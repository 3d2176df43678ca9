"""A call of a tool, and how OpenAI says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

Kind = Literal["function", "custom"]


@dataclass(frozen=True, slots=True)
class Call:
    """One whole call; a custom tool's text is its argument `input`."""

    name: str
    arguments: dict[str, Any]
    kind: Kind = "function"

    def arguments_text(self) -> str:
        """Return the arguments as compact JSON, keys in the order in which they came."""
        return msgspec.json.encode(self.arguments).decode()


def to_openai_call(call: Call, call_id: str, index: int | None = None) -> dict[str, Any]:
    """Return an entry of `tool_calls`; `index` is there in chunks only."""
    place: dict[str, Any] = {} if index is None else {"index": index}
    if call.kind == "custom":
        custom = {"name": call.name, "input": call.arguments["input"]}
        return {**place, "id": call_id, "type": "custom", "custom": custom}
    return {**place, "id": call_id, "type": "function", "function": to_function_call(call)}


def to_function_call(call: Call) -> dict[str, str]:
    """Return OpenAI's older `function_call`, which is also what stands under `function` in a tool call."""
    return {"name": call.name, "arguments": call.arguments_text()}
