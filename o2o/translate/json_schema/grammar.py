"""A caller's schema as llama.cpp's converter reads it rightly, and with the same meaning.

What the converter understands goes as it came. It looks at one keyword first and forgets the others (`$ref`, then
`anyOf`, then `type`), takes `{}` for an object, drops `allOf` of anything but objects, knows references only
to `#/…`, neither boolean schemas nor open patterns, and gives up at 2,000 repetitions. Those are said in other
words: several keywords are merged into one, and each reference leads to a `$defs` at the root. What no grammar
says (`not`, `if`, …) is left to the check of the finished answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

from o2o.errors import BadRequest, clip
from o2o.translate.json_schema.merging import ANNOTATIONS, merge, only_annotates, or_null, without
from o2o.translate.json_schema.patterns import Unsayable, anchored
from o2o.translate.json_schema.places import (
    IMPLIED,
    LISTS,
    MAPS,
    SINGLES,
    TYPES,
    Schema,
    implied_types,
    is_type,
    resolve,
    types_of,
)

MAX_SCHEMAS = 5_000
"""How many schemas a rewritten one may have; merging can multiply them."""
MAX_DEPTH = 100
MAX_LENGTH = 1_900
MAX_ITEMS = 900
MAX_NUMBER = 10**15

_NOT_NAMES = ("$ref", "$defs")
"""Names that llama.cpp takes for keywords wherever they stand, even as names of properties and in values."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]+")
_KEY = re.compile(r"[A-Za-z0-9_ .:/@-]*")
"""Names of properties that the converter can tell from all others."""


def for_grammar(
    schema: Schema, param: str, *, subject: str, code: str | None = None, lenient: bool = False
) -> Schema:
    """Return a bounded schema in llama.cpp's words.

    Raises BadRequest, with a path that starts with `param`, where that cannot be done; with `lenient` a pattern
    that cannot be said is dropped instead.
    """
    grammar = Grammar()
    found = grammar.part(schema, param, subject=subject, code=code, lenient=lenient)
    return grammar.closed({"type": "object"} if found == ANY else found)


class Grammar:
    """Schemas of one or several documents, rewritten into parts of one: they share its `$defs`."""

    def __init__(self) -> None:
        self.defs: dict[str, Any] = {}
        self.left = MAX_SCHEMAS
        self._taken: set[str] = set()

    def part(
        self, schema: Schema, param: str, *, subject: str, code: str | None = None, lenient: bool = False
    ) -> Schema:
        """Return `schema` as a part of a document; raises BadRequest as `for_grammar` does."""
        writer = _Writer(self, schema, subject, code, lenient)
        found = writer.write(without(schema, "$defs", "definitions"), param, 0)
        writer.write_targets(param)
        if found is None:
            writer.refuse(param, "no value can match it")
        return found

    def closed(self, schema: Schema) -> Schema:
        """Return a document made of parts, with what they refer to."""
        return {**schema, "$defs": self.defs} if self.defs else schema

    def name(self, wanted: str) -> str:
        """Return a name for a definition, which no other has.

        The converter names rules after references with everything but letters, digits and `-` made the same.
        """
        wanted = wanted if _PLAIN_NAME.fullmatch(wanted) else re.sub(r"[^A-Za-z0-9-]+", "-", wanted) or "root"
        name, number = wanted, 1
        while (rule := name.replace("_", "-")) in self._taken:
            number += 1
            name = f"{wanted}-{number}"
        self._taken.add(rule)
        return name


ANY: Schema = {"type": ["object", "array", "string", "number", "boolean", "null"]}
"""Any value, in words that the converter reads so."""


