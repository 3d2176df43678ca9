"""What a caller's schema may be: of bounded size, sane, and closed in itself.

What travels reaches a parser in C++ that has crashed on schemas (llama.cpp #26600, #25308); what stays here is
walked by the check of answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import msgspec

from o2o.errors import BadRequest, clip
from o2o.translate.json_schema.patterns import refusal
from o2o.translate.json_schema.places import LISTS, MAPS, TYPES, parts, resolve, types_of

MAX_BYTES = 65_536
MAX_DEPTH = 32
"""How deep schemas stand within schemas."""
MAX_SCHEMAS = 1_000
MAX_REPEATS = 100_000
"""The largest length or number of items that a schema may name."""


def check_bounds(
    schema: Any, param: str, *, subject: str, code: str | None = None, patterns: bool = True
) -> None:
    """Raise BadRequest if `schema` is out of bounds; its `param` is the path, which starts with `param`.

    `subject` says whose schema it is ("function 'f'"). Cycles of references are fine as long as each turn goes
    one level down into the value. With `patterns` false regular expressions are not looked at: right where none
    of them travels.
    """
    walk = _Walk(schema, subject, code, patterns)
    if not isinstance(schema, dict):
        walk.refuse(param, "a schema must be an object")
    if len(msgspec.json.encode(schema)) > MAX_BYTES:
        walk.refuse(param, f"it is longer than {MAX_BYTES} bytes")
    walk.check_all(schema, param)
    walk.check_cycles()


class _Walk:
    def __init__(self, root: Any, subject: str, code: str | None, patterns: bool) -> None:
        self.root = root
        self.subject = subject
        self.code = code
        self.patterns = patterns
        self.paths: dict[int, str] = {}
        self.edges: dict[int, list[int]] = {}
        """From each schema to those that judge the same value."""
        self.targets: list[tuple[Any, str]] = []

    def refuse(self, path: str, reason: str) -> NoReturn:
        message = f"Invalid schema for {self.subject}: {reason}."
        raise BadRequest(message, code=self.code, param=clip(path))

    def check_all(self, schema: Any, path: str) -> None:
        self.check(schema, path, 1)
        while self.targets:
            target, path = self.targets.pop()
            self.check(target, path, 1)

    def check(self, schema: Any, path: str, depth: int) -> None:
        if isinstance(schema, bool) or id(schema) in self.paths:
            return
        if not isinstance(schema, dict):
            self.refuse(path, "a schema must be an object or a boolean")
        if depth > MAX_DEPTH:
            self.refuse(path, f"schemas stand deeper than {MAX_DEPTH} levels")
        self.paths[id(schema)] = path
        if len(self.paths) > MAX_SCHEMAS:
            self.refuse(path, f"it has more than {MAX_SCHEMAS} schemas in it")
        self._check_keywords(schema, path)
        edges = self.edges[id(schema)] = []
        for place, part, same in parts(schema):
            self.check(part, path + place, depth + 1)
            if same:
                edges.append(id(part))
        if "$ref" in schema:
            target = self._target(schema["$ref"], f"{path}.$ref")
            edges.append(id(target))
            self.targets.append((target, f"{path}.$ref"))

    def _target(self, ref: Any, path: str) -> Any:
        if not isinstance(ref, str) or not ref.startswith("#"):
            self.refuse(path, "a $ref must begin with '#/' and lead into the same schema")
        try:
            return resolve(self.root, ref)
        except LookupError:
            self.refuse(path, f"the reference '{clip(ref)}' leads nowhere")

    def _check_keywords(self, schema: dict[str, Any], path: str) -> None:
        for keyword, value in schema.items():
            check = _CHECKS.get(keyword)
            reason = check(value) if check is not None else None
            if reason is None and keyword == "pattern" and self.patterns:
                reason = refusal(value)
            if reason is not None:
                self.refuse(f"{path}.{keyword}", reason)
        for least, most in _PAIRS:
            if least in schema and most in schema and schema[least] > schema[most]:
                self.refuse(f"{path}.{least}", f"'{least}' is greater than '{most}'")

    def check_cycles(self) -> None:
        """Refuse a schema that comes back to itself without going down into the value."""
        done: set[int] = set()
        for start in self.edges:
            way: dict[int, list[int]] = {}
            rest = [start]
            while rest:
                here = rest[-1]
                if here in done:
                    rest.pop()
                elif here in way:
                    if way[here]:
                        there = way[here].pop()
                        if there in way and there not in done:
                            self.refuse(self.paths[there], "it refers to itself without an end")
                        rest.append(there)
                    else:
                        done.add(here)
                else:
                    way[here] = list(self.edges.get(here, ()))


# --- one keyword


def _type(value: Any) -> str | None:
    if not isinstance(value, (str, list)) or value == []:
        return "'type' must be a string or a list of strings"
    names = types_of({"type": value})
    wrong = next((name for name in names if name not in TYPES), None)
    if wrong is not None:
        return f"{_quoted(wrong)} is not a type; types are {', '.join(TYPES)}"
    return None if len(set(names)) == len(names) else "'type' names a type twice"


def _quoted(value: Any) -> str:
    return f"'{clip(value, 40)}'" if isinstance(value, str) else "what is no string"


def _kind(kind: type, words: str) -> Callable[[Any], str | None]:
    return lambda value: None if isinstance(value, kind) else f"it must be {words}"


def _filled_list(value: Any) -> str | None:
    return None if isinstance(value, list) and value else "it must be a list that is not empty"


def _count(value: Any) -> str | None:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or value < 0:
        return "it must be a whole number that is not negative"
    return None if value <= MAX_REPEATS else f"it must not be greater than {MAX_REPEATS}"


def _number(value: Any) -> str | None:
    return None if isinstance(value, (int, float)) and not isinstance(value, bool) else "it must be a number"


def _limit(value: Any) -> str | None:
    # Draft-04 and OpenAPI 3.0 have booleans here.
    return None if isinstance(value, bool) else _number(value)


def _divisor(value: Any) -> str | None:
    return _number(value) or (None if value > 0 else "it must be greater than 0")


_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "type": _type,
    "enum": _filled_list,
    "pattern": _kind(str, "a string"),
    "format": _kind(str, "a string"),
    "required": _kind(list, "a list of names"),
    "minLength": _count,
    "maxLength": _count,
    "minItems": _count,
    "maxItems": _count,
    "minProperties": _count,
    "maxProperties": _count,
    "minimum": _number,
    "maximum": _number,
    "exclusiveMinimum": _limit,
    "exclusiveMaximum": _limit,
    "multipleOf": _divisor,
    **{name: _kind(dict, "an object of schemas") for name in MAPS},
    **dict.fromkeys(LISTS, _filled_list),
}
_PAIRS: tuple[tuple[str, str], ...] = (
    ("minimum", "maximum"),
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
)
