"""Where schemas stand inside a schema, where a `$ref` leads, and when two JSON values are the same."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any
from urllib.parse import unquote

Schema = dict[str, Any]

TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")

MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""Keywords whose values are schemas by name."""
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
"""Keywords whose values are lists of schemas."""
SINGLES = (
    "additionalItems",
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
)
"""Keywords whose value is one schema; draft-07's `items` may be a list of them."""

_IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")

IMPLIED = {
    "object": (
        *("properties", "required", "additionalProperties", "patternProperties"),
        *("minProperties", "maxProperties", "propertyNames"),
    ),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"),
    "string": ("pattern", "format", "minLength", "maxLength"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
"""Keywords that speak of one type only."""


def resolve(root: Any, ref: str) -> Any:
    """Return what a local reference names, a schema or not; LookupError if nothing."""
    pointer = unquote(ref.removeprefix("#"))
    if not ref.startswith("#") or (pointer and not pointer.startswith("/")):
        raise LookupError(ref)
    target = root
    for part in pointer.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if isinstance(target, dict):
            target = target[part]
        elif isinstance(target, list) and part.isdecimal() and int(part) < len(target):
            target = target[int(part)]
        else:
            raise LookupError(ref)
    return target


def parts(schema: Schema) -> Iterator[tuple[str, Any, bool]]:
    """Yield each schema that stands in `schema`: its path there, itself, and whether it judges the same value.

    What stands where a schema should, and is none, is yielded too.
    """
    for keyword, value in schema.items():
        same = keyword in _IN_PLACE
        if keyword in MAPS and isinstance(value, dict):
            for name, part in value.items():
                yield f".{keyword}.{name}", part, same
        elif isinstance(value, list) and (keyword in LISTS or keyword == "items"):
            for number, part in enumerate(value):
                yield f".{keyword}[{number}]", part, same
        elif keyword in SINGLES:
            yield f".{keyword}", value, same


def types_of(schema: Schema) -> list[str]:
    """Return the types that a schema names, by `type` alone; empty if it names none."""
    named = schema.get("type", [])
    return [named] if isinstance(named, str) else list(named)


def implied_types(schema: Schema) -> list[str]:
    """Return the types whose keywords a schema uses."""
    return [kind for kind, keywords in IMPLIED.items() if any(keyword in schema for keyword in keywords)]


def frozen(value: Any) -> Hashable:
    """Return a key that two JSON values share exactly if they are the same: 1 is 1.0, and true is not 1."""
    if isinstance(value, dict):
        return ("object", frozenset((name, frozen(item)) for name, item in value.items()))
    if isinstance(value, list):
        return ("array", tuple(frozen(item) for item in value))
    if isinstance(value, bool):
        return ("boolean", value)
    return value  # type: ignore[no-any-return] # what is left of JSON is hashable


def is_type(value: Any, kind: str) -> bool:
    """Tell whether a JSON value is of a type of JSON Schema; a number without a fraction is an integer."""
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, float):
        return kind == "number" or (kind == "integer" and value.is_integer())
    return kind in _PYTHON.get(type(value), ())


_PYTHON: dict[type, tuple[str, ...]] = {
    dict: ("object",),
    list: ("array",),
    str: ("string",),
    int: ("integer", "number"),
    type(None): ("null",),
}
