"""One table of cases for each endpoint: a request, what Ollama is asked, what it replies, what the caller gets.

The same files drive the tests of translation, of the blueprints and of the whole server. A case has

    note        what it shows
    request     the caller's body, without `stream`
    show        what /api/show says of the model, where the translation asks for it
    asks        in order: `path`, `payload` (what Ollama is sent) and `replies` (or `refusal`: status and text)
    completion  the whole answer; ids, times and the fingerprint are left out
    chunks      the choices of the stream, in order, and `usage`
    headers     what the response says beside the answer
    error       instead of an answer: status, code, param; `stream_error` where only the stream fails
    whole_asks  where a whole answer takes other ways than a stream (it can be asked again)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """One case of a table."""

    name: str
    data: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.data[key]

    def get(self, key: str, default: Any = None) -> Any:
        """Return a part of the case, or `default`."""
        return self.data.get(key, default)

    def asks(self, *, whole: bool) -> list[dict[str, Any]]:
        """Return what Ollama is asked, in order."""
        asks: list[dict[str, Any]] = self.data.get("whole_asks" if whole else "asks", self.data["asks"])
        return asks


def cases(endpoint: str) -> list[Case]:
    """Return all cases of an endpoint, by name."""
    return [Case(path.stem, json.loads(path.read_text())) for path in sorted((_HERE / endpoint).glob("*.json"))]


IGNORED_KEYS = ("id", "created", "system_fingerprint")


def plain(value: Any) -> Any:
    """Return an answer without what differs from run to run: ids, times and fingerprints."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key not in IGNORED_KEYS}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
