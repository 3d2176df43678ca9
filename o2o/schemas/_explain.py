"""What a refusal says: OpenAI's sentence, code and param for one problem with a body."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from o2o.errors import BadRequest, clip


class Problem(NamedTuple):
    """Where in a body which keyword of which schema does not hold."""

    path: list[str | int]
    keyword: str
    limit: Any
    """The keyword's value in the schema."""
    value: Any
    """What stands at `path`; of any size, never to be shown unclipped."""
    schema: dict[str, Any]


Explain = Callable[[str, Problem], BadRequest]

_NOT_AN_OBJECT = (
    "We could not parse the JSON body of your request. "
    "(HINT: the body has to be a JSON object that holds the parameters, but it is {got}.)"
)
_SHOWABLE_KEY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# OpenAI names the whole of it when its name or its schema is missing.
_TOLD_BY_PARENT = {"response_format.json_schema"}


def to_bad_request(problem: Problem) -> BadRequest:
    """Return what the caller is told about `problem`; at most 200 characters of the body are repeated."""
    path = problem.path
    if problem.keyword == "type" and not path:
        return BadRequest(_NOT_AN_OBJECT.format(got=_got(problem.value)))
    if problem.keyword == "required":
        return _missing([*path, next(name for name in problem.limit if name not in problem.value)])
    # Null stands for "not given", so a schema refuses it only where a parameter is required.
    if problem.keyword == "type" and problem.value is None and isinstance(path[-1], str):
        return _missing(path)
    return _EXPLANATIONS[problem.keyword](param_of(path), problem)


def param_of(path: Iterable[str | int]) -> str:
    """Write a path as OpenAI does, `messages[0].content[1].text`, up to a key that is not fit to be shown."""
    written = ""
    for step in path:
        if isinstance(step, int):
            written += f"[{step}]"
        elif _SHOWABLE_KEY.fullmatch(step):
            written += f".{step}" if written else step
        else:
            break
    return written


def _refusal(message: str, code: str, param: str) -> BadRequest:
    return BadRequest(message, code=code, param=param)


def _missing(path: list[str | int]) -> BadRequest:
    full, parent = param_of(path), param_of(path[:-1])
    told = parent if parent in _TOLD_BY_PARENT else full
    return _refusal(f"Missing required parameter: '{full}'.", "missing_required_parameter", told)


def _wrong_type(param: str, problem: Problem) -> BadRequest:
    expected = f"expected {_expected(problem.schema)}, but got {_got(problem.value)} instead."
    return _refusal(f"Invalid type for '{param}': {expected}", "invalid_type", param)


def _unknown_value(param: str, problem: Problem) -> BadRequest:
    supported = _listed([f"'{value}'" for value in problem.limit if value], "and")
    message = f"Invalid value: '{clip(str(problem.value))}'. Supported values are: {supported}."
    return _refusal(message, "invalid_value", param)


def _out_of_range(sign: str, fault: str, code: str) -> Explain:
    def explain(param: str, problem: Problem) -> BadRequest:
        kind = "decimal" if "number" in problem.schema.get("type", "integer") else "integer"
        expected = f"Expected a value {sign} {problem.limit}, but got {_number(problem.value)} instead."
        return _refusal(f"Invalid '{param}': {kind} {fault} value. {expected}", f"{kind}_{code}", param)

    return explain


def _wrong_size(fault: str, code: str, noun: str, bound: str, size: str) -> Explain:
    def explain(param: str, problem: Problem) -> BadRequest:
        count = len(problem.value)
        got = f"{_a(noun)} with {size} {count}" if count else f"an empty {noun}"
        expected = f"Expected {_a(noun)} with {bound} {size} {problem.limit}, but got {got} instead."
        return _refusal(f"Invalid '{param}': {fault}. {expected}", code, param)

    return explain


def _wrong_text(param: str, problem: Problem) -> BadRequest:
    message = f"Invalid '{param}': string does not match pattern. Expected {problem.schema['title']}."
    return _refusal(message, "invalid_value", param)


_EXPLANATIONS: dict[str, Explain] = {
    "type": _wrong_type,
    "enum": _unknown_value,
    "pattern": _wrong_text,
    "minimum": _out_of_range(">=", "below minimum", "below_min_value"),
    "maximum": _out_of_range("<=", "above maximum", "above_max_value"),
    "minItems": _wrong_size("empty array", "empty_array", "array", "minimum", "length"),
    "maxItems": _wrong_size("array too long", "array_above_max_length", "array", "maximum", "length"),
    "minLength": _wrong_size("empty string", "empty_string", "string", "minimum", "length"),
    "maxLength": _wrong_size("string too long", "string_above_max_length", "string", "maximum", "length"),
    "maxProperties": _wrong_size(
        "too many properties", "object_above_max_properties", "object", "maximum", "property count"
    ),
}


def _expected(schema: dict[str, Any]) -> str:
    if "description" in schema:
        return str(schema["description"])
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    nouns = [_noun(kind, schema) for kind in kinds if kind != "null"]
    if len(nouns) == 1:
        return _a(nouns[0])
    return f"one of {_listed([_a(nouns[0]), *nouns[1:]], 'or')}"


def _noun(kind: str, schema: dict[str, Any]) -> str:
    if kind == "array" and "type" in schema.get("items", ()):
        return f"array of {schema['items']['type']}s"
    return "decimal" if kind == "number" else kind


def _got(value: object) -> str:
    # In this order, since a bool is an int.
    kinds = (
        (bool, "a boolean"),
        (int, "an integer"),
        (float, "a decimal"),
        (str, "a string"),
        (list, "an array"),
    )
    if value is None:
        return "null"
    return next((noun for kind, noun in kinds if isinstance(value, kind)), "an object")


def _number(value: float) -> str:
    # Python does not write integers of more than 4,300 digits.
    if isinstance(value, int) and value.bit_length() > 256:
        return "a number too large to show"
    return str(value)


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def _listed(items: list[str], last: str) -> str:
    if len(items) < 3:
        return f" {last} ".join(items)
    return f"{', '.join(items[:-1])}, {last} {items[-1]}"
