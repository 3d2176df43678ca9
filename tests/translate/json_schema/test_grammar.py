"""Schemas reach llama.cpp's converter in words that it reads rightly."""

from __future__ import annotations

from typing import Any

import pytest

from o2o.errors import BadRequest
from o2o.translate.json_schema.bounds import check_bounds
from o2o.translate.json_schema.grammar import ANY, Grammar, for_grammar

STRING = {"type": "string"}


def said(schema: dict[str, Any], *, lenient: bool = False) -> dict[str, Any]:
    check_bounds(schema, "s", subject="x")
    return for_grammar(schema, "s", subject="x", lenient=lenient)


@pytest.mark.parametrize(
    "schema",
    [
        {
            "type": "object",
            "properties": {"city": STRING},
            "required": ["city"],
            "additionalProperties": False,
        },
        {
            "$defs": {"Step": {"properties": {"n": {"type": "integer"}}, "title": "Step", "type": "object"}},
            "properties": {"steps": {"items": {"$ref": "#/$defs/Step"}, "type": "array"}},
            "type": "object",
        },
        {"type": "string", "enum": ["yes", "no"], "description": "d"},
        {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3},
        {"anyOf": [{"type": "object", "properties": {"x": STRING}}, {"type": "null"}], "title": "t"},
        {"type": "integer", "minimum": 5, "maximum": 7},
        {"type": "string", "format": "date", "x-unknown": {"a": [1]}},
        {"type": "object", "additionalProperties": {"type": "number"}},
        {"type": "object", "properties": {}},
        {"type": "array", "prefixItems": [STRING, {"const": 1}]},
        {"type": ["string", "null"], "minLength": 2},
    ],
)
def test_what_the_converter_understands_goes_as_it_came(schema: dict[str, Any]) -> None:
    found = said(schema)
    assert found == schema
    assert list(found.get("properties", ())) == list(schema.get("properties", ()))


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ({}, {"type": "object"}),
        ({"title": "anything"}, {"title": "anything", **ANY}),
        ({"properties": {"a": True, "b": {}}}, {"type": "object", "properties": {"a": ANY, "b": ANY}}),
        ({"properties": {"a": False, "b": STRING}}, {"type": "object", "properties": {"b": STRING}}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"minLength": 1, "minimum": 1}, {"type": ["string", "number"], "minLength": 1, "minimum": 1}),
        # values
        ({"type": "string", "enum": ["a", 3]}, {"type": "string", "enum": ["a"]}),
        ({"const": 1, "pattern": "x", "default": 1}, {"const": 1, "default": 1}),
        ({"enum": [{"$ref": "#"}, 1]}, {"enum": [1]}),
        ({"type": "string", "default": {"$ref": "#"}}, STRING),
        # choices
        ({"anyOf": [False, STRING]}, {"anyOf": [STRING]}),
        (
            {
                "type": "object",
                "properties": {"x": STRING},
                "oneOf": [{"required": ["x"]}, {"type": "string"}],
            },
            {"oneOf": [{"type": "object", "properties": {"x": STRING}, "required": ["x"]}]},
        ),
        (
            {"title": "t", "anyOf": [{"type": "string"}], "oneOf": [{"minLength": 1}]},
            {"title": "t", "oneOf": [{"anyOf": [{"type": "string", "minLength": 1}]}]},
        ),
        (
            {
                "allOf": [
                    {"properties": {"a": STRING}},
                    {"properties": {"a": {"minLength": 1}}, "required": ["a"]},
                ]
            },
            {"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}, "required": ["a"]},
        ),
        # objects
        (
            {"type": "object", "required": ["q", "q", 5]},
            {"type": "object", "properties": {"q": ANY}, "required": ["q"], "additionalProperties": True},
        ),
        (
            {"type": "object", "required": ["q"], "additionalProperties": STRING},
            {
                "type": "object",
                "properties": {"q": STRING},
                "required": ["q"],
                "additionalProperties": STRING,
            },
        ),
        (
            {"type": "object", "patternProperties": {"^a": STRING}, "additionalProperties": False},
            {"type": "object", "additionalProperties": {"anyOf": [STRING]}},
        ),
        ({"type": "object", "additionalProperties": {}}, {"type": "object", "additionalProperties": True}),
        (
            {"type": "object", "additionalProperties": {"anyOf": [False]}},
            {"type": "object", "additionalProperties": False},
        ),
        (
            {"properties": {"é": STRING}, "additionalProperties": True},
            {"type": "object", "properties": {"é": STRING}, "additionalProperties": False},
        ),
        ({"properties": {"$ref": STRING, "a": STRING}}, {"type": "object", "properties": {"a": STRING}}),
        # arrays
        ({"type": "array", "items": True}, {"type": "array", "items": ANY}),
        ({"type": "array", "minItems": 2.0}, {"type": "array", "minItems": 2, "items": ANY}),
        ({"type": "array", "items": False}, {"type": "array", "items": ANY, "maxItems": 0}),
        ({"type": "array", "uniqueItems": True}, {"type": "array", "uniqueItems": True}),
        ({"items": STRING, "maxItems": 5000}, {"type": "array", "items": STRING}),
        (
            {"type": "array", "prefixItems": [STRING], "items": False},
            {"type": "array", "prefixItems": [STRING]},
        ),
        (
            {"type": "array", "prefixItems": [STRING], "items": {"type": "null"}, "minItems": 2},
            {"type": "array", "prefixItems": [STRING, {"type": "null"}], "minItems": 2},
        ),
        (
            {"type": "array", "items": [STRING, True], "additionalItems": False, "maxItems": 1},
            {"type": "array", "items": [STRING], "maxItems": 1},
        ),
        (
            {"type": "array", "prefixItems": [STRING], "maxItems": 0},
            {"type": "array", "items": ANY, "maxItems": 0},
        ),
        # strings and numbers
        ({"type": "string", "pattern": r"^\d$"}, {"type": "string", "pattern": "^[0-9]$"}),
        ({"type": "string", "minLength": 2.0, "maxLength": 5000}, {"type": "string", "minLength": 2}),
        (
            {"type": "integer", "minimum": 1.5, "exclusiveMaximum": 7},
            {"type": "integer", "minimum": 2, "maximum": 6},
        ),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": 1}, {"type": "integer", "minimum": 2}),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, {"type": "integer", "minimum": 2}),
        ({"type": "integer", "maximum": 1.5, "exclusiveMaximum": True}, {"type": "integer", "maximum": 1}),
        ({"type": "integer", "exclusiveMinimum": False}, {"type": "integer", "exclusiveMinimum": False}),
        ({"type": "integer", "minimum": -(10**30)}, {"type": "integer"}),
        (
            {"type": ["integer", "string"], "minimum": 1.2, "maximum": 1.8},
            STRING,
        ),
        ({"type": "integer", "maximum": -5.5}, {"type": "integer", "maximum": -6}),
        ({"type": "number", "exclusiveMinimum": 1.5}, {"type": "number", "exclusiveMinimum": 1.5}),
        # what no grammar says
        (
            {"type": "string", "not": {"const": "a"}, "if": {}, "then": {"$ref": "#/x"}, "x": {}},
            {**STRING, "x": {}},
        ),
    ],
)
def test_what_it_misreads_is_said_in_other_words(schema: dict[str, Any], written: dict[str, Any]) -> None:
    found = said(schema)
    assert found == written


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        (
            {
                "type": "object",
                "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}},
                "title": "T",
            },
            {
                "type": "object",
                "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/root"}}},
                "title": "T",
                "$defs": {
                    "root": {
                        "type": "object",
                        "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/root"}}},
                        "title": "T",
                    }
                },
            },
        ),
        (
            {"$ref": "#/definitions/Box[int]", "definitions": {"Box[int]": STRING}},
            {"$ref": "#/$defs/Box-int-", "$defs": {"Box-int-": STRING}},
        ),
        (
            {
                "anyOf": [{"$ref": "#/$defs/a_b"}, {"$ref": "#/$defs/a-b"}, {"$ref": "#/anyOf/3"}, STRING],
                "$defs": {"a_b": {"const": 1}, "a-b": {"const": 2}},
            },
            {
                "anyOf": [{"$ref": "#/$defs/a_b"}, {"$ref": "#/$defs/a-b-2"}, {"$ref": "#/$defs/3"}, STRING],
                "$defs": {"a_b": {"const": 1}, "a-b-2": {"const": 2}, "3": STRING},
            },
        ),
        (
            {
                "items": {"$ref": "#/$defs/A", "description": "d"},
                "$defs": {"A": {"$ref": "#/$defs/B"}, "B": False},
            },
            {
                "type": "array",
                "items": {"$ref": "#/$defs/A", "description": "d"},
                "$defs": {"A": {"$ref": "#/$defs/B"}, "B": ANY},
            },
        ),
        (
            {"$ref": "#/$defs/A", "minLength": 2, "$defs": {"A": {"$ref": "#/$defs/B"}, "B": STRING}},
            {"type": "string", "minLength": 2},
        ),
        (
            {"properties": {"p": {"$ref": "#/$defs/A", "nullable": True}}, "$defs": {"A": STRING}},
            {
                "type": "object",
                "properties": {"p": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}},
                "$defs": {"A": STRING},
            },
        ),
        (
            {
                "properties": {"p": {"allOf": [{"$ref": "#/$defs/A"}], "description": "d"}},
                "$defs": {"A": {"$ref": "#/$defs/B", "maxLength": 3}, "B": STRING},
            },
            {
                "type": "object",
                "properties": {"p": {"description": "d", "maxLength": 3, "type": "string"}},
            },
        ),
    ],
)
def test_references_lead_to_definitions_at_the_root(schema: dict[str, Any], written: dict[str, Any]) -> None:
    assert said(schema) == written


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"properties": {"a": {"items": {"pattern": r"\bx"}}}}, "s.properties.a.items.pattern"),
        ({"properties": {"$ref": STRING}, "required": ["$ref"]}, "s.properties.$ref"),
        ({"$defs": {"A": {"pattern": "(a*)*"}}, "items": {"$ref": "#/$defs/A"}}, "s.$defs.A.pattern"),
        ({"type": "string", "enum": [1]}, "s"),
        ({"properties": {"a": False}, "required": ["a"]}, "s"),
        ({"properties": {}, "required": ["a"], "additionalProperties": False}, "s"),
        ({"allOf": [STRING, {"type": "null"}]}, "s"),
        ({"anyOf": [False]}, "s"),
        ({"type": "array", "items": False, "minItems": 1}, "s"),
        ({"type": "array", "prefixItems": [False]}, "s"),
        ({"type": "integer", "minimum": 1.2, "maximum": 1.8}, "s"),
    ],
)
def test_what_cannot_be_said_is_refused_with_its_path(schema: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        said(schema)
    assert caught.value.param == param
    assert caught.value.message.startswith("Invalid schema for x: ")


def test_a_lenient_reading_drops_patterns_that_cannot_be_said() -> None:
    assert said({"type": "string", "pattern": r"\bx"}, lenient=True) == STRING


def test_merging_that_multiplies_is_refused() -> None:
    two = {"properties": {"x": {"allOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]}}}
    more = {f"y{n}": {"allOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]} for n in range(3)}
    schema = {
        "allOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}],
        "$defs": {"A": {"properties": {**two["properties"], **more}}, "B": two},
    }
    with pytest.raises(BadRequest, match="too complex"):
        said(schema)


def test_merging_without_an_end_ends_in_any_value() -> None:
    one = {"properties": {"x": {"allOf": [{"$ref": "#/$defs/A"}, {"minProperties": 1}]}}}
    found: Any = said({"allOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": one}})
    while found != ANY:
        found = found["properties"]["x"]


def test_a_long_chain_of_definitions_is_written() -> None:
    defs: dict[str, Any] = {f"a{n}": {"items": {"$ref": f"#/$defs/a{n + 1}"}} for n in range(450)}
    found = said({"$ref": "#/$defs/a0", "$defs": {**defs, "a450": {}}})
    assert len(found["$defs"]) == 451


def test_parts_of_one_document_share_its_definitions() -> None:
    grammar = Grammar()
    parts = [
        grammar.part({"$ref": "#/$defs/A", "$defs": {"A": {"const": n}}}, "s", subject="x") for n in range(2)
    ]
    assert grammar.closed({"anyOf": parts}) == {
        "anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A-2"}],
        "$defs": {"A": {"const": 0}, "A-2": {"const": 1}},
    }


def test_what_is_no_name_is_not_required() -> None:
    written = for_grammar({"type": "object", "required": [["a"], {}, 1, "b", "b"]}, "", subject="a test")
    assert written == for_grammar({"type": "object", "required": ["b"]}, "", subject="a test")
