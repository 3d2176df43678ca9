"""Make a JSON value that a JSON Schema accepts, as a model does whose words a schema constrains.

Understood are `$ref` within the document, enum, const, anyOf, oneOf, allOf, objects, arrays, strings with
lengths, patterns and formats, and numbers with bounds: what Ollama turns into a grammar, and some more.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from o2o.practice import patterns

SHALLOW = 4
"""From this depth on only what must be there is made, and the plainest branch is taken."""
DEEPEST = 40
"""A schema that demands more depth has no finite instance; null stands there."""
MOST_ITEMS = 1000
LONGEST = 10_000

_TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
_WORDS = ("practice", "sample", "example", "trial", "rehearsal", "exercise")
_FORMATS = {
    "date": "2026-11-23",
    "time": "12:30:00Z",
    "date-time": "2026-11-23T12:30:00Z",
    "duration": "PT5M",
    "email": "practice@example.org",
    "uri": "https://example.org/practice",
    "hostname": "practice.example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
}
_IMPLIED = (
    ("object", ("properties", "required", "additionalProperties", "minProperties")),
    ("array", ("items", "prefixItems", "minItems", "maxItems")),
    ("string", ("minLength", "maxLength", "pattern", "format")),
    ("number", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
)


class Unconvertible(ValueError):
    """The schema cannot be turned into a grammar; the text is llama.cpp's."""


@dataclass
class Hints:
    """What the caller spoke of: choices named in `text` win; words and numbers are used once each."""

    text: str = ""
    strings: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)


def check(document: Mapping[str, Any]) -> None:
    """Raise Unconvertible where llama.cpp refuses a schema: unknown type, dead `$ref`, open pattern."""
    _check(document, document, set())


def make(document: Any, rng: random.Random, hints: Hints | None = None) -> Any:
    """Return an instance of the schema `document`; the same `rng` state gives the same instance."""
    return _Maker(document, rng, hints or Hints()).make(document, 0)


# --- what llama.cpp refuses


def _check(schema: Any, document: Any, seen: set[str]) -> None:
    if not isinstance(schema, dict):
        return
    ref = schema.get("$ref")
    if isinstance(ref, str) and ref not in seen:
        seen.add(ref)
        _check(resolve(ref, document), document, seen)
    kinds = schema.get("type", "object")
    if any(kind not in _TYPES for kind in (kinds if isinstance(kinds, list) else [kinds])):
        raise Unconvertible(f"Unrecognized schema: {_compact(schema)}")
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and not (pattern.startswith("^") and pattern.endswith("$")):
        raise Unconvertible("Pattern must start with '^' and end with '$'")
    for child in _children(schema):
        _check(child, document, seen)


def _children(schema: Mapping[str, Any]) -> list[Any]:
    found = [schema.get("additionalProperties")]
    found += schema["properties"].values() if isinstance(schema.get("properties"), dict) else []
    for name in ("items", "prefixItems", "anyOf", "oneOf", "allOf"):
        value = schema.get(name)
        found += value if isinstance(value, list) else [value]
    return found


def resolve(ref: str, document: Any) -> Any:
    """Return the schema that a `$ref` into the document names; a remote one counts as an open schema."""
    if not ref.startswith("#"):
        return {}
    target = document
    for part in ref[1:].split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if isinstance(target, list) and part.isdigit() and int(part) < len(target):
            target = target[int(part)]
        elif isinstance(target, dict) and part in target:
            target = target[part]
        else:
            raise Unconvertible(f"Error resolving ref {ref}: {part} not in {_compact(target)}")
    return target


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# --- making one


