"""A finished value is held against a schema, as far as that is sure and ends."""

from __future__ import annotations

from typing import Any

import pytest

from o2o.translate.json_schema.conformity import violation


@pytest.mark.parametrize(
    ("schema", "value", "found"),
    [
        (True, 1, None),
        (False, 1, "must not be there"),
        ({"type": "string"}, 1, "must be of type string"),
        ({"type": ["string", "null"]}, 1, "must be of type string or null"),
        ({"type": "integer"}, 1.0, None),
        ({"type": "integer"}, True, "must be of type integer"),
        ({"type": "string", "nullable": True}, None, None),
        ({"enum": [1, "a"]}, 1.0, None),
        ({"enum": [1, "a"]}, True, "must be one of the enum's values"),
        ({"const": [1]}, [1.0], None),
        ({"const": [1]}, [2], "must be the const's value"),
        ({"required": ["a", 1]}, {"a": 1}, None),
        ({"required": ["a"]}, {}, "'a' is missing"),
        ({"required": ["a"]}, [], None),
        ({"properties": {"a": {"type": "null"}}}, {"a": 1}, "a: must be of type null"),
        ({"properties": {"a": {"type": "null"}}}, {"b": 1}, None),
        ({"properties": {"a": False}}, "a", None),
        ({"properties": {"a": {"items": {"type": "null"}}}}, {"a": [None, 1]}, "a[1]: must be of type null"),
        ({"items": {"properties": {"a": {"type": "null"}}}}, [{"a": 1}], "[0].a: must be of type null"),
        ({"additionalProperties": False, "properties": {"a": True}}, {"a": 1, "b": 2}, "'b' is not allowed"),
        ({"additionalProperties": False, "properties": {"a": True}}, {"a": 1}, None),
        ({"additionalProperties": {"type": "null"}}, {"a": 1}, "a: must be of type null"),
        ({"additionalProperties": False}, [], None),
        ({"additionalProperties": False, "patternProperties": {"^a": {}}}, {"a": 1}, None),
        ({"minProperties": 1}, {}, "must have at least 1 properties"),
        ({"maxProperties": 1}, {"a": 1, "b": 2}, "must have at most 1 properties"),
        ({"minItems": 1}, [], "must have at least 1 items"),
        ({"maxItems": 1}, [1, 2], "must have at most 1 items"),
        ({"maxItems": 1}, "ab", None),
        ({"minLength": 2}, "é", "must have at least 2 characters"),
        ({"maxLength": 1}, "é", None),
        ({"maxLength": 1}, "ab", "must have at most 1 characters"),
        ({"items": False}, [1], "must have at most 0 items"),
        ({"items": False, "prefixItems": [True]}, [1], None),
        ({"items": False, "prefixItems": [True]}, [1, 2], "must have at most 1 items"),
        ({"items": {"type": "null"}, "prefixItems": [True]}, [1, 2], "[1]: must be of type null"),
        ({"items": {"type": "null"}}, "a", None),
        ({"prefixItems": [{"type": "null"}]}, [1], "[0]: must be of type null"),
        ({"prefixItems": [{"type": "null"}]}, "a", None),
        ({"items": [{"type": "null"}]}, [1], "[0]: must be of type null"),
        ({"items": [True], "additionalItems": {"type": "null"}}, [1, 2], "[1]: must be of type null"),
        ({"items": [True], "additionalItems": False}, [1], None),
        ({"items": True, "additionalItems": False}, [1], None),
        ({"uniqueItems": True}, [1, 1.0], "has an item twice"),
        ({"uniqueItems": True}, [1, True, "1", [1], {"a": 1}], None),
        ({"uniqueItems": False}, [1, 1], None),
        ({"uniqueItems": True}, "aa", None),
        ({"minimum": 1}, 1, None),
        ({"minimum": 1}, 0.5, "must be at least 1"),
        ({"maximum": 1}, 1.5, "must be at most 1"),
        ({"maximum": 1}, "2", None),
        ({"maximum": 0}, True, None),
        ({"minimum": 1, "exclusiveMinimum": True}, 1, "must be greater than 1"),
        ({"exclusiveMinimum": 1}, 1, "must be greater than 1"),
        ({"exclusiveMaximum": 1}, 1, "must be less than 1"),
        ({"exclusiveMaximum": 1}, 0, None),
        ({"exclusiveMaximum": False}, 1, None),
        ({"exclusiveMaximum": 1}, "x", None),
        ({"multipleOf": 0.1}, 0.3, None),
        ({"multipleOf": 0.1}, 0.35, "must be a multiple of 0.1"),
        ({"multipleOf": 3}, "x", None),
        ({"allOf": [{"type": "object"}, {"required": ["a"]}]}, {}, "'a' is missing"),
        ({"allOf": [{"type": "object"}]}, {}, None),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, "a", None),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, 1, "matches no schema of anyOf"),
        ({"anyOf": [{"properties": {"a": {"type": "null"}}}]}, {"a": 1}, "a: must be of type null"),
        ({"oneOf": [{"type": "null"}, {"type": "string"}]}, 1, "matches no schema of oneOf"),
        ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, 1, "matches more than one schema of oneOf"),
        ({"oneOf": [{"type": "number"}, {"type": "string"}]}, 1, None),
        ({"not": {"type": "string"}}, "a", "matches the schema of not"),
        ({"not": {"type": "string"}}, 1, None),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "null"}}}, 1, "must be of type null"),
        ({"items": {"$ref": "#"}, "type": "array"}, [[], [1]], "[1][0]: must be of type array"),
        ({"$ref": "#/nowhere"}, 1, None),
    ],
)
def test_a_violation_is_found_where_it_is(schema: Any, value: Any, found: str | None) -> None:
    assert violation(schema, value) == found


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": "^b", "format": "date"}, "a"),
        ({"not": {"pattern": "^b"}}, "a"),
        ({"not": {"if": {}, "then": False}}, "a"),
        ({"not": {"additionalProperties": False, "patternProperties": {"^b": {}}}}, {"a": 1}),
        ({"not": {"$ref": "#/nowhere"}}, 1),
        ({"oneOf": [{"format": "ipv4"}, {"format": "ipv6"}]}, "::1"),
        ({"not": {"anyOf": [{"pattern": "x"}]}}, "a"),
        ({"not": {"anyOf": [{"pattern": "x"}, {"type": "null"}]}}, "a"),
        ({"not": {"allOf": [{"not": {"pattern": "x"}}]}}, "a"),
    ],
)
def test_nothing_is_claimed_of_what_is_not_judged(schema: Any, value: Any) -> None:
    assert violation(schema, value) is None


