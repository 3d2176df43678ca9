from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

from o2o import sse
from o2o.errors import CallerGone, UpstreamTruncated

Choices = list[dict[str, Any]]


def _run(
    *items: Choices | None | BaseException, last: Choices | None = None
) -> Generator[Choices | None, None, Choices]:
    for item in items:
        if isinstance(item, BaseException):
            raise item
        yield item
    return last or []


def _stream(
    *items: Choices | None | BaseException, last: Choices | None = None
) -> tuple[list[bytes], list[Any]]:
    failures: list[Any] = []
    events = sse.stream(
        _run(*items, last=last),
        lambda choices: b"".join(map(sse.encode, choices)),
        lambda: b"",
        failures.append,
    )
    return list(events), failures


def test_an_event_is_one_line_of_json() -> None:
    assert sse.encode({"a": "x\ny"}) == b'data: {"a":"x\\ny"}\n\n'


def test_a_whole_stream_ends_with_done_in_the_same_write_as_its_last_event() -> None:
    events, failures = _stream([{"n": 1}], last=[{"n": 2}])
    assert events == [b'data: {"n":1}\n\n', b'data: {"n":2}\n\ndata: [DONE]\n\n']
    assert failures == []


def test_silence_is_a_comment() -> None:
    events, _ = _stream(None, [], last=[])
    assert events == [b": heartbeat\n\n", b"data: [DONE]\n\n"]


def test_a_failure_is_the_last_event_and_done_is_not_said() -> None:
    events, failures = _stream([{"n": 1}], UpstreamTruncated())
    assert events[0] == b'data: {"n":1}\n\n'
    assert json.loads(events[1][6:])["error"]["code"] == "upstream_truncated"
    assert len(events) == 2
    assert isinstance(failures[0], UpstreamTruncated)


def test_a_bug_is_told_without_its_text() -> None:
    events, failures = _stream(ZeroDivisionError("secret"))
    assert json.loads(events[0][6:])["error"]["type"] == "server_error"
    assert b"secret" not in events[0]
    assert isinstance(failures[0], ZeroDivisionError)


def test_nothing_is_said_to_who_has_gone() -> None:
    events, failures = _stream([{"n": 1}], CallerGone())
    assert len(events) == 1
    assert isinstance(failures[0], CallerGone)


def test_the_run_is_closed_when_the_stream_is() -> None:
    run = _run([{"n": 1}], [{"n": 2}])
    events = sse.stream(run, lambda choices: b"x", lambda: b"", lambda error: None)
    next(events)
    events.close()
    assert next(run, "over") == "over"
