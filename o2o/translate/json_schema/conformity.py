"""Whether a finished value keeps to a schema: a bounded subset, which always ends.

Judged are type, enum, const, the keywords of objects, arrays, strings and numbers below, anyOf, oneOf, allOf, not
and local references. Not judged are `pattern`, `format` (a caller's expressions are never run) and what stands in
no table here: where such a keyword decides whether `not` or `oneOf` is broken, nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from fractions import Fraction
from typing import Any

from o2o.errors import clip
from o2o.translate.json_schema.places import Schema, frozen, is_type, resolve, types_of

MAX_STEPS = 100_000
MAX_DEPTH = 200
"""How deep schemas are followed, through values and references together."""


def violation(schema: Any, value: Any, *, root: Any = None) -> str | None:
    """Return where and how `value` breaks `schema` ("a.b[0]: must be an integer"), or None.

    References lead into `root`, by default `schema` itself. None too when the check ran out of its steps.
    """
    judge = _Judge(schema if root is None else root)
    try:
        found = judge.broken(schema, value, 0)
    except _OutOfSteps:
        return None
    if found is None:
        return None
    path, reason = found
    return f"{clip(path.removeprefix('.'), 160)}: {reason}" if path else reason


Broken = tuple[str, str]
"""A path below the value that is judged, and a reason."""


class _OutOfSteps(Exception):
    pass


class _Judge:
    def __init__(self, root: Any) -> None:
        self.root = root
        self.steps = MAX_STEPS
        self.unjudged = 0
        """How many keywords were met, so far, that say something which is not judged here."""
        self._sets: dict[int, frozenset[Hashable]] = {}

    def broken(self, schema: Any, value: Any, depth: int) -> Broken | None:
        self.steps -= 1
        if self.steps < 0 or depth > MAX_DEPTH:
            raise _OutOfSteps
        if not isinstance(schema, dict):
            return ("", "must not be there") if schema is False else None
        if value is None and schema.get("nullable") is True:
            return None
        for keyword, content in schema.items():
            judge = _JUDGES.get(keyword)
            if judge is None:
                self.unjudged += keyword not in _SILENT
                continue
            self.steps -= 1
            found = judge(self, content, value, schema, depth)
            if found is not None:
                return found
        return None

    def keeps(self, schema: Any, value: Any, depth: int) -> tuple[bool, bool]:
        """Tell whether `value` keeps to `schema`, and whether that is sure."""
        before = self.unjudged
        kept = self.broken(schema, value, depth + 1) is None
        sure = not kept or self.unjudged == before
        self.unjudged = before if sure else self.unjudged
        return kept, sure

    def one_of(self, values: list[Any], value: Any, key: int) -> bool:
        """Tell whether `value` is one of the values of the keyword that `key` stands for."""
        if key not in self._sets:
            self._sets[key] = frozenset(map(frozen, values))
        return frozen(value) in self._sets[key]

    def first(self, places: Iterator[tuple[str, Any, Any]], depth: int) -> Broken | None:
        """Judge places of a value, each by a schema of its own; return the first that is broken."""
        for place, schema, value in places:
            found = self.broken(schema, value, depth + 1)
            if found is not None:
                return place + found[0], found[1]
        return None


# --- keywords for any value


def _type(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
    kinds = types_of({"type": content})
    if any(is_type(value, kind) for kind in kinds):
        return None
    return "", f"must be of type {' or '.join(kinds)}"


def _enum(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
    return None if judge.one_of(content, value, id(content)) else ("", "must be one of the enum's values")


def _const(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
    # The schema stands for its const: a bare value may be the same object in several places.
    return None if judge.one_of([content], value, id(schema)) else ("", "must be the const's value")


def _ref(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
    try:
        target = resolve(judge.root, content)
    except LookupError:
        judge.unjudged += 1
        return None
    return judge.broken(target, value, depth + 1)


def _all_of(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
    return judge.first((("", part, value) for part in content), depth)


def _any_of(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
    if len(content) == 1:
        return judge.broken(content[0], value, depth + 1)
    for part in content:
        if judge.keeps(part, value, depth)[0]:
            return None
    return "", "matches no schema of anyOf"


def _one_of(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
    found = [judge.keeps(part, value, depth) for part in content]
    if not any(kept for kept, _ in found):
        return "", "matches no schema of oneOf"
    if sum(kept and sure for kept, sure in found) > 1:
        return "", "matches more than one schema of oneOf"
    return None


def _not(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
    return ("", "matches the schema of not") if judge.keeps(content, value, depth) == (True, True) else None


# --- keywords for objects


def _properties(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
    if not isinstance(value, dict):
        return None
    judge.steps -= len(content)
    return judge.first(
        ((f".{name}", part, value[name]) for name, part in content.items() if name in value), depth
    )


def _required(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
    if not isinstance(value, dict):
        return None
    judge.steps -= len(content)
    missing = next((name for name in content if isinstance(name, str) and name not in value), None)
    return None if missing is None else ("", f"'{clip(missing, 60)}' is missing")


def _additional(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
    if not isinstance(value, dict):
        return None
    if schema.get("patternProperties"):
        judge.unjudged += 1  # which names those patterns take is not known
        return None
    others = [name for name in value if name not in schema.get("properties", ())]
    judge.steps -= len(value)
    if others and content is False:
        return "", f"'{clip(others[0], 60)}' is not allowed"
    return judge.first(((f".{name}", content, value[name]) for name in others), depth)


def _count(kind: type, least: bool, what: str) -> _Keyword:
    def judge_count(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
        if not isinstance(value, kind):
            return None
        length = len(value)  # type: ignore[arg-type] # dict, list and str have one
        if length >= content if least else length <= content:
            return None
        return "", f"must have at {'least' if least else 'most'} {content} {what}"

    return judge_count


# --- keywords for arrays


def _items(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
    if not isinstance(value, list):
        return None
    if isinstance(content, list):  # draft-07's way to say prefixItems
        return _prefix_items(judge, content, value, schema, depth)
    begin = len(schema.get("prefixItems", ()))
    if content is False and len(value) > begin:
        return "", f"must have at most {begin} items"
    return judge.first(((f"[{n}]", content, value[n]) for n in range(begin, len(value))), depth)


def _prefix_items(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
    if not isinstance(value, list):
        return None
    pairs = enumerate(zip(content, value))  # noqa: B905 # either may be the longer one
    return judge.first(((f"[{number}]", part, item) for number, (part, item) in pairs), depth)


def _additional_items(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
    first = schema.get("items")
    if not isinstance(value, list) or not isinstance(first, list):
        return None
    return _items(judge, content, value, {"prefixItems": first}, depth)


def _unique_items(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
    if content is not True or not isinstance(value, list):
        return None
    judge.steps -= len(value)
    return None if len({frozen(item) for item in value}) == len(value) else ("", "has an item twice")


# --- keywords for numbers


def _limit(sign: int, other: str) -> _Keyword:
    """Make the judge of minimum (sign 1) or maximum (-1), either of which a boolean `other` may exclude."""

    def judge_limit(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
        if not is_type(value, "number"):
            return None
        if schema.get(other) is True:
            return _exclusive(sign)(judge, content, value, schema, depth)
        bound = "least" if sign > 0 else "most"
        return None if value * sign >= content * sign else ("", f"must be at {bound} {_shown(content)}")

    return judge_limit


def _exclusive(sign: int) -> _Keyword:
    def judge_exclusive(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
        if not is_type(value, "number") or isinstance(content, bool):
            return None
        bound = "greater" if sign > 0 else "less"
        return None if value * sign > content * sign else ("", f"must be {bound} than {_shown(content)}")

    return judge_exclusive


def _multiple_of(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
    if not is_type(value, "number") or Fraction(str(value)) % Fraction(str(content)) == 0:
        return None
    return "", f"must be a multiple of {_shown(content)}"


def _shown(number: float) -> str:
    return clip(str(number), 40)


def _hold(judge: _Judge, content: Any, value: Any, schema: Schema, depth: int) -> Broken | None:
    """Note a keyword for strings that is not judged."""
    judge.unjudged += isinstance(value, str)
    return None


_Keyword = Callable[[_Judge, Any, Any, Schema, int], "Broken | None"]

_JUDGES: dict[str, _Keyword] = {
    "$ref": _ref,
    "type": _type,
    "enum": _enum,
    "const": _const,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "minProperties": _count(dict, True, "properties"),
    "maxProperties": _count(dict, False, "properties"),
    "prefixItems": _prefix_items,
    "items": _items,
    "additionalItems": _additional_items,
    "minItems": _count(list, True, "items"),
    "maxItems": _count(list, False, "items"),
    "uniqueItems": _unique_items,
    "minLength": _count(str, True, "characters"),
    "maxLength": _count(str, False, "characters"),
    "minimum": _limit(1, "exclusiveMinimum"),
    "maximum": _limit(-1, "exclusiveMaximum"),
    "exclusiveMinimum": _exclusive(1),
    "exclusiveMaximum": _exclusive(-1),
    "multipleOf": _multiple_of,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "pattern": _hold,
    "format": _hold,
}

_SILENT = frozenset(
    "$anchor $comment $defs $id $schema default definitions deprecated description discriminator else example "
    "examples nullable readOnly strict then title writeOnly".split()
)
"""Keywords that judge nothing on their own."""
