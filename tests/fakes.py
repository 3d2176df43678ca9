"""Working stand-ins at the lowest seams: each has a script and a memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from o2o.errors import Refused
from o2o.upstream.line import Line
from o2o.upstream.ndjson import Reply
from o2o.upstream.replies import Beat

Script = Sequence["list[Reply] | BaseException | Callable[[], object]"]
"""What one answer does: batches are given, exceptions raised, callables called."""


class ScriptedReplies:
    """Play one script, and remember whether it was closed."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.closed = False

    def __iter__(self) -> Iterator[list[Reply]]:
        for step in self._script:
            if isinstance(step, BaseException):
                raise step
            if callable(step):
                step()
            else:
                yield step

    def close(self) -> None:
        self.closed = True


class ScriptedUpstream:
    """An upstream that plays scripts in order and remembers what it was asked."""

    def __init__(self, *scripts: Script, shows: Mapping[str, Reply] | None = None) -> None:
        self._scripts = list(scripts)
        self._shows = dict(shows or {})
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.given: list[ScriptedReplies] = []
        self.patience: list[bool] = []
        self.beats: list[Beat | None] = []

    def ask(
        self,
        path: str,
        payload: Mapping[str, Any],
        line: Line,
        *,
        patient: bool = False,
        beat: Beat | None = None,
    ) -> ScriptedReplies:
        line.check()
        self.asked.append((path, payload))
        self.patience.append(patient)
        self.beats.append(beat)
        replies = ScriptedReplies(self._scripts.pop(0))
        self.given.append(replies)
        return replies

    def embed(self, payload: Mapping[str, Any], line: Line) -> bytearray:
        self.asked.append(("embed", payload))
        step = self._scripts.pop(0)[0]
        if isinstance(step, BaseException):
            raise step
        assert isinstance(step, list)
        return bytearray(json.dumps(step[0], separators=(",", ":")).encode())

    def tags(self) -> Reply:
        return {"models": [{"name": name, "digest": f"digest-of-{name}"} for name in self._shows]}

    def show(self, model: str) -> Reply:
        if model not in self._shows:
            raise Refused(404, f"model '{model}' not found")
        return self._shows[model]

    def ps(self) -> Reply:
        return {"models": []}

    def version(self) -> Reply:
        return {"version": "0.33.0"}
