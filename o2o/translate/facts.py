"""What is known of a model: read from `/api/show`, kept by whoever asks Ollama, passed in here.

Everything is optional. None means that nobody could say, which is not the same as no.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Way = Literal["rendered", "native", "unknown"]

_BUILT_IN = re.compile(r"^(?:RENDERER|PARSER) \S+\s*$", re.MULTILINE)
_HARMONY = re.compile(r"^PARSER harmony\s*$", re.MULTILINE)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_SHORT = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_NO_TEMPLATE = "{{ .Prompt }}"


@dataclass(frozen=True)
class Facts:
    """What Ollama says of one model.

    `way` is which of Ollama's two ways a chat takes: it renders the prompt itself, or leaves that to the
    runner and the model's own Jinja template. `harmony` is gpt-oss's format, which cannot be kept from
    thinking. Lengths are in tokens and numbers of a vector.
    """

    capabilities: frozenset[str] | None = None
    stops: tuple[str, ...] = ()
    context_length: int | None = None
    embedding_length: int | None = None
    way: Way = "unknown"
    thinking_values: tuple[str, ...] | None = None
    remote: bool = False
    harmony: bool = False


def facts_from_show(show: Mapping[str, Any]) -> Facts:
    """Read a reply of `/api/show`; what is missing or of another type there is None here."""
    capabilities = show.get("capabilities")
    known = (
        frozenset(item for item in capabilities if isinstance(item, str))
        if isinstance(capabilities, list)
        else None
    )
    thinking = _mapping(show.get("thinking"))
    values = thinking.get("values")
    return Facts(
        capabilities=known,
        stops=_stops(_text(show.get("parameters"))),
        context_length=_length(show, "context_length"),
        embedding_length=_length(show, "embedding_length"),
        way=_way(show, known),
        thinking_values=tuple(v for v in values if isinstance(v, str)) if isinstance(values, list) else None,
        remote=bool(show.get("remote_model") or show.get("remote_host")),
        harmony=_is_harmony(show),
    )


def can(facts: Facts | None, capability: str) -> bool | None:
    """Tell whether the model has a capability of `/api/show`: tools, thinking, vision, …; None if unknown."""
    if facts is None or facts.capabilities is None:
        return None
    return capability in facts.capabilities


def fingerprint(digest: str | None) -> str | None:
    """Return OpenAI's `system_fingerprint` for a model's digest."""
    return f"fp_{digest.removeprefix('sha256:')[:10]}" if digest else None


def _stops(parameters: str) -> tuple[str, ...]:
    # One "name   value" a line, in random order; strings are quoted as Go source quotes them.
    stops = []
    for line in parameters.split("\n"):
        name, _, value = line.strip().partition(" ")
        if name == "stop":
            stops.append(_unquote(value.strip()))
    return tuple(dict.fromkeys(filter(None, sorted(stops))))


def _unquote(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return _ESCAPE.sub(_unescape, value[1:-1])


def _unescape(match: re.Match[str]) -> str:
    byte, *codes, letter = match.groups()
    if letter is not None:
        return _SHORT.get(letter, str(letter))
    number = int(next(code for code in (byte, *codes) if code is not None), 16)
    # Go writes \x for control characters, and for bytes that are no UTF-8 on their own.
    is_character = number < 0x80 if byte is not None else number < 0x110000 and not 0xD800 <= number < 0xE000
    return chr(number) if is_character else "\N{REPLACEMENT CHARACTER}"


def _way(show: Mapping[str, Any], capabilities: frozenset[str] | None) -> Way:
    if show.get("remote_model") or show.get("remote_host"):
        return "unknown"
    template = _text(show.get("template"))
    details = _mapping(show.get("details"))
    # The show handler declares renderer and parser, and leaves them empty in the versions seen.
    built_in = show.get("renderer") or show.get("parser") or _BUILT_IN.search(_text(show.get("modelfile")))
    if built_in or details.get("format") == "safetensors":
        return "rendered"
    if template.strip() == _NO_TEMPLATE:
        return "native" if capabilities is None or "completion" in capabilities else "unknown"
    if "{%" in template:
        return "native"
    return "rendered" if "{{" in template else "unknown"


def _is_harmony(show: Mapping[str, Any]) -> bool:
    family = _mapping(show.get("details")).get("family")
    return (
        family in ("gptoss", "gpt-oss")
        or show.get("parser") == "harmony"
        or _HARMONY.search(_text(show.get("modelfile"))) is not None
    )


def _length(show: Mapping[str, Any], name: str) -> int | None:
    info = _mapping(show.get("model_info"))
    architecture = info.get("general.architecture")
    places = [info.get(f"{architecture}.{name}"), _mapping(show.get("details")).get(name)]
    # A cloud model's info has no architecture, but lengths under some name.
    places += [value for key, value in info.items() if key.endswith(f".{name}")]
    return next((v for v in places if isinstance(v, int) and not isinstance(v, bool) and v > 0), None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
