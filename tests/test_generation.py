from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from o2o.errors import CallerGone, Refused, UpstreamBroken
from o2o.generation import Run, begun, run, run_all
from o2o.translate.turn import Ask, Choice
from o2o.upstream.line import Line
from o2o.upstream.replies import Beat
from tests.fakes import Script, ScriptedUpstream

END = [{"done": True}]


class CountingTurn:
    """A turn that says what it is fed, and asks as often as it is told to."""

    def __init__(self, index: int = 0, asks: int = 1) -> None:
        self._index = index
        self._left = asks - 1
        self.ask: Ask | None = Ask("chat", {"turn": index})
        self.refusals: list[Refused] = []

    def feed(self, replies: Sequence[dict[str, Any]]) -> list[Choice]:
        return [self._choice(reply["text"]) for reply in replies if "text" in reply]

    def close(self) -> list[Choice]:
        self._next()
        return [self._choice("end")]

    def refused(self, refused: Refused) -> list[Choice]:
        self.refusals.append(refused)
        if not self._left:
            raise refused
        self._next()
        return []

    def rest(self) -> list[Choice]:
        return []

    def _next(self) -> None:
        self.ask = Ask("chat", {"turn": self._index, "again": True}) if self._left else None
        self._left -= 1

    def _choice(self, text: str) -> Choice:
        return {"index": self._index, "text": text}


def read(running: Run) -> tuple[list[list[Choice] | None], list[Choice]]:
    items: list[list[Choice] | None] = []
    while True:
        try:
            items.append(next(running))
        except StopIteration as stop:
            return items, stop.value


def test_what_comes_is_fed_and_the_end_is_returned() -> None:
    upstream = ScriptedUpstream([[{"text": "a"}], [], [{"text": "b"}], END])
    items, last = read(run(CountingTurn(), upstream, Line()))
    assert items == [[{"index": 0, "text": "a"}], None, [{"index": 0, "text": "b"}], []]
    assert last == [{"index": 0, "text": "end"}]
    assert upstream.given[0].closed


def test_a_turn_that_asks_again_is_asked_again() -> None:
    upstream = ScriptedUpstream([END], [END])
    items, last = read(run(CountingTurn(asks=2), upstream, Line()))
    assert [payload for _, payload in upstream.asked] == [{"turn": 0}, {"turn": 0, "again": True}]
    assert items == [[], [{"index": 0, "text": "end"}], []]
    assert last == [{"index": 0, "text": "end"}]


def test_a_refusal_goes_to_the_turn() -> None:
    turn = CountingTurn(asks=2)
    upstream = ScriptedUpstream([Refused(400, "no")], [END])
    _, last = read(run(turn, upstream, Line()))
    assert [refusal.text for refusal in turn.refusals] == ["no"]
    assert last == [{"index": 0, "text": "end"}]
    assert all(replies.closed for replies in upstream.given)


def test_the_connection_is_closed_when_nobody_reads_on() -> None:
    upstream = ScriptedUpstream([[{"text": "a"}], [{"text": "b"}], END])
    running = run(CountingTurn(), upstream, Line())
    next(running)
    running.close()
    assert upstream.given[0].closed


def test_the_beginning_is_waited_for_and_comes_again() -> None:
    upstream = ScriptedUpstream([[{"text": "a"}], END])
    items, last = read(begun(run(CountingTurn(), upstream, Line())))
    assert items[0] == [{"index": 0, "text": "a"}]
    assert last


def test_what_fails_at_the_beginning_is_raised_there() -> None:
    upstream = ScriptedUpstream([UpstreamBroken()])
    with pytest.raises(UpstreamBroken):
        begun(run(CountingTurn(), upstream, Line()))


def test_a_run_that_is_over_at_once_can_be_begun() -> None:
    turn = CountingTurn()
    turn.ask = None
    assert read(begun(run(turn, ScriptedUpstream(), Line()))) == ([], [])


def test_several_turns_are_all_run_and_the_first_comes_first() -> None:
    turns = [CountingTurn(index) for index in range(5)]
    scripts: list[Script] = [[[{"text": f"{n}"}], END] for n in range(5)]
    upstream = ScriptedUpstream(*scripts)
    items, last = read(run_all(turns, upstream, Line(), None, 2))
    said = [choice for item in items if item for choice in item] + last
    assert said[0]["index"] == 0
    assert {choice["index"] for choice in said} == {0, 1, 2, 3, 4}
    assert sum(choice["text"] == "end" for choice in said) == 5
    assert all(replies.closed for replies in upstream.given)


def test_one_failing_turn_fails_all_and_nothing_is_left_open() -> None:
    turns = [CountingTurn(index) for index in range(3)]
    upstream = ScriptedUpstream([[{"text": "a"}], END], [UpstreamBroken()], [[{"text": "c"}], END])
    with pytest.raises(UpstreamBroken):
        read(run_all(turns, upstream, Line(), None, 3))


def test_departure_cancels_all() -> None:
    line = Line()
    turns = [CountingTurn(index) for index in range(3)]
    leaving: Script = [lambda: line.cut(CallerGone()), CallerGone()]
    upstream = ScriptedUpstream(leaving, leaving, leaving)
    with pytest.raises(CallerGone):
        read(run_all(turns, upstream, line, Beat(5, 5), 1))
