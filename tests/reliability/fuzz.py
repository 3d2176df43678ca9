"""Requests made by chance from the schemas of the endpoints, and then damaged; what must hold of each answer."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from o2o.schemas._load import load
from tests.reliability.caller import PATHS, Answer, Caller, Endpoint, request
from tests.reliability.outcomes import ENVELOPE

ENDPOINTS: tuple[Endpoint, ...] = ("chat", "chat", "chat", "completions", "embeddings")
CHATTING = ("practice", "practice", "practice", "practice-think", "practice-think", "practice-vision")
WRONG_MODELS = ("no-such-model", "practice-embed", "practice", "")
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
SAID = (
    "Hello!",
    "",
    " ",
    "a\u2028b",
    "🍌",
    "é",
    "\x00",
    "x" * 500,
    "</think>",
    '{"a": 1}',
    "[DONE]",
    "call: f {}",
)
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 0.5, -0.0, 1e308, 2**31, 2**63, -(2**70), 10**300),
    *("", "a", "auto", "none", "required", "\u202e", "\ud7ff", "x" * 5000),
    *([], {}, [[]], [{}], {"": ""}, [None], {"a": {"b": [1, {"c": None}]}}, ["x"] * 100),
    *({"type": "object"}, {"type": "json_schema"}, {"type": "function"}, {"url": "data:,"}, {"name": "f"}),
)
SCHEMAS: tuple[Any, ...] = (
    {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    },
    {"type": "array", "items": {"enum": [1, "b", None]}, "maxItems": 3},
    {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"type": "null"}, {"type": "integer"}]}}},
    True,
    {},
    {"type": "nonsense"},
)

THE_MODELS = ("response_format_violation", "tool_call_parse_error")
"""Failures that are the model's: a stop string cut its answer short of the form that strict callers insist on."""


@dataclass(frozen=True)
class Fuzzed:
    """One request: its path, its body as bytes, its headers."""

    path: str
    body: bytes
    headers: dict[str, str]
    method: str = "POST"


