"""Two schemas at once as one: what `allOf`, and keywords beside a `$ref` or an `anyOf`, mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from o2o.translate.json_schema.places import MAPS, SINGLES, Schema, frozen, types_of

ANNOTATIONS = frozenset(
    "$anchor $comment $id $schema default deprecated description discriminator example examples readOnly strict "
    "title writeOnly".split()
)
"""Keywords that say nothing about which values fit."""


def merge(first: Schema | bool, second: Schema | bool) -> Schema | bool:
    """Return a schema that takes what both take, or more where one schema cannot say it; false if nothing fits.

    Where both say something about the same part of a value, the merged schema has an `allOf` there. Of
    annotations the first's stay.
    """
    if first is False or second is False:
        return False
    if first is True or second is True:
        return second if first is True else first
    first, second = _as_enum(first), _as_enum(second)
    found = dict(first)
    for keyword, value in second.items():
        if keyword not in found:
            found[keyword] = value
        elif keyword in _BOTH:
            found[keyword] = _BOTH[keyword](found[keyword], value)
    if "nullable" in found and not (first.get("nullable") and second.get("nullable")):
        del found["nullable"]
    if "anyOf" in first and "anyOf" in second:
        # A second choice finds its place under the other keyword, or is left to the check of the answer.
        found.setdefault("oneOf", second["anyOf"])
    if "oneOf" in first and "oneOf" in second:
        found.setdefault("anyOf", second["oneOf"])
    return False if found.get("type") == [] or found.get("enum") == [] else found


def only_annotates(schema: Schema) -> bool:
    """Tell whether a schema says nothing about which values fit."""
    return ANNOTATIONS.issuperset(schema)


def without(schema: Schema, *keywords: str) -> Schema:
    """Return a schema without some of its keywords."""
    return {keyword: value for keyword, value in schema.items() if keyword not in keywords}


def or_null(schema: Schema) -> Schema:
    """Return what OpenAPI's `nullable` means, without the keyword."""
    rest = without(schema, "nullable")
    if "type" in rest and not {"enum", "const", "$ref", "allOf", "anyOf", "oneOf"} & rest.keys():
        kinds = types_of(rest)
        return rest if "null" in kinds else {**rest, "type": [*kinds, "null"]}
    notes = {keyword: value for keyword, value in rest.items() if keyword in ANNOTATIONS}
    return {**notes, "anyOf": [without(rest, *notes), {"type": "null"}]}


def _as_enum(schema: Schema) -> Schema:
    if "const" not in schema:
        return schema
    only = {**without(schema, "const"), "enum": [schema["const"]]}
    return only if "enum" not in schema else {**only, "enum": _shared(schema["enum"], only["enum"])}


def _shared(first: list[Any], second: list[Any]) -> list[Any]:
    known = {frozen(value) for value in second}
    return [value for value in first if frozen(value) in known]


def _types(first: Any, second: Any) -> Any:
    if first == second:
        return first
    ours, theirs = types_of({"type": first}), types_of({"type": second})
    found = [kind for kind in ours if kind in theirs or (kind == "integer" and "number" in theirs)]
    found += [kind for kind in theirs if kind == "integer" and "number" in ours and kind not in ours]
    return found[0] if len(found) == 1 else found


def _together(first: Any, second: Any) -> Any:
    """Merge two schemas for the same part of a value, when somebody looks at it."""
    if first == second:
        return first
    return {"allOf": [first, second]}


def _named(first: Schema, second: Schema) -> Schema:
    found = dict(first)
    for name, part in second.items():
        found[name] = _together(found[name], part) if name in found else part
    return found


def _in_order(first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
    shorter = min(len(first), len(second))
    both = [_together(ours, theirs) for ours, theirs in zip(first, second)]  # noqa: B905 # the rest follows
    return [*both, *first[shorter:], *second[shorter:]]


def _items(first: Any, second: Any) -> Any:
    lists = isinstance(first, list) + isinstance(second, list)
    if lists == 1:
        return first if isinstance(first, list) else second
    return _in_order(first, second) if lists else _together(first, second)


def _united(first: list[Any], second: list[Any]) -> list[Any]:
    return first + [name for name in second if name not in first]


def _least(first: Any, second: Any) -> Any:
    return first if isinstance(second, bool) or (not isinstance(first, bool) and first >= second) else second


def _most(first: Any, second: Any) -> Any:
    return first if isinstance(second, bool) or (not isinstance(first, bool) and first <= second) else second


def _joined(first: Any, second: Any) -> Any:
    return [*first, *second]


_BOTH: dict[str, Callable[[Any, Any], Any]] = {
    "type": _types,
    "enum": _shared,
    "required": _united,
    "prefixItems": _in_order,
    "items": _items,
    "allOf": _joined,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), _least),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), _most),
    **dict.fromkeys(MAPS, _named),
    **{name: _together for name in SINGLES if name not in ("items", "not", "if", "then", "else")},
}
"""What becomes of a keyword that both have; of others the first's value stays."""
