"""JSON as Go reads and writes it: its complaints, its replacements, its escapes."""

from __future__ import annotations

import json
import re
from typing import Any

from o2o.practice.faults import Fault

_WHERE = (
    ("Expecting property name", "looking for beginning of object key string"),
    ("Expecting ':'", "after object key"),
    ("Expecting ','", "after object key:value pair"),
    ("Invalid control character", "in string literal"),
    ("Invalid \\escape", "in string escape code"),
)


def kind(value: Any) -> str:
    """Return what Go calls the kind of a JSON value."""
    if isinstance(value, bool):
        return "bool"
    return {str: "string", int: "number", float: "number", list: "array", dict: "object"}[type(value)]


def encode(value: Any) -> bytes:
    """Return `value` as Go writes JSON: no spaces, and five characters escaped that JSON would allow."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode()


def parse(raw: bytes) -> Any:
    """Return the first JSON value of a body; raise Ollama's 400 when there is none."""
    # Go replaces what is no UTF-8, and lone surrogates, by U+FFFD; a byte order mark it reads as three letters.
    text = raw.decode("utf-8", "replace").lstrip(" \t\r\n")
    if not text:
        raise Fault(400, "missing request body")
    if text.startswith("\ufeff"):
        raise Fault(400, "invalid character 'ï' looking for beginning of value")
    try:
        value, _ = json.JSONDecoder(parse_constant=_no_constant).raw_decode(text)
        return _without_surrogates(value) if "\\ud" in text.lower() else value
    except json.JSONDecodeError as error:
        raise Fault(400, _complaint(error, text)) from None
    except RecursionError:
        raise Fault(400, "exceeded max depth") from None
    except ValueError as error:
        raise Fault(400, str(error)) from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"invalid character '{name[0]}' looking for beginning of value")


def _complaint(error: json.JSONDecodeError, text: str) -> str:
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
        return "unexpected EOF"
    where = next(
        (words for start, words in _WHERE if error.msg.startswith(start)), "looking for beginning of value"
    )
    return f"invalid character '{text[error.pos]}' {where}"


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return re.sub("[\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(item) for name, item in value.items()}
    return value
