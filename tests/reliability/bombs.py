"""Bodies and schemas that are small to send and expensive, or impossible, to work with."""

from __future__ import annotations

from typing import Any

HELLO = b'"messages":[{"role":"user","content":"Hello!"}]'


def _with(text: bytes) -> bytes:
    return b'{"model":"good:bomb",' + HELLO + b"," + text + b"}"


DEEP = 100_000
BODIES: dict[str, bytes] = {
    "arrays in arrays": _with(b'"user":' + b"[" * DEEP + b"]" * DEEP),
    "objects in objects": _with(b'"user":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP),
    "arrays that never end": b"[" * DEEP,
    "both in turns": _with(b'"user":' + b'[{"a":' * DEEP + b"1" + b"}]" * DEEP),
    "a number of 5,000 digits": _with(b'"seed":' + b"9" * 5000),
    "a fraction of 5,000 digits": _with(b'"temperature":0.' + b"9" * 5000),
    "NaN": _with(b'"temperature":NaN'),
    "Infinity": _with(b'"temperature":Infinity'),
    "a number beyond all numbers": _with(b'"temperature":1e999'),
    "UTF-16": _with(b'"user":"a"').decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + _with(b'"user":"a"'),
    "half of a surrogate pair": _with(b'"user":"\\ud800"'),
    "bytes that are no UTF-8": _with(b'"user":"\xff\xfe"'),
    "a NUL between the tokens": _with(b'"user":\x00"a"'),
    "a control character in a string": _with(b'"user":"\x01"'),
    "two values": _with(b'"user":"a"') + b" {}",
    "a comment": _with(b'"user":"a"/* b */'),
    "a comma too many": _with(b'"user":"a",'),
    "single quotes": _with(b"'user':'a'"),
    "two million values": _with(b'"user":[' + b"0," * 2_000_000 + b"0]"),
    "a million lists": _with(b'"user":[' + b"[]," * 1_000_000 + b"0]"),
    "3,000 messages": b'{"model":"good:bomb","messages":['
    + b",".join([b'{"role":"user","content":"a"}'] * 3000)
    + b"]}",
    "200 tools": _with(
        b'"tools":[' + b",".join([b'{"type":"function","function":{"name":"f"}}'] * 200) + b"]"
    ),
}


def _nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return {"type": "object", "properties": {"a": schema}}


def _doubled(times: int) -> dict[str, Any]:
    definitions = {
        f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]}
        for n in range(times)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{times}": {"type": "string"}}}


def _string(**keywords: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": {"type": "string", **keywords}}}


def schemas(canary: str) -> dict[str, dict[str, Any]]:
    """Return schemas that must be refused; `canary` is an address that nobody may ask."""
    return {
        "too deep": _nested(40),
        "too many nodes": {
            "type": "object",
            "properties": {f"a{n}": {"type": "string"} for n in range(5000)},
        },
        "too many bytes": _string(description="x" * 70_000),
        "a reference to another machine": {"$ref": f"{canary}/schema.json"},
        "a reference to a file": {"$ref": "file:///etc/passwd"},
        "a length that the grammar cannot hold": _string(maxLength=10_000_000),
        "items that the grammar cannot hold": {"type": "array", "items": {}, "maxItems": 10_000_000},
        "a long pattern": _string(pattern="a" * 300),
        "a pattern with many groups in each other": _string(pattern="(" * 40 + "a" + ")" * 40),
        "a pattern that looks around": _string(pattern="^(?=a)b$"),
        "a pattern that begins with a quantifier": _string(pattern="*a"),
    }


HARMLESS: dict[str, dict[str, Any]] = {
    "a pattern that takes others for ever": _string(pattern="^(a+)+$"),
    "a reference to itself": {
        "type": "object",
        "properties": {"a": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
    },
    "everything doubled a few times": _doubled(6),
}
"""Schemas that are answered, soon and without running anything in them."""
