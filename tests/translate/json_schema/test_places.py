"""Schemas within schemas, references, and equality are found as JSON Schema has them."""

from __future__ import annotations

from typing import Any

import pytest

from o2o.translate.json_schema.places import frozen, implied_types, is_type, parts, resolve, types_of

ROOT = {"$defs": {"a b": {"x": 1}, "c/d~e": [10, {"y": 2}]}, "type": "object"}


@pytest.mark.parametrize(
    ("ref", "target"),
    [
        ("#", ROOT),
        ("#/$defs/a%20b", {"x": 1}),
        ("#/$defs/c~1d~0e/1", {"y": 2}),
        ("#/$defs/c~1d~0e/0", 10),
    ],
)
def test_a_reference_is_followed_through_objects_lists_and_escapes(ref: str, target: Any) -> None:
    assert resolve(ROOT, ref) == target


@pytest.mark.parametrize(
    "ref",
    [
        "#/$defs/none",
        "#/$defs/c~1d~0e/2",
        "#/$defs/c~1d~0e/x",
        "#/type/x",
        "#anchor",
        "https://example.org/s",
        "",
    ],
)
def test_a_reference_that_leads_nowhere_is_a_lookup_error(ref: str) -> None:
    with pytest.raises(LookupError):
        resolve(ROOT, ref)


def test_parts_are_all_places_of_schemas_and_no_values() -> None:
    schema = {
        "properties": {"p": True, "const": {"type": "string"}},
        "items": [{"a": 1}],
        "anyOf": [{}],
        "not": {"b": 1},
        "additionalProperties": False,
        "const": {"type": "object"},
        "enum": [{"type": "object"}],
        "default": {},
        "required": ["p"],
        "patternProperties": [],
    }
    assert {place: same for place, _, same in parts(schema)} == {
        ".properties.p": False,
        ".properties.const": False,
        ".items[0]": False,
        ".anyOf[0]": True,
        ".not": True,
        ".additionalProperties": False,
    }


def test_items_may_be_one_schema() -> None:
    assert list(parts({"items": {"type": "string"}})) == [(".items", {"type": "string"}, False)]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ([1, {"a": [True]}], [1.0, {"a": [True]}], True),
        ([1], [True], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ([], {}, False),
        (None, False, False),
        ("1", 1, False),
    ],
)
def test_json_values_are_the_same_as_json_schema_says(one: Any, other: Any, same: bool) -> None:
    assert (frozen(one) == frozen(other)) is same


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        (True, {"boolean"}),
        (1, {"integer", "number"}),
        (1.0, {"integer", "number"}),
        (1.5, {"number"}),
        ("", {"string"}),
        (None, {"null"}),
        ([], {"array"}),
        ({}, {"object"}),
    ],
)
def test_a_value_is_of_its_types_only(value: Any, kinds: set[str]) -> None:
    every = ("object", "array", "string", "number", "integer", "boolean", "null")
    assert {kind for kind in every if is_type(value, kind)} == kinds


def test_types_are_named_or_implied() -> None:
    assert types_of({"type": "string"}) == ["string"]
    assert types_of({"type": ["string", "null"]}) == ["string", "null"]
    assert types_of({}) == []
    assert implied_types({"minLength": 1, "items": {}}) == ["array", "string"]
