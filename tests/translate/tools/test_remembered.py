from __future__ import annotations

from typing import Any

import msgspec

from o2o.translate.tools import remembered
from o2o.translate.tools.flatten import flatten

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"$ref": "#/$defs/x"}},
    "$defs": {"x": {"const": 1}},
}


def test_what_is_remembered_is_what_is_worked_out() -> None:
    for _ in range(2):
        assert remembered.flattened(SCHEMA) == flatten(SCHEMA)


def test_a_schema_beyond_bounds_is_never_called_sound() -> None:
    raw = msgspec.json.encode({"properties": {"a": {"$ref": "https://example.org/"}}})
    assert not remembered.is_sound(raw)
    assert not remembered.is_sound(raw)
    assert remembered.is_sound(msgspec.json.encode(SCHEMA))


def test_large_schemas_are_not_kept() -> None:
    large = {**SCHEMA, "description": "x" * remembered.LARGEST}
    before = remembered._flattened.cache_info().currsize
    assert remembered.flattened(large) == flatten(large)
    assert not remembered.is_sound(msgspec.json.encode(large))
    assert remembered._flattened.cache_info().currsize == before
