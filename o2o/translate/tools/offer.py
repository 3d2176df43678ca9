"""How a plan's tools are told to a model: as Ollama's `tools`, or in words; and past calls, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from o2o.translate.tools.plan import Offered, ToolPlan
from o2o.translate.tools.remembered import flattened


def to_ollama(plan: ToolPlan) -> list[dict[str, Any]]:
    """Return what to send as Ollama's `tools`; nothing where no tool may be called."""
    return [] if plan.mode == "none" else [_tool(tool) for tool in plan.offered]


def _tool(tool: Offered) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": {**function, "parameters": flattened(tool.parameters)}}


def prompt_description(plan: ToolPlan) -> str:
    """Return a plan in words, for a model whose template knows no tools.

    A call asked for in this way comes as content: constrained by `forced_format`, or found by `Rescue`.
    """
    lines = [msgspec.json.encode(tool["function"]).decode() for tool in to_ollama(plan)]
    if not lines:
        return ""
    how = (
        nudge(plan)
        if plan.mode == "required"
        else f"If one of them helps, answer with nothing but a JSON object of the form {_FORM}, and wait for its "
        "result. Otherwise answer in words, and do not mention the functions."
    )
    return "\n".join(["You can call these functions, one JSON object each:", *lines, "", how])


def nudge(plan: ToolPlan) -> str:
    """Return the sentence that asks for the call which a plan demands."""
    names = [f"`{tool.name}`" for tool in plan.offered]
    which = f"the function {names[0]}" if len(names) == 1 else f"one of the functions {', '.join(names)}"
    return f"Call {which} now. Answer with nothing but a JSON object of the form {_FORM}."


def in_words(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return Ollama messages for a model whose template knows neither calls nor results, and would leave them out.

    A past call is what the model would write to make it, a result is told by the user.
    """
    return [_told(message) for message in messages]


def _told(message: dict[str, Any]) -> dict[str, Any]:
    if message["role"] == "tool":
        name = message.get("tool_name")
        head = f"The result of `{name}`:" if name else "The result:"
        kept = {"images": message["images"]} if "images" in message else {}
        return {"role": "user", "content": f"{head}\n{message['content']}", **kept}
    calls = message.get("tool_calls")
    if not calls:
        return message
    told = {name: value for name, value in message.items() if name != "tool_calls"}
    said = [message["content"]] if message["content"] else []
    told["content"] = "\n".join([*said, *(_shown(call["function"]) for call in calls)])
    return told


def _shown(function: dict[str, Any]) -> str:
    call = {"name": function["name"], "parameters": function["arguments"]}
    return msgspec.json.encode(call).decode()


_FORM = '{"name": …, "parameters": {…}}'