def made(seed: int) -> Fuzzed:
    """Return the request of this seed."""
    chance = random.Random(seed)
    endpoint = chance.choice(ENDPOINTS)
    body = _body(endpoint, chance)
    for _ in range(chance.choice((0, 0, 0, 1, 2, 5))):
        _damage(body, chance)
    raw = json.dumps(body, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    if chance.random() < 0.08:
        raw = _torn(raw, chance)
    headers = {"Connection": "close"}
    if chance.random() < 0.1:
        headers["Content-Type"] = chance.choice(
            ("application/json; charset=utf-8", "text/plain", "", "a/b/c")
        )
    if chance.random() < 0.05:
        headers[chance.choice(("x-o2o-num-ctx", "X-Request-Id", "Authorization", "Accept", "Range"))] = "1\t2"
    method = chance.choice(("POST",) * 150 + ("GET", "PUT", "PATCH", "DELETE"))
    return Fuzzed(PATHS[endpoint], raw, headers, method)


def _body(endpoint: Endpoint, chance: random.Random) -> dict[str, Any]:
    """Return a body that is right, or nearly so: what is needed, and some of what may be there."""
    known = load(endpoint)["properties"]
    right = ("practice-embed",) if endpoint == "embeddings" else CHATTING
    body: dict[str, Any] = {"model": chance.choice(right if chance.random() < 0.95 else WRONG_MODELS)}
    if endpoint == "chat":
        body["messages"] = [_message(chance) for _ in range(chance.choice((1, 1, 2, 4)))]
    else:
        name = "prompt" if endpoint == "completions" else "input"
        body[name] = chance.choice((chance.choice(SAID), [chance.choice(SAID) for _ in range(3)]))
    for name in chance.sample(sorted(known), chance.choice((0, 0, 1, 2, 4))):
        if name not in ("model", "messages", "prompt", "input"):
            body[name] = _value(known[name], chance, 0)
    if chance.random() < 0.15:
        function = {"name": "f", "parameters": copy.deepcopy(chance.choice(SCHEMAS))}
        body["tools"] = [{"type": "function", "function": function}]
    if chance.random() < 0.1:
        form = {"name": "a", "schema": copy.deepcopy(chance.choice(SCHEMAS)), "strict": chance.random() < 0.5}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    if chance.random() < 0.4:
        body["stream"] = True
    return body


def _message(chance: random.Random) -> dict[str, Any]:
    role = chance.choice(("user", "user", "user", "system", "developer", "assistant", "tool"))
    said: dict[str, Any] = {"role": role, "content": chance.choice(SAID)}
    if role == "assistant" and chance.random() < 0.5:
        said["tool_calls"] = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    if role == "tool":
        said["tool_call_id"] = "c"
    if role == "user" and chance.random() < 0.1:
        said["content"] = [
            {"type": "text", "text": chance.choice(SAID)},
            {"type": "image_url", "image_url": {"url": PIXEL}},
        ]
    return said


def _value(schema: Any, chance: random.Random, depth: int) -> Any:
    """Return a value that a schema allows, as far as its simpler keywords go."""
    if not isinstance(schema, dict) or depth > 4:
        return _odd(chance)
    if "enum" in schema:
        return chance.choice(schema["enum"])
    kinds = schema.get("type", "string")
    kind = chance.choice(kinds) if isinstance(kinds, list) else kinds
    if kind == "object":
        properties = schema.get("properties", {})
        wanted = {*schema.get("required", ()), *chance.sample(sorted(properties), min(len(properties), 2))}
        return {name: _value(properties.get(name), chance, depth + 1) for name in sorted(wanted)}
    if kind == "array":
        return [_value(schema.get("items"), chance, depth + 1) for _ in range(chance.choice((0, 1, 2)))]
    if kind in ("integer", "number"):
        low, high = schema.get("minimum", -2), min(schema.get("maximum", 4), 4)
        return chance.choice(
            (low, high, chance.randint(0, 4), *((chance.uniform(-1, 3),) if kind == "number" else ()))
        )
    return {"boolean": chance.random() < 0.5, "null": None}.get(kind, chance.choice(SAID))


def _odd(chance: random.Random) -> Any:
    # A copy: what is put into one body must not be changed in another.
    return copy.deepcopy(chance.choice(ODD))


def _damage(body: dict[str, Any], chance: random.Random) -> None:
    """Change one place: another value, an odd one, one more, or none."""
    places = [(holder, key) for holder, key in _places(body) if key not in ("model", "messages")]
    holder, key = chance.choice(places or [(body, "model")])
    what = chance.random()
    if what < 0.6:
        holder[key] = _odd(chance)
    elif what < 0.8:
        del holder[key]
    elif isinstance(holder, dict):
        holder[chance.choice(("n", "extra", "temperature", "type", "\n", ""))] = _odd(chance)
    else:
        holder.append(_odd(chance))
    if isinstance(body.get("n"), int) and body["n"] > 3:
        body["n"] = 3
    body.setdefault("model", "practice")


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], (dict, list)) and node[key]:
            yield from _places(node[key])


def _torn(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw))
    return chance.choice(
        (
            raw[:at],
            raw[:at] + bytes([chance.randrange(256)]) + raw[at + 1 :],
            raw[:at] + chance.choice((b"{", b"[", b'"', b"\\u", b",", b"\x00", b"NaN", b"1e999")) + raw[at:],
            raw + raw,
        )
    )


def ask(port: int, seed: int) -> tuple[Fuzzed, Answer]:
    """Send the request of this seed and return it with its answer."""
    fuzzed = made(seed)
    with Caller(port) as caller:
        caller.send(request(fuzzed.path, fuzzed.body, fuzzed.headers, fuzzed.method))
        return fuzzed, caller.answer()


def wrongs(port: int, seed: int) -> list[str]:
    """Send the request of this seed and return what is wrong with its answer."""
    fuzzed, answer = ask(port, seed)
    found = [] if answer.whole else ["the connection ended before the answer did"]
    if answer.seconds > 5:
        found.append(f"{answer.seconds:.1f} s")
    if answer.status >= 500 and (answer.error or {}).get("code") not in THE_MODELS:
        found.append(f"status {answer.status}")
    if answer.is_stream:
        last = answer.values[-1] if answer.values else None
        if last != "[DONE]" and answer.error is None:
            found.append(f"the stream ends in {last!r}")
        error = answer.error
    elif answer.headers.get("content-type") != "application/json":
        return [*found, f"content-type {answer.headers.get('content-type')!r}"]
    else:
        error = answer.error
        if (answer.status == 200) is not (error is None):
            found.append("an error with 200, or another status without one")
    if error is not None and (sorted(error) != ENVELOPE or not error["message"]):
        found.append(f"error {error!r}")
    return [f"{wrong} ({fuzzed}, {answer.body[-300:]!r})" for wrong in found]
