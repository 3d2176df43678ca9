"""Call an app in this process, with an upstream that has a script and a memory."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from o2o.app import create_app
from o2o.config import Settings
from o2o.services import Services
from o2o.upstream.line import Line
from o2o.upstream.pictures import Pictures
from o2o.upstream.replies import Beat
from tests.cases import Asked, Case
from tests.fakes import Script, ScriptedReplies, ScriptedUpstream
from tests.table import matches

PATHS = {"chat": "/v1/chat/completions", "completions": "/v1/completions"}


class CaseUpstream(ScriptedUpstream):
    """Answers each payload as a case says, whichever of several turns asks first."""

    def __init__(self, case: Case, *, whole: bool) -> None:
        super().__init__(shows={"m": case.get("show", {})})
        self.left = case.asks(whole=whole)

    def ask(
        self,
        path: str,
        payload: Mapping[str, Any],
        line: Line,
        *,
        patient: bool = False,
        beat: Beat | None = None,
    ) -> ScriptedReplies:
        """Return the replies of the first ask that is left and has this payload."""
        asked = next(one for one in self.left if one.path == path and matches(payload, one.payload))
        self.left.remove(asked)
        self.asked.append((path, payload))
        replies = ScriptedReplies(script_of(asked))
        self.given.append(replies)
        return replies


def script_of(asked: Asked) -> Script:
    """Return what an ask of a case does: each reply in a batch of its own, then perhaps a refusal."""
    refusal = [] if asked.refusal is None else [asked.refusal]
    return [*([reply] for reply in asked.replies), *refusal]


@dataclass
class App:
    """An app and its upstream."""

    flask: Flask
    upstream: ScriptedUpstream

    @property
    def services(self) -> Services:
        """What the views work with."""
        services: Services = self.flask.extensions["o2o"]
        return services

    def post(self, path: str, body: Any, *, read: bool = True, **headers: str) -> TestResponse:
        """Send a body; without `read` the response is neither read nor closed yet."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named.setdefault("Content-Type", "application/json")
        return self.flask.test_client().post(path, data=data, headers=named, buffered=read)

    def call(self, method: str, path: str, **headers: str) -> TestResponse:
        """Make a request without a body."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.flask.test_client().open(path, method=method, headers=named, buffered=True)

    def check_released(self) -> None:
        """Fail unless every answer of Ollama's was closed and every place given back."""
        until = time.monotonic() + 5
        while not all(replies.closed for replies in self.upstream.given) and time.monotonic() < until:
            time.sleep(0.005)  # a run that was cancelled closes in its own thread
        assert all(replies.closed for replies in self.upstream.given)
        assert self.services.admission.in_flight == 0


def app(upstream: ScriptedUpstream, pictures: Pictures | None = None, **settings: Any) -> App:
    """Return an app for an upstream."""
    return App(create_app(Settings(**settings), upstream, pictures=pictures), upstream)


def scripted(*scripts: Script, shows: Mapping[str, Any] | None = None, **settings: Any) -> App:
    """Return an app whose upstream plays scripts in order; `m` is a model of which nothing is known."""
    return app(ScriptedUpstream(*scripts, shows=shows if shows is not None else {"m": {}}), **settings)


@dataclass
class Events:
    """The body of a stream."""

    data: list[dict[str, Any]]
    done: int
    comments: int

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [event for event in self.data if "error" not in event]

    @property
    def choices(self) -> list[dict[str, Any]]:
        return [choice for chunk in self.chunks for choice in chunk["choices"]]

    @property
    def error(self) -> dict[str, Any] | None:
        """The error that is the last event, if one is."""
        found: dict[str, Any] | None = self.data[-1].get("error") if self.data else None
        return found


def events(body: bytes) -> Events:
    """Read a stream of events strictly: nothing but data lines of JSON, comments, and [DONE] at the very end."""
    found = Events([], 0, 0)
    blocks = body.decode("utf-8").split("\n\n")
    assert blocks.pop() == "", "the last event has no end"
    for block in blocks:
        assert not found.done, "something came after [DONE]"
        assert "\n" not in block
        if block.startswith(":"):
            found.comments += 1
        elif block == "data: [DONE]":
            found.done += 1
        else:
            assert block.startswith("data: {")
            found.data.append(json.loads(block.removeprefix("data: ")))
    return found


def check_envelope(body: Any) -> dict[str, Any]:
    """Return the error of a body, which has nothing else and all four keys."""
    assert list(body) == ["error"]
    error: dict[str, Any] = body["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert isinstance(error["message"], str)
    assert error["message"]
    return error
