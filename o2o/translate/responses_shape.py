"""A body of the Responses API that was sent to the chat endpoint, as a chat body; pure.

Cursor does that: `input` instead of `messages`, flat tools, `text.format`, `max_output_tokens`. What has no
meaning in chat (reasoning items, hosted tools) is dropped and listed; what is malformed is passed on as it is, so
that validation can say what is wrong with it. What stands for something that was said or stored before is refused,
since nothing is kept here and the model would answer without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from o2o.errors import BadRequest

_TEXTS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")
_READ = frozenset(
    "input instructions tools tool_choice text max_output_tokens reasoning include truncation".split()
)
_KEPT_ELSEWHERE = ("previous_response_id", "conversation", "prompt")
_LOGPROBS = "message.output_text.logprobs"


class Shaped(NamedTuple):
    """A chat body, and the names of what was dropped on the way."""

    body: dict[str, Any]
    dropped: list[str]


def is_responses_shape(body: Any) -> bool:
    """Tell whether a body has the Responses API's `input` and no `messages`."""
    return isinstance(body, dict) and body.get("messages") is None and body.get("input") is not None


def to_chat_body(body: Mapping[str, Any]) -> Shaped:
    """Return the chat body that means the same; raises BadRequest where a part of it is not in the body."""
    for name in _KEPT_ELSEWHERE:
        if body.get(name) is not None:
            raise _not_here(name)
    dropped: list[str] = []
    chat = {name: value for name, value in body.items() if name not in _READ}
    chat["messages"] = _messages(body, dropped)
    if body.get("tools") is not None:
        chat["tools"] = _tools(body["tools"], dropped) or None
    if body.get("tool_choice") is not None:
        chat["tool_choice"] = _tool_choice(body["tool_choice"])
    if body.get("max_output_tokens") is not None:
        chat["max_completion_tokens"] = body["max_output_tokens"]
    if body.get("reasoning") is not None:
        chat["reasoning"] = body["reasoning"]
    text = body.get("text")
    if isinstance(text, Mapping):
        form = _response_format(text.get("format"))
        if form is not None:
            chat["response_format"] = form
        if text.get("verbosity") is not None:
            chat["verbosity"] = text["verbosity"]
    if body.get("truncation") is not None:
        chat["truncate"] = body["truncation"] == "auto"
    _include(body.get("include"), chat, dropped)
    return Shaped(chat, dropped)


def _include(wanted: Any, chat: dict[str, Any], dropped: list[str]) -> None:
    """Read what the answer is to carry; of that, chat has log probabilities only."""
    names = wanted if isinstance(wanted, list) else []
    if _LOGPROBS in names or chat.get("top_logprobs"):
        chat["logprobs"] = True
    if any(name != _LOGPROBS for name in names):
        dropped.append("include")


def _not_here(param: str) -> BadRequest:
    return BadRequest(
        f"Unsupported parameter: '{param}' is not supported. This server keeps nothing between requests: send "
        "the whole conversation as 'input'.",
        code="unsupported_parameter",
        param=param,
    )


def _messages(body: Mapping[str, Any], dropped: list[str]) -> list[Any]:
    messages: list[Any] = []
    if isinstance(body.get("instructions"), str):
        messages.append({"role": "system", "content": body["instructions"]})
    given = body["input"]
    if isinstance(given, str):
        return [*messages, {"role": "user", "content": given}]
    for at, item in enumerate(given if isinstance(given, list) else [given]):
        kind = item.get("type", "message") if isinstance(item, Mapping) else "message"
        if kind == "item_reference":
            raise _not_here(f"input[{at}]")
        read = _ITEMS.get(kind)
        if read is None:
            dropped.append(f"input.{at}")
        else:
            read(item, messages)
    return messages


def _message(item: Any, messages: list[Any]) -> None:
    if not isinstance(item, Mapping):
        messages.append(item)
        return
    content = item.get("content")
    if isinstance(content, list):
        content = [_part(part) for part in content]
    messages.append({"role": item.get("role"), "content": content})


def _part(part: Any) -> Any:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind in _TEXTS:
        return {"type": "text", "text": part.get("text")}
    if kind == "input_image":
        return {"type": "image_url", "image_url": {"url": part.get("image_url")}}
    if kind == "input_file":
        return {"type": "file", "file": {name: value for name, value in part.items() if name != "type"}}
    return part


def _call(item: Mapping[str, Any], messages: list[Any]) -> None:
    kind = "custom" if item.get("type") == "custom_tool_call" else "function"
    field = "input" if kind == "custom" else "arguments"
    call = {
        "id": item.get("call_id") or item.get("id") or "call",
        "type": kind,
        kind: {"name": item.get("name"), field: item.get(field) or ""},
    }
    last = messages[-1] if messages else None
    if isinstance(last, dict) and last.get("role") == "assistant":
        last.setdefault("tool_calls", []).append(call)  # one turn of the model's may say and call
    else:
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})


def _output(item: Mapping[str, Any], messages: list[Any]) -> None:
    output = item.get("output")
    if isinstance(output, list):
        output = [_part(part) for part in output]
    messages.append({"role": "tool", "tool_call_id": item.get("call_id") or "call", "content": output})


def _nothing(item: Any, messages: list[Any]) -> None:
    """Reasoning of earlier turns is not said again."""


_ITEMS = {
    "message": _message,
    "function_call": _call,
    "custom_tool_call": _call,
    "function_call_output": _output,
    "custom_tool_call_output": _output,
    "reasoning": _nothing,
}


def _tools(tools: Any, dropped: list[str]) -> Any:
    if not isinstance(tools, list):
        return tools
    shaped = []
    for at, tool in enumerate(tools):
        kind = tool.get("type") if isinstance(tool, Mapping) else None
        if kind not in ("function", "custom"):
            dropped.append(f"tools.{at}")
        elif kind in tool:
            shaped.append(tool)  # nested already, as chat has it
        else:
            shaped.append(
                {"type": kind, kind: {name: value for name, value in tool.items() if name != "type"}}
            )
    return shaped


def _tool_choice(choice: Any) -> Any:
    if not isinstance(choice, Mapping):
        return choice
    kind = choice.get("type")
    if kind in ("function", "custom") and kind not in choice:
        return {"type": kind, kind: {"name": choice.get("name")}}
    if kind == "allowed_tools" and "allowed_tools" not in choice:
        named = [_tool_choice(tool) for tool in choice.get("tools") or ()]
        return {"type": kind, "allowed_tools": {"mode": choice.get("mode", "auto"), "tools": named}}
    return choice


def _response_format(form: Any) -> Any:
    if not isinstance(form, Mapping) or form.get("type") != "json_schema" or "json_schema" in form:
        return form
    return {
        "type": "json_schema",
        "json_schema": {name: value for name, value in form.items() if name != "type"},
    }