class _Writer:
    """Rewrite one document."""

    def __init__(self, grammar: Grammar, root: Schema, subject: str, code: str | None, lenient: bool) -> None:
        self.grammar = grammar
        self.root = root
        self.subject = subject
        self.code = code
        self.lenient = lenient
        self.names: dict[str, str] = {}
        self.targets: list[str] = []

    def refuse(self, path: str, reason: str) -> NoReturn:
        message = f"Invalid schema for {self.subject}: {reason}."
        raise BadRequest(message, code=self.code, param=clip(path))

    def write_targets(self, param: str) -> None:
        """Write what was referred to; that may refer to more."""
        while self.targets:
            ref = self.targets.pop(0)
            path = param + ref.removeprefix("#").replace("/", ".")
            target = resolve(self.root, ref)
            if target is self.root:
                target = without(self.root, "$defs", "definitions")
            found = self.write(target, path, 0)
            self.grammar.defs[self.names[ref]] = ANY if found is None else found

    def reference(self, ref: str) -> Schema:
        if ref not in self.names:
            name = self.grammar.name(ref.rpartition("/")[2].removeprefix("#"))
            self.names[ref] = name
            self.grammar.defs[name] = {}
            self.targets.append(ref)
        return {"$ref": f"#/$defs/{self.names[ref]}"}

    def write(self, schema: Any, path: str, depth: int) -> Schema | None:
        """Return the schema in other words; None if no value fits it."""
        self.grammar.left -= 1
        if self.grammar.left < 0:
            self.refuse(path, "it is too complex")
        if schema is False:
            return None
        if schema is True or depth > MAX_DEPTH:
            return ANY
        if schema.get("nullable") is True:
            return self.write(or_null(schema), path, depth + 1)
        if "$ref" in schema:
            rest = without(schema, "$ref")
            if only_annotates(rest):
                return {**_notes(rest), **self.reference(schema["$ref"])}
            return self.write(merge(rest, resolve(self.root, schema["$ref"])), path, depth + 1)
        if "allOf" in schema:
            merged: Schema | bool = without(schema, "allOf")
            for part in schema["allOf"]:
                merged = merge(merged, self.resolved(part))
            return self.write(merged, path, depth + 1)
        if "anyOf" in schema or "oneOf" in schema:
            return self.choice(schema, path, depth)
        return self.single(schema, path, depth)

    def resolved(self, schema: Any) -> Any:
        """Return a schema that is not just a reference."""
        while isinstance(schema, dict) and "$ref" in schema:
            schema = merge(without(schema, "$ref"), resolve(self.root, schema["$ref"]))
        return schema

    def choice(self, schema: Schema, path: str, depth: int) -> Schema | None:
        keyword = "oneOf" if "oneOf" in schema else "anyOf"
        rest = without(schema, keyword)
        found = []
        for number, part in enumerate(schema[keyword]):
            if not only_annotates(rest):
                # The converter would forget what stands beside the choice.
                part = merge(without(rest, *ANNOTATIONS), self.resolved(part))
            written = self.write(part, f"{path}.{keyword}[{number}]", depth + 1)
            if written is not None:
                found.append(written)
        return {**_notes(rest), keyword: found} if found else None

    def single(self, schema: Schema, path: str, depth: int) -> Schema | None:
        """Rewrite a schema without `$ref` and choices."""
        if "enum" in schema or "const" in schema:
            return _values(schema)
        kinds = types_of(schema) or implied_types(schema) or list(ANY["type"])
        found = {
            name: value for name, value in schema.items() if name not in _NESTED and not _misleads(value)
        }
        for kind in TYPES:
            if kind in kinds and kind in _KINDS and not _KINDS[kind](self, schema, found, path, depth):
                kinds.remove(kind)
        for kind, keywords in IMPLIED.items():
            if kind not in kinds and not (kind == "number" and "integer" in kinds):
                found = without(found, *keywords)
        found["type"] = kinds[0] if len(kinds) == 1 else kinds
        return {name: found[name] for name in (*schema, *found) if name in found} if kinds else None

    # Each takes the schema as it came and completes the found one; false if no value of the type fits.

    def object(self, schema: Schema, found: Schema, path: str, depth: int) -> bool:
        properties = {}
        required = list(dict.fromkeys(name for name in schema.get("required", ()) if isinstance(name, str)))
        for name, part in schema.get("properties", {}).items():
            place = f"{path}.properties.{name}"
            if name in _NOT_NAMES:
                if name in required:
                    self.refuse(place, f"a property called '{name}' cannot be asked for")
                continue
            written = self.write(part, place, depth + 1)
            if written is not None:
                properties[name] = written
            elif name in required:
                return False
        more = self.additional(schema, path, depth)
        for name in required:
            if name not in properties and name not in _NOT_NAMES:
                if more is False:
                    return False
                properties[name] = more if isinstance(more, dict) else ANY
        if more is None and required and "properties" not in schema:
            more = True
        if more and not all(map(_KEY.fullmatch, properties)):
            more = False
        _put(found, "properties", properties if properties or "properties" in schema else None)
        _put(found, "required", required or None)
        _put(found, "additionalProperties", more)
        return True

    def additional(self, schema: Schema, path: str, depth: int) -> Schema | bool | None:
        """Return what other properties may be; None if nothing is said."""
        said = schema.get("additionalProperties")
        named = schema.get("patternProperties")
        if named and said in (None, False):
            said, path = {"anyOf": list(named.values())}, f"{path}.patternProperties"
        else:
            path = f"{path}.additionalProperties"
        if said is None or isinstance(said, bool):
            return said
        written = self.write(said, path, depth + 1)
        if written is None:
            return False
        return True if without(written, *ANNOTATIONS) == ANY else written

    def array(self, schema: Schema, found: Schema, path: str, depth: int) -> bool:
        items = schema.get("items")
        if isinstance(items, list) or "prefixItems" in schema:
            return self.tuple(schema, found, path, depth)
        _put_count(found, "minItems", MAX_ITEMS)
        _put_count(found, "maxItems", MAX_ITEMS)
        if items is None and not {"minItems", "maxItems"} & schema.keys():
            return True
        written = self.write(True if items is None else items, f"{path}.items", depth + 1)
        found["items"] = written or ANY
        if written is None:
            found["maxItems"] = 0
        return written is not None or schema.get("minItems", 0) == 0

    def tuple(self, schema: Schema, found: Schema, path: str, depth: int) -> bool:
        """Say how many items of which kinds; a grammar knows no tuple that is open at its end."""
        listed = isinstance(schema.get("items"), list)
        keyword = "items" if listed else "prefixItems"
        rest = schema.get("additionalItems" if listed else "items", True)
        places = [(f"{path}.{keyword}[{n}]", part) for n, part in enumerate(schema[keyword])]
        more = int(min(schema.get("minItems", 0), MAX_ITEMS)) - len(places)
        places += [(f"{path}.items", rest)] * more
        places = places[: int(schema.get("maxItems", len(places)))]
        written = [self.write(part, place, depth + 1) for place, part in places]
        if written:
            found[keyword] = written
        else:  # the converter has no empty tuple
            found.update(items=ANY, maxItems=0)
        return None not in written

    def string(self, schema: Schema, found: Schema, path: str, depth: int) -> bool:
        _put_count(found, "minLength", MAX_LENGTH)
        _put_count(found, "maxLength", MAX_LENGTH)
        if "pattern" in schema:
            try:
                found["pattern"] = anchored(schema["pattern"])
            except Unsayable as error:
                del found["pattern"]
                if not self.lenient:
                    self.refuse(f"{path}.pattern", f"the pattern cannot be turned into a grammar: {error}")
        return True

    def integer(self, schema: Schema, found: Schema, path: str, depth: int) -> bool:
        """Give bounds as whole numbers, one on each side; far ones are left to the check of the answer."""
        for inclusive, exclusive, sign in _SIDES:
            bounds = _bounds(schema, inclusive, exclusive, sign)
            if bounds is None:
                continue
            _put(found, inclusive, None)
            _put(found, exclusive, None)
            if abs(bounds) < MAX_NUMBER:
                found[inclusive] = bounds
        return bool(found.get("minimum", -MAX_NUMBER) <= found.get("maximum", MAX_NUMBER))


