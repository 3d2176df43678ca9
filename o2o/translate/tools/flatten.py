"""A tool's schema as Ollama keeps it.

Ollama reads of `parameters` only type (one string), properties and required, and of each property type,
description, enum, properties, required, items and anyOf; everything else is lost in silence, or refused. So
references are written out, choices and merges said with what is kept, and what is lost is told in descriptions.
"""

from __future__ import annotations

from typing import Any

import msgspec

from o2o.errors import clip
from o2o.translate.json_schema.merging import ANNOTATIONS, merge, or_null, without
from o2o.translate.json_schema.places import Schema, implied_types, resolve, types_of

MAX_REFERENCES = 5
"""How many references are followed on one way down; a schema may contain itself."""
MAX_SCHEMAS = 2_000
"""How many schemas are written out; from there on only types are told."""
MAX_NOTE = 80

_KEPT = ("type", "description", "enum", "anyOf", "properties", "required", "items")
"""What Ollama reads of a property."""

_ANY = ["string", "number", "boolean", "object", "array", "null"]
"""`{}` would mean an object to llama.cpp."""


def flatten(parameters: Schema) -> Schema:
    """Return the parameters of an Ollama tool: always an object, without references."""
    return _Flattener(parameters).top()


class _Flattener:
    def __init__(self, root: Schema) -> None:
        self.root = root
        self.left = MAX_SCHEMAS

    def top(self) -> Schema:
        schema, followed = self.expanded(without(self.root, "nullable"), 0)
        branches = [
            self.expanded(part, followed)[0] for part in schema.get("anyOf") or schema.get("oneOf") or ()
        ]
        properties: Schema = dict(schema.get("properties", {}))
        for branch in branches:
            for name, part in branch.get("properties", {}).items():
                known = properties.get(name)
                properties[name] = part if known is None or known == part else {"anyOf": [known, part]}
        flat = {name: self.part(part, followed) for name, part in properties.items()}
        found: Schema = {
            "type": "object",
            "properties": {n: part for n, part in flat.items() if part is not None},
        }
        required = _required(schema, found["properties"])
        if branches:
            always = [set(_required(branch, found["properties"])) for branch in branches]
            required += [name for name in found["properties"] if all(name in names for names in always)]
        if required:
            found["required"] = list(dict.fromkeys(required))
        return found

    def expanded(self, schema: Any, followed: int) -> tuple[Schema, int]:
        """Return a schema without `$ref`, `allOf` and `nullable` at its own level, and how many were followed."""
        while True:
            if not isinstance(schema, dict):
                return ({} if schema is True else {"enum": []}), followed
            if schema.get("nullable") is True:
                schema = or_null(schema)
            elif "$ref" in schema:
                followed += 1
                target = resolve(self.root, schema["$ref"])
                if followed > MAX_REFERENCES:
                    target = _stub(target)
                schema = merge(without(schema, "$ref"), target)
            elif "allOf" in schema:
                parts = schema["allOf"]
                schema = without(schema, "allOf")
                for part in parts:
                    expanded, followed = self.expanded(part, followed)
                    schema = merge(schema, expanded)
            else:
                return schema, followed

    def part(self, schema: Any, followed: int) -> Schema | None:
        """Return a property, or what stands in one; None if no value fits it."""
        self.left -= 1
        schema, followed = self.expanded(_stub(schema) if self.left < 0 else schema, followed)
        found: Schema = {}
        choices = schema.get("anyOf") or schema.get("oneOf")
        kinds = types_of(schema) or implied_types(schema)
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if values is not None:
            if not values:
                return None
            found["enum"] = values
        elif choices:
            branches = [self.part(part, followed) for part in choices]
            found["anyOf"] = [branch for branch in branches if branch is not None]
            if not found["anyOf"]:
                return None
        else:
            kinds = kinds or _ANY
        if kinds:
            found["type"] = kinds[0] if len(kinds) == 1 else kinds
        if told := _told(schema):
            found["description"] = told
        self.nested(schema, found, followed)
        return {name: found[name] for name in _KEPT if name in found}

    def nested(self, schema: Schema, found: Schema, followed: int) -> None:
        if isinstance(schema.get("properties"), dict):
            flat = {name: self.part(part, followed) for name, part in schema["properties"].items()}
            found["properties"] = {name: part for name, part in flat.items() if part is not None}
            required = _required(schema, found["properties"])
            if required:
                found["required"] = required
        items = schema.get("items", schema.get("prefixItems"))
        listed = schema.get("prefixItems", items)
        if isinstance(listed, list):
            items = {"anyOf": listed}
        if items is not None and (flat_items := self.part(items, followed)) is not None:
            found["items"] = flat_items


def _stub(schema: Any) -> Schema | bool:
    """Return of a schema only what needs no further look."""
    if not isinstance(schema, dict):
        return schema is not False
    kept = {name: value for name, value in schema.items() if name in ("type", "enum", "const", "description")}
    if "type" not in kept and (kinds := implied_types(schema)):
        kept["type"] = kinds[0]
    return kept


def _required(schema: Schema, properties: Schema) -> list[str]:
    return [name for name in schema.get("required", ()) if isinstance(name, str) and name in properties]


# --- what is told in words


def _told(schema: Schema) -> str:
    """Return the description of a property, with what Ollama drops."""
    description = schema.get("description")
    notes = "; ".join(_notes(schema))
    said = description if isinstance(description, str) else ""
    return f"{said} ({notes})".strip() if notes else said


def _notes(schema: Schema) -> list[str]:
    notes = []
    for keyword, words in _WORDS.items():
        value = schema.get(keyword)
        if value is not None and not isinstance(value, bool):
            notes.append(f"{words} {clip(str(value), MAX_NOTE)}")
    if schema.get("default") is not None:
        notes.append(f"default {_said(schema['default'])}")
    if schema.get("uniqueItems") is True:
        notes.append("no item twice")
    more = schema.get("additionalProperties")
    if isinstance(more, dict) and not ANNOTATIONS.issuperset(more):
        kinds = " or ".join(types_of(more))
        notes.append(f"any names, each with {kinds or 'such a value'}")
    examples = schema.get("examples")
    if isinstance(examples, list) and examples:
        notes.append(f"for example {_said(examples[0])}")
    return notes


_WORDS = {
    "format": "format",
    "pattern": "pattern",
    "minimum": "at least",
    "exclusiveMinimum": "greater than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
    "multipleOf": "a multiple of",
    "minLength": "least length",
    "maxLength": "greatest length",
    "minItems": "least number of items",
    "maxItems": "greatest number of items",
    "minProperties": "least number of entries",
    "maxProperties": "greatest number of entries",
}


def _said(value: Any) -> str:
    return clip(msgspec.json.encode(value).decode(), MAX_NOTE)
