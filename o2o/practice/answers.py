"""What a practice model says: thinking, text, JSON or tool calls, as pieces in the order of generation.

It asks to be understood as what it is: every text of its own says that no model is running. Three things
it does on request, since they help when trying things out: `count to 20`, `say: …` (or `repeat: …`), and calling
a tool that the message names, asks for, or speaks of (`get_weather` is called when asked about the weather).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from o2o.practice import schema_instance, tokens
from o2o.practice.schema_instance import Hints

Kind = Literal["thinking", "content", "call"]


@dataclass(frozen=True)
class Piece:
    """One generated token; `call` (name and arguments) stands on the last piece of a tool call's text."""

    kind: Kind
    text: str
    call: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Question:
    """All that an answer depends on; `schema` is a JSON Schema, or "json", or None."""

    messages: Sequence[Mapping[str, Any]]
    seed: int
    tools: Sequence[Mapping[str, Any]] = ()
    schema: Any = None
    think: bool | str = False
    images: Sequence[bytes] = field(default=())


_OPENINGS = (
    "This is a practice answer, no model is running.",
    "You are talking to a practice model.",
    "Hello from the practice model.",
    "No real model is behind this practice answer.",
    "A practice model wrote this.",
    "Here speaks the practice model of o2o.",
    "Please take this as practice: there is no model here.",
)
_MIDDLES = (
    "I read what you wrote, namely {quote}, and have no opinion on it.",
    "Your message was {quote}.",
    "You wrote {quote}, and I can do no more than repeat it.",
    "Somebody wiser would know what to say about {quote}.",
    "About {quote} I could invent anything.",
    "The words {quote} have arrived in good order.",
    "Nothing in me understands {quote}.",
)
_FILLERS = (
    "The {colour} {animal} sleeps under the {place}.",
    "Meanwhile a {colour} {animal} looks at the {place}.",
    "Some say that the {place} belongs to the {colour} {animal}.",
    "Under the {place} a {colour} {animal} waits for Monday.",
    "Every {animal} near the {place} is {colour} today.",
)
_CLOSINGS = (
    "Start Ollama to get a real answer.",
    "With Ollama running, a real model would answer here.",
    "Everything around these words works as with the real thing.",
    "Only the words are made up.",
    "Pull a model with Ollama when you are ready.",
)
_COLOURS = ("red", "blue", "green", "yellow", "grey", "purple", "silver")
_ANIMALS = ("fox", "owl", "hedgehog", "heron", "badger", "otter", "wren", "mole")
_PLACES = ("bridge", "oak", "lighthouse", "stairs", "harbour", "clock", "garden")

_COUNT = re.compile(r"\bcount(?: up)?(?: from 1)? to (\d{1,5})\b", re.IGNORECASE)
_SAY = re.compile(r"\s*(?:please )?(?:say|repeat|echo)(?: after me)?\s*:\s*(.+)", re.IGNORECASE | re.DOTALL)
_CALL = re.compile(r"\b(?:call|invoke)\b|\buse (?:\w+ ){0,2}(?:tools?|functions?)\b", re.IGNORECASE)
_QUOTED = re.compile(r"[\"“]([^\"”]{1,60})[\"”]|`([^`]{1,60})`")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z]\w+(?: [A-Z]\w+)*")
_NUMBER = re.compile(r"(?<![\w.])-?\d{1,9}(?![\w.])")
_LEVELS = {"low": 0, "medium": 1, "high": 3, "max": 5}


def compose(question: Question) -> list[Piece]:
    """Return everything the model generates, however long; cutting is `generation`'s."""
    rng = random.Random(question.seed)  # noqa: S311 - wording, not secrets
    thinking = _think(question, rng) if question.think else ""
    return [Piece("thinking", text) for text in tokens.pieces(thinking)] + _speak(question, rng)


def continued(suffix: str, seed: int) -> list[Piece]:
    """Return how a bare prompt goes on, or what stands between a prompt and its suffix."""
    rng = random.Random(seed)  # noqa: S311 - wording, not secrets
    text = (
        " the practice model fills this in "
        if suffix
        else f" and so on, says the practice model. {_filler(rng)}"
    )
    return [Piece("content", piece) for piece in tokens.pieces(text)]


def _speak(question: Question, rng: random.Random) -> list[Piece]:
    if question.schema is not None:
        text = json.dumps(_instance(question, rng), ensure_ascii=False)
    else:
        calls = [_call(tool, question, rng) for tool in wanted_tools(question)]
        if calls:
            return [piece for call in calls for piece in call]
        text = _continuation(question, rng)
    return [Piece("content", piece) for piece in tokens.pieces(text)]


# --- text


def _continuation(question: Question, rng: random.Random) -> str:
    """Return the answer, or only its rest where the last message has begun it."""
    *before, last = question.messages or [{}]
    if last.get("role") != "assistant":
        return _text(question.messages, question.images, rng)
    text = _text(before, question.images, rng)
    begun = last.get("content") or ""
    return text[len(begun) :] if text.startswith(begun) else f" {text}"