def test_a_pattern_leaves_values_that_are_no_strings_judged() -> None:
    assert violation({"not": {"pattern": "^b"}}, 1) == "matches the schema of not"
    assert violation({"not": {"title": "anything"}}, 1) == "matches the schema of not"
    sure_after_all = {"not": {"anyOf": [{"pattern": "x", "type": "null"}, {"type": "string"}]}}
    assert violation(sure_after_all, "a") == "matches the schema of not"


def test_a_path_is_clipped() -> None:
    found = violation({"additionalProperties": {"type": "null"}}, {"k" * 500: 1})
    assert found is not None
    assert len(found) < 200


def test_the_check_of_a_bomb_ends_without_a_claim() -> None:
    defs: dict[str, Any] = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    assert violation({"$ref": "#/$defs/d0", "$defs": {**defs, "d40": {"type": "null"}}}, None) is None


def test_the_check_of_a_deep_value_ends_without_a_claim() -> None:
    value: Any = 1
    for _ in range(300):
        value = [value]
    assert violation({"items": {"$ref": "#"}, "type": "array"}, value) is None


def test_references_may_lead_into_another_root() -> None:
    assert violation({"$ref": "#/$defs/A"}, 1, root={"$defs": {"A": False}}) == "must not be there"


def test_large_values_of_an_enum_are_weighed_once() -> None:
    large = {f"k{n}": [n] * 20 for n in range(400)}
    assert violation({"items": {"enum": [large, 1]}}, [1] * 20_000) is None
    assert violation({"items": {"const": large}}, [large]) is None
