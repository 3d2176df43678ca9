from __future__ import annotations

import random
from typing import Any

import jsonschema
import pytest

from o2o.practice.schema_instance import Hints, Unconvertible, check, make, resolve

NODE = {
    "$ref": "#/$defs/N",
    "$defs": {
        "N": {
            "type": "object",
            "properties": {
                "v": {"type": "integer"},
                "next": {"anyOf": [{"$ref": "#/$defs/N"}, {"type": "null"}]},
            },
            "required": ["v", "next"],
        }
    },
}
TREE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["name", "children"],
    "additionalProperties": False,
}
SCHEMAS: dict[str, Any] = {
    "nothing asked": {},
    "string": {"type": "string"},
    "string lengths": {"type": "string", "minLength": 30, "maxLength": 31},
    "short string": {"type": "string", "maxLength": 2},
    "empty string": {"type": "string", "maxLength": 0},
    "date": {"type": "string", "format": "date"},
    "pattern": {"type": "string", "pattern": "^[A-Z]{3}-\\d{2,4}$"},
    "enum": {"enum": ["a", 1, None, {"b": 2}]},
    "const": {"const": {"a": [1]}},
    "integer bounds": {"type": "integer", "minimum": 5, "maximum": 7},
    "one integer": {"type": "integer", "exclusiveMinimum": 5, "exclusiveMaximum": 7},
    "negative": {"type": "integer", "maximum": -5},
    "above": {"type": "integer", "minimum": 1000},
    "huge": {"type": "integer", "minimum": 10**30},
    "steps": {"type": "integer", "minimum": 10, "maximum": 20, "multipleOf": 7},
    "odd bounds": {"type": "integer", "minimum": 1.5, "maximum": 2.5},
    "number": {"type": "number", "minimum": 0.1, "maximum": 0.2},
    "number above": {"type": "number", "exclusiveMinimum": 0},
    "number below": {"type": "number", "exclusiveMaximum": 0},
    "number steps": {"type": "number", "minimum": 0.3, "multipleOf": 0.5},
    "boolean": {"type": "boolean"},
    "null": {"type": "null"},
    "types": {"type": ["null", "integer"]},
    "array": {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 5},
    "empty array": {"type": "array", "maxItems": 0},
    "unique": {"type": "array", "items": {"type": "integer"}, "minItems": 30, "uniqueItems": True},
    "tuple": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
    "any of": {"anyOf": [{"type": "integer"}, {"type": "object", "required": ["x"]}]},
    "one of": {"oneOf": [{"type": "string", "maxLength": 3}, {"type": "integer"}]},
    "any of beside": {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "anyOf": [{"required": ["b"]}, {"properties": {"c": {"const": 1}}, "required": ["c"]}],
    },
    "all of": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"b": {"const": "x"}}, "required": ["b"]},
        ]
    },
    "all of in all of": {
        "allOf": [
            {"allOf": [{"type": "integer"}, {"minimum": 3}]},
            {"allOf": [{"maximum": 9}]},
        ]
    },
    "any of in all of": {
        "allOf": [{"type": "object", "required": ["a"]}],
        "anyOf": [{"allOf": [{"properties": {"a": {"const": 1}}}]}],
    },
    "defs": {
        "type": "object",
        "properties": {"c": {"$ref": "#/$defs/C%25/a~1b"}},
        "required": ["c"],
        "$defs": {"C%25": {"a/b": {"type": "string", "enum": ["red", "blue"]}}},
    },
    "map": {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2},
    "required only": {"type": "object", "required": ["a", "b"]},
    "linked list": NODE,
    "tree": TREE,
    "nested": {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "array", "items": {"type": "boolean"}}}},
        "required": ["a"],
    },
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_instances_are_what_their_schema_accepts(name: str) -> None:
    schema = SCHEMAS[name]
    if name == "defs":
        schema = {**schema, "$defs": {"C%25": schema["$defs"]["C%25"]}}
        schema["properties"] = {"c": {"enum": ["red", "blue"]}}
    for seed in range(40):
        made = make(SCHEMAS[name], random.Random(seed))
        jsonschema.Draft202012Validator(schema).validate(made)


def test_instances_depend_on_the_seed_alone() -> None:
    schema = SCHEMAS["nested"]
    assert len({str(make(schema, random.Random(seed))) for seed in range(20)}) > 1
    assert make(schema, random.Random(3)) == make(schema, random.Random(3))


def test_optional_properties_are_made_where_it_is_shallow() -> None:
    assert set(make({"properties": {"a": {}, "b": {}}, "required": ["b"]}, random.Random(1))) == {"a", "b"}


def test_a_schema_without_end_ends() -> None:
    endless = {"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]}
    assert str(make(endless, random.Random(1))).count("me") < 100
    assert make({"$ref": "#"}, random.Random(1)) is not None


def test_what_was_spoken_of_is_left_where_it_does_not_fit() -> None:
    hints = Hints("", ["Bartholomew"], [12])
    schema = {
        "properties": {"name": {"type": "string", "maxLength": 5}, "age": {"type": "integer", "maximum": 9}}
    }
    made = make(schema, random.Random(1), hints)
    jsonschema.Draft202012Validator(schema).validate(made)
    assert (hints.strings, hints.numbers) == (["Bartholomew"], [12])


def test_what_was_spoken_of_wins() -> None:
    hints = Hints("the blue one for Bob, 12", ["Bob"], [12])
    schema = {
        "properties": {
            "colour": {"enum": ["red", "blue"]},
            "who": {"type": "string"},
            "count": {"type": "integer"},
            "kind": {"anyOf": [{"properties": {"x": {"const": c}}, "required": ["x"]} for c in ("a", "one")]},
        }
    }
    assert make(schema, random.Random(1), hints) == {
        "colour": "blue",
        "who": "Bob",
        "count": 12,
        "kind": {"x": "one"},
    }


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "banana"}, 'Unrecognized schema: {"type":"banana"}'),
        ({"anyOf": [{"items": {"type": ["string", "text"]}}]}, "Unrecognized schema"),
        ({"properties": {"z": {"pattern": "[0-9]"}}}, "Pattern must start with '^' and end with '$'"),
        ({"$ref": "#/$defs/A"}, 'Error resolving ref #/$defs/A: $defs not in {"$ref":"#/$defs/A"}'),
        ({"$ref": "#/$defs/A", "$defs": {"B": {}}}, 'Error resolving ref #/$defs/A: A not in {"B":{}}'),
        ({"$ref": "#/$defs/B", "$defs": {"B": {"type": "x"}}}, "Unrecognized schema"),
    ],
)
def test_what_llama_cpp_refuses_is_refused(schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unconvertible) as caught:
        check(schema)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    "schema", [NODE, TREE, {"not": {"type": "x"}}, {"$ref": "https://example.org/s"}, {}]
)
def test_what_llama_cpp_takes_is_taken(schema: dict[str, Any]) -> None:
    check(schema)


def test_references_reach_into_lists() -> None:
    assert resolve("#/anyOf/1", {"anyOf": [{}, {"const": 1}]}) == {"const": 1}
    with pytest.raises(Unconvertible):
        resolve("#/anyOf/2", {"anyOf": [{}]})
