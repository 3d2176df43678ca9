"""Two schemas merged take what both take."""

from __future__ import annotations

from typing import Any

import pytest

from o2o.translate.json_schema.merging import merge, only_annotates, or_null, without

STRING = {"type": "string"}


@pytest.mark.parametrize(
    ("first", "second", "merged"),
    [
        (True, STRING, STRING),
        (STRING, True, STRING),
        (False, STRING, False),
        (STRING, False, False),
        (STRING, {"minLength": 1}, {"type": "string", "minLength": 1}),
        (STRING, {"type": "integer"}, False),
        ({"type": ["string", "number"]}, {"type": ["integer", "string"]}, {"type": ["string", "integer"]}),
        ({"type": "integer"}, {"type": "number"}, {"type": "integer"}),
        (STRING, STRING, STRING),
        ({"const": 1}, {"enum": [1.0, 2]}, {"enum": [1]}),
        ({"const": 1}, {"const": 2}, False),
        ({"const": 1, "enum": [1, 2]}, {}, {"enum": [1]}),
        ({"minimum": 1}, {"minimum": 2}, {"minimum": 2}),
        ({"minimum": 3}, {"minimum": 2}, {"minimum": 3}),
        ({"maximum": 1}, {"maximum": 2}, {"maximum": 1}),
        ({"maximum": 3}, {"maximum": 2}, {"maximum": 2}),
        ({"exclusiveMinimum": 3}, {"exclusiveMinimum": True}, {"exclusiveMinimum": 3}),
        ({"exclusiveMaximum": True}, {"exclusiveMaximum": 3}, {"exclusiveMaximum": 3}),
        ({"required": ["a", "b"]}, {"required": ["b", "c"]}, {"required": ["a", "b", "c"]}),
        ({"description": "first"}, {"description": "second"}, {"description": "first"}),
        ({"pattern": "a"}, {"pattern": "b"}, {"pattern": "a"}),
        ({"nullable": True, "type": "string"}, {"nullable": True}, {"nullable": True, "type": "string"}),
        ({"nullable": True, "type": "string"}, {}, {"type": "string"}),
        ({"allOf": [{}]}, {"allOf": [STRING]}, {"allOf": [{}, STRING]}),
        ({"anyOf": [STRING]}, {"anyOf": [{}]}, {"anyOf": [STRING], "oneOf": [{}]}),
        ({"oneOf": [STRING]}, {"oneOf": [{}]}, {"oneOf": [STRING], "anyOf": [{}]}),
        (
            {"properties": {"a": STRING, "b": STRING}},
            {"properties": {"a": {"minLength": 1}, "b": STRING, "c": {}}},
            {"properties": {"a": {"allOf": [STRING, {"minLength": 1}]}, "b": STRING, "c": {}}},
        ),
        ({"items": STRING}, {"items": {"minLength": 1}}, {"items": {"allOf": [STRING, {"minLength": 1}]}}),
        ({"items": [STRING]}, {"items": STRING}, {"items": [STRING]}),
        ({"items": STRING}, {"items": [STRING]}, {"items": [STRING]}),
        ({"items": [STRING]}, {"items": [STRING, {}]}, {"items": [STRING, {}]}),
        (
            {"prefixItems": [STRING, {}]},
            {"prefixItems": [{}]},
            {"prefixItems": [{"allOf": [STRING, {}]}, {}]},
        ),
        (
            {"additionalProperties": False},
            {"additionalProperties": STRING},
            {"additionalProperties": {"allOf": [False, STRING]}},
        ),
    ],
)
def test_merging(first: Any, second: Any, merged: Any) -> None:
    assert merge(first, second) == merged


def test_merging_changes_neither() -> None:
    first, second = {"properties": {"a": STRING}, "const": 1}, {"properties": {"a": {}}, "nullable": True}
    before = repr((first, second))
    merge(first, second)
    assert repr((first, second)) == before


@pytest.mark.parametrize(
    ("schema", "open_to_null"),
    [
        ({"type": "string", "nullable": True, "title": "T"}, {"type": ["string", "null"], "title": "T"}),
        ({"type": ["string", "null"], "nullable": True}, {"type": ["string", "null"]}),
        (
            {"type": "string", "enum": ["a"], "nullable": True, "description": "d"},
            {"description": "d", "anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
        ),
        ({"$ref": "#/a", "nullable": True}, {"anyOf": [{"$ref": "#/a"}, {"type": "null"}]}),
    ],
)
def test_nullable_means_or_null(schema: dict[str, Any], open_to_null: dict[str, Any]) -> None:
    assert or_null(schema) == open_to_null


def test_annotations_say_nothing_about_values() -> None:
    assert only_annotates({"title": "t", "default": 1})
    assert not only_annotates({"title": "t", "type": "string"})
    assert without({"a": 1, "b": 2}, "a", "c") == {"b": 2}
