"""Ollama's list of models -> OpenAI's, with extras that OpenAI does not have.

Ids are the names that Ollama lists; aliases stand there too, where what they mean exists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from o2o.translate.facts import Facts
from o2o.translate.names import canonical, namespace
from o2o.translate.policy import Policy

Entry = dict[str, Any]

_PREFIXES = ("ollama/", "openai/")
# RFC 3339 as Go writes it: any number of digits behind the seconds, Z or an offset.
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.\d{1,12})?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)


def to_openai(
    tags: Mapping[str, Any], *, facts: Mapping[str, Facts], ps: Mapping[str, Any], policy: Policy
) -> list[Entry]:
    """Return the entries of `GET /v1/models`.

    `tags` and `ps` are Ollama's replies; `facts` are by digest, and what they do not have yet is null.
    """
    loaded = _loaded(ps)
    entries: dict[str, Entry] = {}
    for model in _models(tags):
        name = model.get("name") or model.get("model")
        if isinstance(name, str) and name:
            entries[canonical(name)] = _entry(name, model, facts.get(str(model.get("digest"))), loaded)
    listed = list(entries.values())
    for alias, meant in policy.aliases.items():
        target = entries.get(canonical(meant.target))
        if target is not None and canonical(alias) not in entries:
            listed.append({**target, "id": alias})
    return listed


def find(entries: Sequence[Entry], model: str) -> Entry | None:
    """Return the entry that `model` names, with or without `:latest`, in upper or lower case."""
    for name in (model, *(model[len(p) :] for p in _PREFIXES if model.lower().startswith(p))):
        wanted = canonical(name)
        found = next((entry for entry in entries if canonical(entry["id"]) == wanted), None)
        if found is not None:
            return found
    return None


def created(modified_at: Any) -> int:
    """Return the Unix seconds of a time as Ollama writes it; 0 for what is none, or lies before 1970."""
    match = _TIME.fullmatch(modified_at) if isinstance(modified_at, str) else None
    if match is None:
        return 0
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    sign, hours, minutes = match.groups()[6:]
    offset = (int(hours) * 60 + int(minutes)) * 60 * (-1 if sign == "-" else 1) if sign else 0
    seconds = _days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset
    return max(0, seconds)


def _days(year: int, month: int, day: int) -> int:
    """Return the days since 1970-01-01 in the Gregorian calendar."""
    # Years begin in March here, so that the day that some years have more is their last.
    year -= month <= 2
    month = (month + 9) % 12
    return year * 365 + year // 4 - year // 100 + year // 400 + (month * 153 + 2) // 5 + day - 719469


def _entry(name: str, model: Mapping[str, Any], facts: Facts | None, loaded: frozenset[str]) -> Entry:
    details = _mapping(model.get("details"))
    # Ollama's list has capabilities too, but not the right ones.
    capabilities = facts.capabilities if facts is not None else None
    length = facts.context_length if facts is not None else None
    return {
        "id": name,
        "object": "model",
        "created": created(model.get("modified_at")),
        "owned_by": namespace(name),
        "context_length": length if length is not None else _whole(details.get("context_length")),
        "capabilities": None if capabilities is None else sorted(capabilities),
        "family": _text(details.get("family")),
        "size": _whole(model.get("size")),
        "quantization": _text(details.get("quantization_level")),
        "loaded": bool(loaded & {canonical(name), str(model.get("digest"))}),
    }


def _loaded(ps: Mapping[str, Any]) -> frozenset[str]:
    # Two names of one model share a runner, which is listed under the first: the digest tells.
    names = {canonical(model["name"]) for model in _models(ps) if isinstance(model.get("name"), str)}
    return frozenset(names | {model["digest"] for model in _models(ps) if _text(model.get("digest"))})


def _models(reply: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    models = reply.get("models")
    return [model for model in models if isinstance(model, Mapping)] if isinstance(models, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
