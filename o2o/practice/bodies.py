"""What Ollama accepts as a request: JSON as Go reads it, with Go's complaints about wrong types.

Names of fields are matched without regard to case, unknown ones are ignored, null means absent, and whatever
follows the JSON object is ignored.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from o2o.practice import gojson
from o2o.practice.faults import Fault, wrong_type
from o2o.practice.gojson import kind

Fields = Mapping[str, str]

_COMMON = {
    "model": "string",
    "stream": "bool",
    "format": "",
    "keep_alive": "keep_alive",
    "options": "map[string]interface {}",
    "think": "think",
    "truncate": "bool",
    "shift": "bool",
    "logprobs": "bool",
    "top_logprobs": "int",
    "_debug_render_only": "bool",
}
CHAT: Fields = {**_COMMON, "messages": "[]api.Message", "tools": "api.Tools"}
GENERATE: Fields = {
    **_COMMON,
    "prompt": "string",
    "suffix": "string",
    "system": "string",
    "template": "string",
    "context": "[]int",
    "raw": "bool",
    "images": "[]api.ImageData",
}
EMBED: Fields = {
    "model": "string",
    "input": "",
    "truncate": "bool",
    "dimensions": "int",
    "keep_alive": "keep_alive",
    "options": "map[string]interface {}",
}
SHOW: Fields = {"model": "string", "name": "string", "verbose": "bool"}
_MESSAGE: Fields = {
    "role": "string",
    "content": "string",
    "thinking": "string",
    "images": "[]api.ImageData",
    "tool_calls": "[]api.ToolCall",
    "tool_name": "string",
    "tool_call_id": "string",
}
_ELEMENTS: Mapping[str, Fields] = {
    "[]api.Message": _MESSAGE,
    "[]api.ToolCall": {"id": "string", "function": "api.ToolCallFunction"},
}
_STRUCTS: Mapping[str, Fields] = {
    "api.ToolCallFunction": {"index": "int", "name": "string", "arguments": "arguments"},
}
_KINDS = {"string": "string", "bool": "bool", "int": "number", "map[string]interface {}": "object"}

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([+-]?)((?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+|[+-]?0")
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")


def read(raw: bytes, struct: str, fields: Fields) -> dict[str, Any]:
    """Return the known fields of a JSON body, absent where null; raise Ollama's 400 for anything else."""
    body = gojson.parse(raw)
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise Fault(400, f"json: cannot unmarshal {kind(body)} into Go value of type api.{struct}")
    return _read_fields(body, struct, fields)


# --- fields


def _read_fields(body: Mapping[str, Any], path: str, fields: Fields) -> dict[str, Any]:
    found = {}
    for name, value in body.items():
        known = name.lower()
        if known in fields and value is not None:
            found[known] = _read_value(value, f"{path}.{known}", fields[known])
    return found


def _read_value(value: Any, path: str, go_type: str) -> Any:
    special = _SPECIAL.get(go_type)
    if special is not None:
        return special(value, path)
    if go_type in _STRUCTS:
        return _read_struct(value, path, go_type, _STRUCTS[go_type])
    if go_type in _ELEMENTS:
        element = go_type.removeprefix("[]")
        return [
            _read_struct(item, path, element, _ELEMENTS[go_type]) for item in _read_list(value, path, go_type)
        ]
    if go_type and kind(value) != _KINDS[go_type]:
        raise wrong_type(kind(value), path, go_type)
    if go_type == "int" and not isinstance(value, int):
        raise wrong_type(f"number {value}", path, go_type)
    return value


def _read_struct(value: Any, path: str, go_type: str, fields: Fields) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong_type(kind(value), path, go_type)
    return _read_fields(value, path, fields)


def _read_list(value: Any, path: str, go_type: str) -> list[Any]:
    if not isinstance(value, list):
        raise wrong_type(kind(value), path, go_type)
    return value


def _read_ints(value: Any, path: str) -> list[int]:
    for item in _read_list(value, path, "[]int"):
        if kind(item) != "number":
            raise wrong_type(kind(item), path, "int")
    return [int(item) for item in value]


def _read_images(value: Any, path: str) -> list[bytes]:
    images = []
    for item in _read_list(value, path, "[]api.ImageData"):
        if not isinstance(item, str):
            raise wrong_type(kind(item), path, "api.ImageData")
        images.append(_from_base64(item))
    return images


def _from_base64(text: str) -> bytes:
    text = text.replace("\r", "").replace("\n", "")
    bad = re.search(r"[^A-Za-z0-9+/]", text.rstrip("="))
    position = bad.start() if bad else len(text)
    try:
        if bad is None:
            return base64.b64decode(text, validate=True)
    except ValueError:
        pass
    raise Fault(400, f"illegal base64 data at input byte {position}")


def _read_arguments(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Fault(400, "Value looks like object, but can't find closing '}' symbol")
    return value


def _read_think(value: Any, path: str) -> bool | str:
    if isinstance(value, bool):
        return value
    choices = '"high", "medium", "low", "max", true, or false'
    if not isinstance(value, str):
        raise Fault(400, f"think must be a boolean or string ({choices})")
    if value not in ("high", "medium", "low", "max"):
        raise Fault(400, f'invalid think value: "{value}" (must be {choices})')
    return value


def _read_keep_alive(value: Any, path: str) -> float:
    """Return seconds; negative means for ever."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        name = {"bool": "bool", "array": "[]interface {}", "object": "map[string]interface {}"}[kind(value)]
        raise Fault(400, f"Unsupported type: '{name}'")
    if not isinstance(value, str):
        return float(value)
    if not _DURATION.fullmatch(value):
        problem = "missing unit in" if re.fullmatch(r"[+-]?\d+\.?\d*", value) else "invalid"
        raise Fault(400, f"time: {problem} duration {json.dumps(value)}")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(value))
    return -seconds if value.startswith("-") else seconds


def _read_tools(value: Any, path: str) -> list[dict[str, Any]]:
    tools = _read_list(value, path, "api.Tools")
    for tool in tools:
        if not isinstance(tool, dict):
            raise wrong_type(kind(tool), path, "api.Tool")
        function = tool.get("function")
        if function is not None:
            _check_function(function, f"{path}.function")
    return tools


def _check_function(function: Any, path: str) -> None:
    if not isinstance(function, dict):
        raise wrong_type(kind(function), path, "api.ToolFunction")
    for name in ("name", "description"):
        if function.get(name) is not None and not isinstance(function[name], str):
            raise wrong_type(kind(function[name]), f"{path}.{name}", "string")
    parameters = function.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise wrong_type(kind(parameters), f"{path}.parameters", "api.ToolFunctionParameters")
    _check_parameters(parameters or {}, "ToolFunctionParameters.tools.function.parameters")


def _check_parameters(parameters: Mapping[str, Any], path: str) -> None:
    if parameters.get("type") is not None and not isinstance(parameters["type"], str):
        raise wrong_type(kind(parameters["type"]), f"{path}.type", "string")
    for name in parameters.get("required") or []:
        if not isinstance(name, str):
            raise wrong_type(kind(name), f"{path}.required", "string")
    for schema in (parameters.get("properties") or {}).values():
        if not isinstance(schema, dict):
            raise wrong_type(kind(schema), f"{path}.properties", "api.ToolProperty")


_SPECIAL = {
    "keep_alive": _read_keep_alive,
    "think": _read_think,
    "arguments": _read_arguments,
    "[]int": _read_ints,
    "[]api.ImageData": _read_images,
    "api.Tools": _read_tools,
}
