"""What form a caller wants the answer to have, in any of the ways in which callers say it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from o2o.errors import BadRequest, clip
from o2o.translate.json_schema import check_bounds, for_grammar, violation


@dataclass(frozen=True)
class Format:
    """A wanted form: any JSON object, or JSON that fits a schema; raises BadRequest where that cannot be had.

    `param` is where in the body the schema stands. With `unquote` the answer is one JSON string, of which the
    caller is to get the text alone.
    """

    kind: Literal["json", "schema"]
    schema: dict[str, Any] | None = None
    name: str | None = None
    strict: bool = False
    param: str = "response_format"
    unquote: bool = False

    _payload: str | dict[str, Any] = field(init=False, repr=False, compare=False, default="json")

    def __post_init__(self) -> None:
        if self.schema is not None:
            place = self.param.partition(".")[0]
            subject = place if self.name is None else f"{place} '{clip(self.name, 64)}'"
            check_bounds(self.schema, self.param, subject=subject)
            object.__setattr__(self, "_payload", for_grammar(self.schema, self.param, subject=subject))

    def payload(self) -> str | dict[str, Any]:
        """Return the value of Ollama's `format`."""
        return self._payload

    def violation(self, text: str) -> str | None:
        """Return how a finished answer breaks the form, or None."""
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return "it is not valid JSON"
        if self.schema is None:
            return None if isinstance(value, dict) else "it is not a JSON object"
        return violation(self.schema, value)

    def bare(self, text: str) -> str:
        """Return a finished answer as the caller is to get it."""
        if not self.unquote:
            return text
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return text
        return value if isinstance(value, str) else text


def wish(body: Mapping[str, Any]) -> Format | None:
    """Return the form that a body asks for, or None if any text will do; raises BadRequest.

    OpenAI's `response_format` comes before vLLM's and llama.cpp's parameters, those before Ollama's `format`.
    """
    for param in _UNSUPPORTED:
        if body.get(param) is not None:
            raise _unsupported(param)
    for param, read in _READERS.items():
        value = body.get(param)
        if value is not None and value != "":
            return read(value, param)
    return None


# --- OpenAI, and what llama.cpp and others put beside it


def _response_format(value: Any, param: str) -> Format | None:
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind not in _TYPES:
        message = f"Invalid value: '{clip(str(kind), 64)}'. Supported values are: {_TYPES_TEXT}."
        raise _invalid(f"{param}.type", message)
    if kind == "text":
        return None
    spec = value.get("json_schema")
    inline = value.get("schema")
    if kind == "json_object":
        if inline is not None:
            return _schema(inline, f"{param}.schema")
        # llama.cpp takes the bare schema here too.
        return Format("json", param=param) if spec is None else _schema(spec, f"{param}.json_schema")
    if spec is None and inline is not None:
        return _schema(inline, f"{param}.schema", strict=value.get("strict") is True)
    return _json_schema(spec, f"{param}.json_schema")


def _json_schema(spec: Any, param: str) -> Format:
    if not isinstance(spec, Mapping) or spec.get("schema") is None or not isinstance(spec.get("name"), str):
        missing = param
        if isinstance(spec, Mapping):
            missing += ".name" if not isinstance(spec.get("name"), str) else ".schema"
        message = f"Missing required parameter: '{missing}'."
        raise BadRequest(message, code="missing_required_parameter", param=missing)
    strict = spec.get("strict") is True
    return _schema(spec["schema"], f"{param}.schema", name=spec["name"], strict=strict)


def _schema(schema: Any, param: str, *, name: str | None = None, strict: bool = False) -> Format:
    if not isinstance(schema, dict):
        raise _invalid(param, f"Invalid value for '{param}': a JSON Schema is an object.", "invalid_type")
    return Format("schema", schema, name, strict, param)


# --- vLLM


def _guided_json(value: Any, param: str) -> Format:
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            raise _invalid(param, f"Invalid value for '{param}': it is not valid JSON.") from None
    return _schema(value, param)


def _guided_choice(value: Any, param: str) -> Format:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        message = f"Invalid type for '{param}': expected a list of strings that is not empty."
        raise _invalid(param, message, "invalid_type")
    return Format("schema", {"type": "string", "enum": value}, param=param, unquote=True)


def _guided_regex(value: Any, param: str) -> Format:
    if not isinstance(value, str):
        raise _invalid(param, f"Invalid type for '{param}': expected a string.", "invalid_type")
    # vLLM's expression stands for the whole answer, JSON Schema's for some part of it.
    inner = value[1:-1] if value.startswith("^") and re.search(r"(?<!\\)\$\Z", value) else value
    try:
        return Format("schema", {"type": "string", "pattern": f"^(?:{inner})$"}, param=param, unquote=True)
    except BadRequest as error:
        raise _invalid(param, error.message) from error


def _structured_outputs(value: Any, param: str) -> Format | None:
    if not isinstance(value, Mapping):
        raise _invalid(param, f"Invalid type for '{param}': expected an object.", "invalid_type")
    for name in ("grammar", "structural_tag"):
        if value.get(name) is not None:
            raise _unsupported(f"{param}.{name}")
    for name, read in _STRUCTURED.items():
        if value.get(name) is not None:
            return read(value[name], f"{param}.{name}")
    return Format("json", param=param) if value.get("json_object") is True else None


# --- Ollama


def _format(value: Any, param: str) -> Format:
    if value == "json":
        return Format("json", param=param)
    if isinstance(value, dict):
        return _schema(value, param)
    raise _invalid(param, f"Invalid value for '{param}': expected 'json' or a JSON Schema.")


def _invalid(param: str, message: str, code: str = "invalid_value") -> BadRequest:
    return BadRequest(message, code=code, param=param)


def _unsupported(param: str) -> BadRequest:
    message = f"Unsupported parameter: '{param}' is not supported by this server. Use a JSON Schema instead."
    return BadRequest(message, code="unsupported_parameter", param=param)


_TYPES = ("json_object", "json_schema", "text")
_TYPES_TEXT = "'json_object', 'json_schema', and 'text'"
_UNSUPPORTED = ("grammar", "guided_grammar")

_STRUCTURED: dict[str, Callable[[Any, str], Format]] = {
    "json": _guided_json,
    "choice": _guided_choice,
    "regex": _guided_regex,
}
_READERS: dict[str, Callable[[Any, str], Format | None]] = {
    "response_format": _response_format,
    "structured_outputs": _structured_outputs,
    "guided_json": _guided_json,
    "guided_choice": _guided_choice,
    "guided_regex": _guided_regex,
    "json_schema": lambda value, param: _schema(value, param),
    "format": _format,
}
