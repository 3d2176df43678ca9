from __future__ import annotations

import inspect
import json

import pytest

from o2o import errors
from o2o.errors import BadRequest, O2OError, Refused, ServerOverloaded, UpstreamTimeout, clip, retry_after

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, O2OError)]


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind is not Refused])
def test_every_error_has_the_four_keys_and_a_text(kind: type[O2OError]) -> None:
    body = kind().body()
    assert body["error"].keys() == {"message", "type", "param", "code"}
    assert body["error"]["message"]
    assert json.dumps(body)


@pytest.mark.parametrize("kind", CLASSES)
def test_the_side_of_the_fault_is_in_the_type_and_in_the_status(kind: type[O2OError]) -> None:
    if issubclass(kind, errors.CallerError):
        assert 400 <= kind.status < 500
    elif issubclass(kind, errors.ServerError):
        assert 500 <= kind.status < 600
        assert kind.type == "server_error"


def test_the_drawing_of_the_tree_is_the_tree() -> None:
    drawn = {
        word for line in (errors.__doc__ or "").splitlines() for word in line.split() if word.isidentifier()
    }
    assert {kind.__name__ for kind in CLASSES} <= drawn


def test_what_is_given_wins_over_what_the_class_says() -> None:
    error = BadRequest("no", code="c", param="p", status=415, headers={"Allow": "GET"}, retry=True)
    assert (error.http_status, error.code, error.param) == (415, "c", "p")
    assert error.headers == {"Allow": "GET", "x-should-retry": "true"}
    assert repr(error) == "<BadRequest 415 c 'p': no>"


def test_where_a_retry_cannot_help_that_is_said() -> None:
    assert UpstreamTimeout().headers == {"x-should-retry": "false"}
    assert "x-should-retry" not in BadRequest().headers


@pytest.mark.parametrize(
    ("seconds", "whole", "exact"), [(0.2, "1", "200"), (2.4, "2", "2400"), (60, "60", "60000"), (0, "1", "1")]
)
def test_when_to_come_back_is_told_in_whole_seconds_and_in_milliseconds(
    seconds: float, whole: str, exact: str
) -> None:
    assert retry_after(seconds) == {"Retry-After": whole, "retry-after-ms": exact}
    assert ServerOverloaded(seconds=seconds).headers == retry_after(seconds)


def test_what_callers_sent_is_repeated_only_in_part_and_without_control_characters() -> None:
    assert clip("a\r\nb\x00\ud800") == "a\ufffd\ufffdb\ufffd\ufffd"
    assert clip("x" * 300) == "x" * 199 + "…"
    assert clip("x" * 200) == "x" * 200


def test_a_refusal_keeps_what_ollama_said() -> None:
    refused = Refused(503, "busy" * 500, headers={"Retry-After": "3"}, midway=True)
    assert (refused.upstream_status, refused.text, refused.midway) == (503, "busy" * 500, True)
    assert refused.upstream_headers == {"retry-after": "3"}
    assert len(refused.message) <= 500
