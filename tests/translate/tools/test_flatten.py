"""A tool's schema reaches Ollama with what it keeps; the rest is told in words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from o2o.translate.tools.flatten import MAX_REFERENCES, flatten
from tests.replay import load

ANY = ["string", "number", "boolean", "object", "array", "null"]
STRING = {"type": "string"}


def prop(schema: Any, **root: Any) -> Any:
    return flatten({"type": "object", "properties": {"p": schema}, **root})["properties"].get("p")


def test_what_ollama_keeps_goes_as_it_came() -> None:
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "City name"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "days": {"type": "array", "items": {"type": "integer"}},
            "where": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]},
            "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "either": {"type": ["string", "null"]},
        },
        "required": ["city"],
    }
    assert flatten(schema) == schema
    assert list(flatten(schema)["properties"]) == list(schema["properties"])


@pytest.mark.parametrize(
    ("schema", "flat"),
    [
        ({}, {"type": "object", "properties": {}}),
        ({"type": ["object", "null"], "nullable": True}, {"type": "object", "properties": {}}),
        ({"properties": {"a": STRING}, "required": ["a", "b", 5]}, {"a": STRING, "required": ["a"]}),
        ({"properties": {"a": False, "b": True}, "required": ["a"]}, {"b": {"type": ANY}}),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"properties": {"a": STRING}}}}, {"a": STRING}),
        (
            {
                "anyOf": [
                    {"properties": {"a": STRING, "b": STRING}, "required": ["a", "b"]},
                    {"required": ["a"]},
                ]
            },
            {"a": STRING, "b": STRING, "required": ["a"]},
        ),
        (
            {
                "required": ["k"],
                "oneOf": [
                    {"properties": {"k": {"const": 1}}, "required": ["k"]},
                    {"properties": {"k": {"const": 2}}, "required": ["k"]},
                    {"properties": {"k": {"const": 2}}},
                ],
            },
            {"k": {"anyOf": [{"anyOf": [{"enum": [1]}, {"enum": [2]}]}, {"enum": [2]}]}, "required": ["k"]},
        ),
        (
            {"allOf": [{"properties": {"a": STRING}, "required": ["a"]}, {"properties": {"b": STRING}}]},
            {"a": STRING, "b": STRING, "required": ["a"]},
        ),
    ],
)
def test_parameters_are_always_an_object(schema: dict[str, Any], flat: dict[str, Any]) -> None:
    if "type" not in flat:
        required = flat.pop("required", None)
        flat = {"type": "object", "properties": flat, **({"required": required} if required else {})}
    assert flatten(schema) == flat


@pytest.mark.parametrize(
    ("schema", "flat"),
    [
        (True, {"type": ANY}),
        ({}, {"type": ANY}),
        (False, None),
        ({"const": "x"}, {"enum": ["x"]}),
        ({"type": "string", "const": "x"}, {"type": "string", "enum": ["x"]}),
        ({"enum": [1, None]}, {"enum": [1, None]}),
        ({"oneOf": [STRING, {"type": "integer"}]}, {"anyOf": [STRING, {"type": "integer"}]}),
        ({"anyOf": [False, STRING]}, {"anyOf": [STRING]}),
        ({"anyOf": [False]}, None),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"allOf": [STRING, {"description": "d"}]}, {"type": "string", "description": "d"}),
        ({"allOf": [STRING, {"type": "integer"}]}, None),
        ({"properties": {"a": STRING}}, {"type": "object", "properties": {"a": STRING}}),
        (
            {"type": "object", "properties": {"a": False}, "required": ["a"]},
            {"type": "object", "properties": {}},
        ),
        ({"type": "array", "items": True}, {"type": "array", "items": {"type": ANY}}),
        ({"type": "array", "items": False}, {"type": "array"}),
        ({"type": "array"}, {"type": "array"}),
        ({"items": {"const": 1}}, {"type": "array", "items": {"enum": [1]}}),
        ({"prefixItems": [STRING], "items": False}, {"type": "array", "items": {"anyOf": [STRING]}}),
        ({"items": [STRING, True]}, {"type": "array", "items": {"anyOf": [STRING, {"type": ANY}]}}),
        ({"type": "string", "description": 5, "title": "T", "examples": []}, STRING),
    ],
)
def test_a_property_is_said_in_ollamas_words(schema: Any, flat: Any) -> None:
    assert prop(schema) == flat


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "string", "default": "q", "description": "d"}, 'd (default "q")'),
        ({"type": "string", "default": None}, ""),
        (
            {"type": "number", "minimum": 0, "maximum": 5, "multipleOf": 0.5},
            "(at least 0; at most 5; a multiple of 0.5)",
        ),
        ({"type": "integer", "exclusiveMinimum": True, "minimum": 1}, "(at least 1)"),
        ({"type": "string", "pattern": "^a", "format": "date"}, "(format date; pattern ^a)"),
        ({"type": "array", "uniqueItems": True, "minItems": 1}, "(least number of items 1; no item twice)"),
        ({"type": "object", "additionalProperties": STRING}, "(any names, each with string)"),
        ({"type": "object", "additionalProperties": {"enum": [1]}}, "(any names, each with such a value)"),
        ({"type": "object", "additionalProperties": {"title": "t"}}, ""),
        ({"type": "object", "additionalProperties": False}, ""),
        ({"type": "string", "examples": ["e", "f"]}, '(for example "e")'),
        ({"type": "string", "pattern": "a" * 200}, f"(pattern {'a' * 79}…)"),
    ],
)
def test_what_ollama_drops_is_told_in_the_description(schema: dict[str, Any], told: str) -> None:
    assert prop(schema).get("description", "") == told


def test_references_are_written_out() -> None:
    defs = {"P": {"type": "object", "properties": {"x": {"type": "integer"}}}}
    point = {"type": "object", "properties": {"x": {"type": "integer"}}}
    assert prop({"$ref": "#/$defs/P"}, **{"$defs": defs}) == point
    assert prop({"items": {"$ref": "#/$defs/P"}}, **{"$defs": defs}) == {"type": "array", "items": point}
    assert prop({"$ref": "#/$defs/P", "description": "d"}, **{"$defs": defs}) == {**point, "description": "d"}


def test_a_schema_that_contains_itself_ends_at_its_type() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}, "required": ["next"]}
    found = prop({"$ref": "#/$defs/N"}, **{"$defs": {"N": node}})
    for _ in range(MAX_REFERENCES):
        found = found["properties"]["next"]
    assert found == {"type": "object"}


def test_a_schema_that_contains_itself_without_a_type_ends_at_what_it_implies() -> None:
    found = prop({"$ref": "#/$defs/N"}, **{"$defs": {"N": {"items": {"$ref": "#/$defs/N"}}}})
    for _ in range(MAX_REFERENCES):
        found = found["items"]
    assert found == {"type": "array"}


def test_a_deep_reference_to_anything_ends_at_anything() -> None:
    chain: dict[str, Any] = {f"a{n}": {"items": {"$ref": f"#/$defs/a{n + 1}"}} for n in range(6)}
    found = prop({"$ref": "#/$defs/a0"}, **{"$defs": {**chain, "a5": True}})
    for _ in range(MAX_REFERENCES):
        found = found["items"]
    assert found == {"type": ANY}


def test_a_bomb_is_not_written_out() -> None:
    five = {f"k{n}": {"$ref": "#/$defs/B"} for n in range(20)}
    found = flatten({"properties": five, "$defs": {"B": {"type": "object", "properties": five}}})
    assert len(repr(found)) < 1_000_000


def recorded_parameters(name: str) -> Any:
    exchange = load(f"07-tool-schemas/{name}")["exchanges"][0]
    assert exchange["response"]["status_line"].endswith("400 Bad Request")
    (tool,) = msgspec.json.decode(exchange["request"]["body"])["tools"]
    return tool["function"].get("parameters")


@pytest.mark.parametrize(
    "name",
    [
        "jinja-tools-empty-object",
        "tools-boolean-property",
        "tools-required-not-strings",
        "tools-type-list-top",
    ],
)
def test_what_ollama_was_seen_to_refuse_is_not_sent(name: str) -> None:
    found = flatten(recorded_parameters(name))
    assert found["type"] == "object"
    assert all(isinstance(part, dict) and part for part in found["properties"].values())
    assert all(isinstance(item, str) for item in found.get("required", ()))


def test_a_rich_schema_keeps_its_meaning() -> None:
    found = flatten(
        {
            "type": "object",
            "title": "T",
            "$defs": {"P": {"type": "object", "properties": {"x": {"type": "integer", "minimum": 1}}}},
            "properties": {
                "ref": {"$ref": "#/$defs/P"},
                "all": {"allOf": [{"type": "string"}, {"minLength": 2}]},
                "arr": {"type": "array", "items": {"$ref": "#/$defs/P"}, "minItems": 1},
            },
            "required": ["ref"],
            "additionalProperties": False,
        }
    )
    point = {"type": "object", "properties": {"x": {"type": "integer", "description": "(at least 1)"}}}
    assert found == {
        "type": "object",
        "properties": {
            "ref": point,
            "all": {"type": "string", "description": "(least length 2)"},
            "arr": {"type": "array", "items": point, "description": "(least number of items 1)"},
        },
        "required": ["ref"],
    }