_KINDS: dict[str, Callable[[_Writer, Schema, Schema, str, int], bool]] = {
    "object": _Writer.object,
    "array": _Writer.array,
    "string": _Writer.string,
    "integer": _Writer.integer,
}
_SIDES = (("minimum", "exclusiveMinimum", 1), ("maximum", "exclusiveMaximum", -1))


def _bounds(schema: Schema, inclusive: str, exclusive: str, sign: int) -> int | None:
    """Return the nearest whole number that a bound lets through."""
    bounds = []
    low, beyond = schema.get(inclusive), schema.get(exclusive)
    if low is not None and beyond is True:  # draft-04
        low, beyond = None, low
    if low is not None:
        bounds.append(math.ceil(low * sign))
    if beyond is not None and not isinstance(beyond, bool):
        bounds.append(math.floor(beyond * sign) + 1)
    return max(bounds) * sign if bounds else None


def _values(schema: Schema) -> Schema | None:
    """Keep those values of an enum or a const that the converter can write and the type allows."""
    kinds = types_of(schema) or TYPES
    keyword = "const" if "const" in schema else "enum"
    values = [schema["const"]] if keyword == "const" else schema["enum"]
    fit = [value for value in values if any(is_type(value, kind) for kind in kinds) and not _misleads(value)]
    if not fit:
        return None
    notes = {**_notes(schema), **({"type": schema["type"]} if "type" in schema else {})}
    return {**notes, keyword: fit[0] if keyword == "const" else fit}


def _notes(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name in ANNOTATIONS and not _misleads(value)}


def _misleads(value: Any) -> bool:
    """Tell whether the converter would find a keyword in what is only a value."""
    if isinstance(value, dict):
        return any(name in _NOT_NAMES or _misleads(item) for name, item in value.items())
    return isinstance(value, list) and any(map(_misleads, value))


_NESTED = frozenset((*MAPS, *LISTS, *SINGLES))


def _put(schema: Schema, keyword: str, value: Any) -> None:
    if value is None:
        schema.pop(keyword, None)
    else:
        schema[keyword] = value


def _put_count(schema: Schema, keyword: str, limit: int) -> None:
    count = schema.get(keyword)
    if count is not None:
        _put(schema, keyword, int(count) if count <= limit else None)
