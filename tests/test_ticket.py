"""One request from its first line to its last byte."""

from __future__ import annotations

import pytest

from o2o.errors import CallerGone, DeadlineExceeded, UpstreamBroken
from o2o.log import configure
from o2o.ticket import Ticket


def ticket() -> Ticket:
    made = Ticket("req_1", "POST", "/v1/x")
    made.status = 200
    return made


def logged(made: Ticket, capsys: pytest.CaptureFixture[str]) -> str:
    configure("info")
    made.close()
    return capsys.readouterr().err


def test_what_was_held_is_released_last_first_and_once() -> None:
    made, released = ticket(), list[int]()
    made.on_close(lambda: released.append(1))
    made.on_close(lambda: released.append(2))
    made.close()
    made.close()
    assert released == [2, 1]


def test_a_closer_that_fails_keeps_no_other_from_closing(capsys: pytest.CaptureFixture[str]) -> None:
    made, released = ticket(), list[int]()
    made.on_close(lambda: released.append(1))
    made.on_close(lambda: 1 / 0)
    assert "ZeroDivisionError" in logged(made, capsys)
    assert released == [1]


def test_the_line_is_closed_with_the_request() -> None:
    made = ticket()
    made.close()
    made.line.cut(CallerGone())
    assert made.line.reason is None


def test_a_request_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    made = ticket()
    made.model, made.key = "m", "0123abcd"
    made.usage = {"prompt_tokens": 5, "completion_tokens": 2}
    made.notes += ["num_ctx_grown", "roles_merged"]
    [line] = logged(made, capsys).splitlines()
    for told in (
        "id=req_1",
        "status=200",
        "model=m",
        "key=0123abcd",
        "prompt_tokens=5",
        "completion_tokens=2",
    ):
        assert told in line
    assert "num_ctx_grown,roles_merged" in line
    assert "error" not in line


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (CallerGone(), ["status=499"]),
        (UpstreamBroken(), ["status=200", "error=upstream_broken"]),
        (ZeroDivisionError(), ["status=200", "error=ZeroDivisionError"]),
    ],
)
def test_what_ended_a_request_early_is_told(
    error: BaseException, told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    made = ticket()
    made.failed(error)
    line = logged(made, capsys)
    assert all(word in line for word in told)


def test_why_the_line_was_cut_beats_what_came_of_it() -> None:
    made = ticket()
    made.line.cut(DeadlineExceeded())
    made.failed(UpstreamBroken())
    assert isinstance(made.error, DeadlineExceeded)


def test_a_request_takes_time() -> None:
    made = ticket()
    assert 0 <= made.seconds < 60
