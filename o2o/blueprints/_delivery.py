"""The end of a generating endpoint: turns in, a response out, whole or as a stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from flask import Response, request

from o2o.blueprints import _request, _response
from o2o.generation import run_all
from o2o.hangup import caller_fd
from o2o.ids import new_id
from o2o.services import Services
from o2o.ticket import Ticket
from o2o.translate.facts import fingerprint
from o2o.translate.policy import Resolved
from o2o.translate.turn import Choice, Stamp, Turn
from o2o.translate.usage import timings
from o2o.translate.window import SMALLEST, shifted
from o2o.upstream.replies import Beat

AT_ONCE = 4
"""How many answers of one request are asked for at a time."""

BLIND = 3.0
"""The longest silence in a stream, in seconds, where only a write that fails tells that the caller has left."""


class Answering(Turn, Protocol):
    """A turn that can also say how it went."""

    warnings: list[str]
    final: dict[str, Any]

    @property
    def num_ctx(self) -> int | None: ...


class Delivery:
    """One request whose turns are made: sends it, and tells what happened on the way."""

    def __init__(
        self,
        services: Services,
        ticket: Ticket,
        body: Mapping[str, Any],
        resolved: Resolved,
        *,
        turns: Sequence[Answering],
        ignored: Sequence[str],
        usage: Callable[[], dict[str, Any]],
    ) -> None:
        self._services = services
        self._ticket = ticket
        self._body = body
        self._resolved = resolved
        self._turns = turns
        self._ignored = ignored
        self._count = usage
        asked = body.get("timings")
        self._timed = services.policy.timings if asked is None else bool(asked)

    def respond(
        self,
        prefix: str,
        head: Callable[[Stamp], dict[str, Any]],
        completion: Callable[[Stamp, list[Choice], dict[str, Any]], dict[str, Any]],
    ) -> Response:
        """Run the turns and answer; ids begin with `prefix`, chunks with `head`, a whole answer is `completion`."""
        services, ticket = self._services, self._ticket
        _request.admit(services, ticket)
        target = self._resolved.target
        mark = fingerprint(services.catalogue.digest(target))
        stamp = Stamp(new_id(prefix), int(time.time()), self._resolved.requested, mark)
        stream = bool(self._body.get("stream"))
        beat = _beat(services.beat) if stream else None
        run = run_all(self._turns, services.upstream, ticket.line, beat, AT_ONCE)
        if stream:
            chunks = _response.Chunks(head(stamp), self._body, self._end)
            return _response.streamed(ticket, run, chunks, self._headers)
        return _response.whole(
            run, lambda choices: {**completion(stamp, choices, self._usage()), **self._more()}, self._headers
        )

    def _headers(self) -> dict[str, str]:
        self._remember()
        warnings = self._warnings()
        return _response.headers(self._ignored, warnings, self._turns[0].num_ctx)

    def _usage(self) -> dict[str, Any]:
        self._ticket.usage = usage = self._count()
        self._check_window()
        self._ticket.notes += self._warnings()
        return usage

    def _end(self) -> dict[str, Any]:
        """Return what the last chunk of a stream carries beside its empty choices."""
        return {"usage": self._usage(), **self._more()}

    def _more(self) -> dict[str, Any]:
        return {"timings": timings(self._turns[0].final)} if self._timed else {}

    def _warnings(self) -> list[str]:
        return list(dict.fromkeys(warning for turn in self._turns for warning in turn.warnings))

    def _remember(self) -> None:
        services, target = self._services, self._resolved.target
        window = self._turns[0].num_ctx
        if window is not None:
            grown = any("num_ctx_grown" in turn.warnings for turn in self._turns)
            services.catalogue.sent_window(target, window, grown=grown)
        if any("roles_merged" in turn.warnings for turn in self._turns):
            services.merged.add(services.catalogue.digest(target) or target)

    def _check_window(self) -> None:
        """Notice answers that outgrew their window: Ollama drops the beginning and says nothing."""
        for turn in self._turns:
            window = turn.num_ctx
            if window is None and shifted(turn.final, SMALLEST):
                window = self._services.catalogue.loaded_window(self._resolved.target)
            if shifted(turn.final, window):
                turn.warnings.append("context_shifted")


def _beat(beat: Beat) -> Beat:
    """Return when this caller gets signs of life: by the settings, or more often where its socket is not shown."""
    if caller_fd(request.environ) is not None:
        return beat
    return Beat(min(beat.after, BLIND), min(beat.interval, BLIND))
