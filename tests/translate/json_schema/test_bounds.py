"""What is out of bounds is refused, with the path at which it stands; everything usual passes."""

from __future__ import annotations

from typing import Any

import pytest

from o2o.errors import BadRequest
from o2o.translate.json_schema.bounds import MAX_BYTES, MAX_REPEATS, MAX_SCHEMAS, check_bounds

USUAL: list[dict[str, Any]] = [
    {},
    {"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]},
    {"$defs": {"N": {"properties": {"next": {"$ref": "#/$defs/N"}}}}, "$ref": "#/$defs/N"},
    {"properties": {"kids": {"items": {"$ref": "#"}}}},
    {"items": [{"type": "string"}, True], "additionalItems": False},
    {"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A"}], "$defs": {"A": {"const": None}}},
    {"type": "integer", "minimum": 1, "maximum": 1, "exclusiveMinimum": True, "multipleOf": 0.5},
    {"minLength": 2.0, "maxItems": MAX_REPEATS, "pattern": r"^(a|b){2}[*+?]\*$", "format": "date"},
    {"x-unknown": {"type": "banana"}, "const": {"$ref": 1}, "enum": [{"type": 5}], "required": [1, "a"]},
    {"properties": {"type": {"type": "string"}, "$ref": {"type": "string"}, "enum": {"const": []}}},
    {"type": "string", "pattern": r"^\(?=\*$"},
]


@pytest.mark.parametrize("schema", USUAL)
def test_a_usual_schema_passes(schema: dict[str, Any]) -> None:
    check_bounds(schema, "s", subject="x")


def nested(keyword: str, depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {keyword: [schema]} if keyword == "anyOf" else {keyword: schema}
    return schema


BROKEN: list[tuple[Any, str, str]] = [
    ("no schema", "", "must be an object"),
    (True, "", "must be an object"),
    ({"description": "x" * MAX_BYTES}, "", "longer than"),
    (nested("items", 32), ".items" * 32, "deeper than 32"),
    (nested("anyOf", 40), ".anyOf[0]" * 32, "deeper than 32"),
    (
        {"properties": {f"p{n}": {} for n in range(MAX_SCHEMAS)}},
        f".properties.p{MAX_SCHEMAS - 1}",
        "more than",
    ),
    ({"properties": {"a": {"type": "banana"}}}, ".properties.a.type", "'banana' is not a type"),
    ({"type": []}, ".type", "a string or a list"),
    ({"type": 5}, ".type", "a string or a list"),
    ({"type": ["string", 5]}, ".type", "what is no string is not a type"),
    ({"type": ["string", "string"]}, ".type", "twice"),
    ({"enum": []}, ".enum", "not empty"),
    ({"anyOf": {}}, ".anyOf", "not empty"),
    ({"anyOf": [5]}, ".anyOf[0]", "an object or a boolean"),
    ({"items": "string"}, ".items", "an object or a boolean"),
    ({"properties": []}, ".properties", "an object of schemas"),
    ({"required": True}, ".required", "a list of names"),
    ({"minLength": -1}, ".minLength", "not negative"),
    ({"minLength": 1.5}, ".minLength", "whole number"),
    ({"minLength": True}, ".minLength", "whole number"),
    ({"maxLength": MAX_REPEATS + 1}, ".maxLength", "greater than"),
    ({"items": {"maxItems": 10**9}}, ".items.maxItems", "greater than"),
    ({"minItems": 3, "maxItems": 2}, ".minItems", "greater than 'maxItems'"),
    ({"minimum": "1"}, ".minimum", "a number"),
    ({"maximum": True}, ".maximum", "a number"),
    ({"exclusiveMinimum": "1"}, ".exclusiveMinimum", "a number"),
    ({"multipleOf": 0}, ".multipleOf", "greater than 0"),
    ({"multipleOf": "1"}, ".multipleOf", "a number"),
    ({"format": 1}, ".format", "a string"),
    ({"pattern": 1}, ".pattern", "a string"),
    ({"$ref": 1}, ".$ref", "must begin with"),
    ({"$ref": "https://example.org/s.json"}, ".$ref", "must begin with"),
    ({"$ref": "#/$defs/Missing"}, ".$ref", "leads nowhere"),
    ({"$ref": "#anchor"}, ".$ref", "leads nowhere"),
    ({"$ref": "#/x-values/0", "x-values": ["no schema"]}, ".$ref", "an object or a boolean"),
    ({"$ref": "#/x/y", "x": {"y": {"type": "banana"}}}, ".$ref.type", "is not a type"),
]


@pytest.mark.parametrize(("schema", "path", "reason"), BROKEN)
def test_a_broken_schema_is_refused_with_its_path(schema: Any, path: str, reason: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check_bounds(schema, "tools[0]", subject="function 'f'", code="invalid_function_parameters")
    assert caught.value.http_status == 400
    assert caught.value.code == "invalid_function_parameters"
    assert caught.value.param is not None
    assert caught.value.param.startswith(f"tools[0]{path}"[:199])
    assert caught.value.message.startswith("Invalid schema for function 'f': ")
    assert reason in caught.value.message


@pytest.mark.parametrize(
    "pattern",
    [
        "a" * 257,
        "(" * 17 + ")" * 17,
        "(?=a)b",
        "(?!a)",
        "(?<=a)",
        "(?<!a)",
        "*a",
        "^+a",
        "(?:?a)",
        "a|{2}",
        "(*)",
    ],
)
def test_a_dangerous_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check_bounds({"properties": {"a": {"pattern": pattern}}}, "s", subject="x")
    assert caught.value.param == "s.properties.a.pattern"
    assert caught.value.code is None


def test_patterns_are_not_looked_at_where_they_do_not_travel() -> None:
    check_bounds({"pattern": "(?!a)" * 100}, "s", subject="x", patterns=False)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"anyOf": [{"$ref": "#/$defs/A"}]}}},
        {"allOf": [{"type": "object"}, {"$ref": "#"}]},
        {"properties": {"a": {"not": {"$ref": "#/properties/a"}}}},
    ],
)
def test_a_schema_that_only_refers_to_itself_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="refers to itself"):
        check_bounds(schema, "s", subject="x")


def test_a_long_chain_of_references_is_walked() -> None:
    defs: dict[str, Any] = {f"a{n}": {"items": {"$ref": f"#/$defs/a{n + 1}"}} for n in range(450)}
    check_bounds({"$ref": "#/$defs/a0", "$defs": {**defs, "a450": {}}}, "s", subject="x")


def test_doublings_are_counted_once() -> None:
    defs: dict[str, Any] = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(30)}
    check_bounds({"$ref": "#/$defs/d0", "$defs": {**defs, "d30": {}}}, "s", subject="x")