def _text(messages: Sequence[Mapping[str, Any]], images: Sequence[bytes], rng: random.Random) -> str:
    last = messages[-1] if messages else {}
    content = _last_words(messages)
    if last.get("role") == "tool":
        name = last.get("tool_name") or "The tool"
        return f"{rng.choice(_OPENINGS)} {name} said {_quote(last.get('content') or '')}. {_filler(rng)}"
    if said := _SAY.match(content):
        return said[1]
    if counted := _COUNT.search(content):
        return " ".join(map(str, range(1, int(counted[1]) + 1)))
    seen = f" I cannot see, but got {_describe(images)}." if images else ""
    middle = rng.choice(_MIDDLES).format(quote=_quote(content))
    return f"{rng.choice(_OPENINGS)}{seen} {middle} {_filler(rng)} {rng.choice(_CLOSINGS)}"


def _last_words(messages: Sequence[Mapping[str, Any]]) -> str:
    said = [
        message for message in messages if message.get("role") not in ("system", "developer", "assistant")
    ]
    return (said[-1].get("content") or "") if said else ""


def _quote(text: str, most: int = 12) -> str:
    words = text.split()
    return '"' + " ".join(words[:most])[:200] + ('…"' if len(words) > most else '"')


def _filler(rng: random.Random) -> str:
    words = {"colour": rng.choice(_COLOURS), "animal": rng.choice(_ANIMALS), "place": rng.choice(_PLACES)}
    return rng.choice(_FILLERS).format(**words)


def _describe(images: Sequence[bytes]) -> str:
    return " and ".join(f"an {_sort(image)} of {len(image)} bytes" for image in images)


def _sort(image: bytes) -> str:
    for start, name in ((b"\x89PNG", "image (PNG)"), (b"\xff\xd8", "image (JPEG)"), (b"GIF8", "image (GIF)")):
        if image.startswith(start):
            return name
    return "image (WebP)" if image[8:12] == b"WEBP" else "unknown thing"


def _think(question: Question, rng: random.Random) -> str:
    length = _LEVELS["medium" if question.think is True else str(question.think)]
    opening = f"The user says {_quote(_last_words(question.messages), 5)}. I am only a practice model."
    return " ".join([opening, *(_filler(rng) for _ in range(length))]) + "\n"


# --- JSON and tools


def _instance(question: Question, rng: random.Random) -> Any:
    if question.schema == "json" or _is_open(question.schema):
        return {"practice": True, "answer": _text(question.messages, question.images, rng)}
    return schema_instance.make(question.schema, rng, hints(_last_words(question.messages)))


def _is_open(schema: Mapping[str, Any]) -> bool:
    return not set(schema) - {"type", "description"} and schema.get("type", "object") == "object"


def hints(text: str) -> Hints:
    """Return what a message offers for the arguments of a call: quoted words, names, whole numbers."""
    quoted = [first or second for first, second in _QUOTED.findall(text)]
    strings = list(dict.fromkeys([*quoted, *_NAME.findall(text)]))
    return Hints(text, strings, [int(number) for number in _NUMBER.findall(text)])


def wanted_tools(question: Question) -> list[Mapping[str, Any]]:
    """Return the tools that the last message, if it is not a tool's result, wants to be called."""
    if not question.messages or question.messages[-1].get("role") != "user":
        return []
    text = _last_words(question.messages).lower()
    functions = [tool.get("function") or {} for tool in question.tools]
    named = [
        one
        for one in functions
        if one.get("name") and re.search(rf"\b{re.escape(one['name'].lower())}\b", text)
    ]
    if named:
        return sorted(named, key=lambda one: text.index(one["name"].lower()))
    spoken_of = [one for one in functions if _is_about(one.get("name") or "", text)]
    return spoken_of or (functions[:1] if _CALL.search(text) else [])


def _is_about(name: str, text: str) -> bool:
    parts = [part.lower() for part in re.findall(r"[A-Za-z][a-z]+", name) if len(part) >= 5]
    return any(re.search(rf"\b{part}\b", text) for part in parts)


def _call(function: Mapping[str, Any], question: Question, rng: random.Random) -> list[Piece]:
    spoken = hints(_last_words(question.messages))
    names = {(tool.get("function") or {}).get("name") for tool in question.tools}
    spoken.strings = [word for word in spoken.strings if word not in names]
    arguments = schema_instance.make({"type": "object", **(function.get("parameters") or {})}, rng, spoken)
    call = {"name": function.get("name") or "", "arguments": arguments if isinstance(arguments, dict) else {}}
    texts = tokens.pieces(f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>")
    return [Piece("call", text) for text in texts[:-1]] + [Piece("call", texts[-1], call)]
