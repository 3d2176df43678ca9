"""Laws of streams as callers get them: over HTTP, whatever Ollama does, and whenever it fails."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings, strategies as st

from o2o.errors import Refused, UpstreamBroken, UpstreamTimeout, UpstreamTruncated
from o2o.translate.speaker import fold
from tests.blueprints.calling import App, app, check_envelope, events
from tests.cases import plain
from tests.fakes import Script, ScriptedUpstream
from tests.property.replies import answers, body, refusals, requests

PATH = "/v1/chat/completions"
FAILURES = st.sampled_from(
    [UpstreamBroken(), UpstreamTimeout(), UpstreamTruncated(), ZeroDivisionError("secret")]
)


class Scripts(ScriptedUpstream):
    """Plays one script, whatever is asked and however often."""

    def __init__(self, script: Script) -> None:
        super().__init__(shows={"m": {}})
        self._script = script

    def ask(self, *args: Any, **more: Any) -> Any:
        """Play the script once more."""
        self._scripts.append(self._script)
        return super().ask(*args, **more)


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    """Draw what one answer does: batches and beats, and perhaps a failure somewhere."""
    replies = draw(answers())
    steps: list[Any] = []
    while replies:
        size = draw(st.integers(1, 4))
        steps.append(replies[:size])
        replies = replies[size:]
        if draw(st.integers(0, 5)) == 0:
            steps.append([])
    if draw(st.integers(0, 2)) == 0:
        at = draw(st.integers(0, len(steps) - 1))
        failure = draw(FAILURES | refusals)
        if isinstance(failure, Refused) and any(steps[:at]):
            failure = Refused(500, failure.text, midway=True)
        steps[at:] = [failure]
    return steps


def served(script: Script) -> App:
    return app(Scripts(script))


@settings(max_examples=120, deadline=None)
@given(scripts(), requests, st.booleans(), st.integers(1, 2))
def test_a_stream_is_well_formed_whatever_happens(
    script: Script, request: dict[str, Any], include_usage: bool, n: int
) -> None:
    called = served(script)
    options = {"include_usage": include_usage}
    response = called.post(PATH, body({**request, "stream": True, "stream_options": options, "n": n}))
    called.check_released()
    if response.content_type == "application/json":
        assert response.status_code >= 400
        check_envelope(response.get_json())
        return
    assert response.status_code == 200
    came = events(response.data)
    assert b"secret" not in response.data
    assert came.done == (came.error is None)
    assert not any("error" in event for event in came.data[:-1])
    if came.error is not None:
        check_envelope({"error": came.error})
    assert len({(chunk["id"], chunk["created"]) for chunk in came.chunks}) <= 1
    for index in {choice["index"] for choice in came.choices}:
        own = [choice for choice in came.choices if choice["index"] == index]
        assert ["role" in choice["delta"] for choice in own] == [True] + [False] * (len(own) - 1)
        finished = [choice["finish_reason"] is not None for choice in own]
        assert finished[:-1] == [False] * (len(own) - 1)
        assert finished[-1] or came.error is not None
    usages = [chunk.get("usage", "none") for chunk in came.chunks]
    if include_usage and came.error is None:
        assert usages[:-1] == [None] * (len(usages) - 1)
        assert usages[-1]["total_tokens"] == usages[-1]["prompt_tokens"] + usages[-1]["completion_tokens"]
    else:
        assert set(usages) <= {None if include_usage else "none"}


@settings(max_examples=80, deadline=None)
@given(answers(), requests)
def test_folding_the_chunks_gives_the_whole_completion(
    replies: list[dict[str, Any]], request: dict[str, Any]
) -> None:
    streamed = served([replies]).post(PATH, body({**request, "stream": True}))
    whole = served([replies]).post(PATH, body(request))
    if streamed.content_type == "application/json":
        assert (whole.status_code, whole.get_json()) == (streamed.status_code, streamed.get_json())
        return
    came = events(streamed.data)
    if came.error is not None:
        assert whole.get_json()["error"] == came.error
        return
    assert plain(whole.get_json()["choices"]) == plain(fold(came.choices))


@settings(max_examples=60, deadline=None)
@given(scripts(), st.integers(0, 4), st.integers(1, 2))
def test_everything_is_given_back_wherever_the_caller_stops_reading(
    script: Script, pieces: int, n: int
) -> None:
    called = served(script)
    response = called.post(PATH, body({"stream": True, "n": n}), read=False)
    reading = iter(response.response)
    for _ in range(pieces):
        next(reading, None)
    response.close()
    called.check_released()