class _Maker:
    def __init__(self, document: Any, rng: random.Random, hints: Hints) -> None:
        self.document = document
        self.rng = rng
        self.hints = hints

    def make(self, schema: Any, depth: int) -> Any:
        if depth > DEEPEST or schema is False:
            return None
        schema = self.flat(schema)
        if "const" in schema:
            return schema["const"]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return self.choose(schema["enum"])
        branches = schema.get("anyOf") or schema.get("oneOf")
        if isinstance(branches, list):
            rest = {name: value for name, value in schema.items() if name not in ("anyOf", "oneOf")}
            return self.make(_merged(rest, self.branch(branches, depth)), depth + 1)
        return self.typed(schema, depth)

    def flat(self, schema: Any) -> dict[str, Any]:
        """Return the schema with its `$ref` and `allOf` merged into it."""
        found = dict(schema) if isinstance(schema, dict) else {}
        for _ in range(DEEPEST):
            if isinstance(found.get("$ref"), str):
                found = _merged(found, self.target(found.pop("$ref")))
            elif isinstance(found.get("allOf"), list):
                for part in found.pop("allOf"):
                    found = _merged(found, part)
            else:
                break
        return found

    def target(self, ref: str) -> Any:
        try:
            return resolve(ref, self.document)
        except Unconvertible:
            # Ollama drops `$ref` from tools, so that a dead one is no error there.
            return {}

    def branch(self, branches: Sequence[Any], depth: int) -> Any:
        named = [branch for branch in branches if self.is_hinted(branch)]
        if depth >= SHALLOW:
            return min(branches, key=_weight)
        return self.rng.choice(named or branches)

    def is_hinted(self, branch: Any) -> bool:
        properties = branch.get("properties") if isinstance(branch, dict) else None
        consts = [value.get("const") for value in (properties or {}).values() if isinstance(value, dict)]
        return any(self.is_named(const) for const in consts)

    def is_named(self, value: Any) -> bool:
        return isinstance(value, str) and bool(re.search(rf"\b{re.escape(value)}\b", self.hints.text))

    def choose(self, values: Sequence[Any]) -> Any:
        return next((value for value in values if self.is_named(value)), None) or self.rng.choice(values)

    def typed(self, schema: Mapping[str, Any], depth: int) -> Any:
        kind = schema.get("type") or next(
            (kind for kind, words in _IMPLIED if any(word in schema for word in words)), "string"
        )
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        if kind == "object":
            return self.object(schema, depth)
        if kind == "array":
            return self.array(schema, depth)
        if kind == "string":
            return self.string(schema)
        if kind in ("integer", "number"):
            return self.number(schema, whole=kind == "integer")
        return self.rng.random() < 0.5 if kind == "boolean" else None

    def object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties") or {}
        required = [name for name in schema.get("required") or [] if isinstance(name, str)]
        wanted = [name for name in properties if depth < SHALLOW or name in required]
        others = schema.get("additionalProperties", {})
        made = {name: self.make(properties[name], depth + 1) for name in wanted}
        for name in required:
            if name not in made:
                made[name] = self.make(others, depth + 1)
        fewest = min(schema.get("minProperties") or 0, MOST_ITEMS)
        if isinstance(others, dict) and others and not properties and depth < SHALLOW:
            fewest = max(fewest, 1)
        while len(made) < fewest and others is not False:
            made[f"key{len(made) + 1}"] = self.make(others, depth + 1)
        return made

    def array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        first = [self.make(item, depth + 1) for item in schema.get("prefixItems") or []]
        items = schema.get("items", {})
        fewest = max(schema.get("minItems", 0), 0)
        most = schema.get("maxItems", math.inf)
        if depth < SHALLOW and items is not False and not first:
            fewest = max(fewest, min(most, self.rng.randint(1, 3)))
        made = first[: int(min(most, len(first)))]
        attempts = 0
        while len(made) < min(fewest, MOST_ITEMS) and attempts < 20 * MOST_ITEMS:
            attempts += 1
            item = self.make(items, depth + 1)
            if not schema.get("uniqueItems") or item not in made:
                made.append(item)
        return made

    def string(self, schema: Mapping[str, Any]) -> str:
        pattern = schema.get("pattern")
        made = patterns.make(pattern, self.rng) if isinstance(pattern, str) else None
        if made is not None:
            return made
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        shortest, longest = schema.get("minLength", 0), min(schema.get("maxLength", LONGEST), LONGEST)
        for word in self.hints.strings:
            if shortest <= len(word) <= longest:
                self.hints.strings.remove(word)
                return word
        text = self.rng.choice(_WORDS)
        while len(text) < min(shortest, LONGEST):
            text += " " + self.rng.choice(_WORDS)
        return text[:longest] if shortest <= longest else text

    def number(self, schema: Mapping[str, Any], *, whole: bool) -> int | float:
        low, high = _bounds(schema, whole)
        step = schema.get("multipleOf") or 1
        for number in self.hints.numbers:
            if low <= number <= high and number % step == 0:
                self.hints.numbers.remove(number)
                return number
        return _between(low, high, step, self.rng)


def _weight(branch: Any) -> int:
    text = _compact(branch)
    return len(text) + 10_000 * text.count('"$ref"')


def _merged(one: Mapping[str, Any], other: Any) -> dict[str, Any]:
    merged = dict(one)
    for name, value in other.items() if isinstance(other, dict) else ():
        mine = merged.get(name)
        if name == "properties" and isinstance(mine, dict):
            merged[name] = {**mine, **value}
        elif name == "required" and isinstance(mine, list):
            merged[name] = mine + [item for item in value if item not in mine]
        elif name == "allOf" and isinstance(mine, list):
            merged[name] = mine + value
        elif name not in merged or name in ("type", "const", "enum"):
            merged[name] = value
    return merged


def _bounds(schema: Mapping[str, Any], whole: bool) -> tuple[int | float, int | float]:
    gap = 1 if whole else 1e-3
    low = schema.get("minimum")
    if schema.get("exclusiveMinimum") is not None:
        low = (math.floor(schema["exclusiveMinimum"]) if whole else schema["exclusiveMinimum"]) + gap
    high = schema.get("maximum")
    if schema.get("exclusiveMaximum") is not None:
        high = (math.ceil(schema["exclusiveMaximum"]) if whole else schema["exclusiveMaximum"]) - gap
    if low is None:
        low = 1 if high is None or high >= 1 else high - 99
    if high is None:
        high = low + 99
    return (math.ceil(low), math.floor(high)) if whole else (low, high)


def _between(low: int | float, high: int | float, step: int | float, rng: random.Random) -> int | float:
    if isinstance(low, int) and isinstance(high, int) and isinstance(step, int):
        first, last = -(-low // step), high // step
        return rng.randint(first, max(first, last)) * step
    if step != 1:
        return math.ceil(low / step) * step
    return low if high <= low else min(high, max(low, round(rng.uniform(low, high), 2)))
