from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from o2o.errors import CallerGone, Refused, UpstreamBroken
from o2o.generation import Run, begun, run, run_all
from o2o.translate.turn import Ask, Choice
from o2o.upstream.line import Line
from o2o.upstream.replies import Beat
from tests.fakes import Script, ScriptedReplies, ScriptedUpstream

END = [{"done": True}]


class CountingTurn:
    """A turn that says what it is fed, and asks as often as it is told to."""

    def __init__(self, index: int = 0, asks: int = 1, left: list[Choice] | None = None) -> None:
        self._index = index
        self._rest = left or []
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
        return self._rest

    def _next(self) -> None:
        self.ask = Ask("chat", {"turn": self._index, "again": True}) if self._left else None
        self._left -= 1

    def _choice(self, text: str) -> Choice:
        return {"index": self._index, "text": text}


class OneAfterTheOther(ScriptedUpstream):
    """Gives each turn its own script, whichever asks first."""

    def __init__(self, *scripts: Script) -> None:
        super().__init__(*scripts)
        self._by_turn = list(scripts)

    def ask(
        self,
        path: str,
        payload: Mapping[str, Any],
        line: Line,
        *,
        patient: bool = False,
        beat: Beat | None = None,
    ) -> ScriptedReplies:
        replies = ScriptedReplies(self._by_turn[payload["turn"]])
        self.given.append(replies)
        return replies


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


def test_what_comes_and_is_not_shown_is_a_silence_that_is_filled() -> None:
    hidden = [{"thought": "hm"}]
    upstream = ScriptedUpstream([hidden, [{"text": "a"}], hidden, END])
    items, _ = read(run(CountingTurn(), upstream, Line(), Beat(0.0, 0.0)))
    assert items == [None, [{"index": 0, "text": "a"}], None, None]
    upstream = ScriptedUpstream([hidden, hidden, END])
    assert read(run(CountingTurn(), upstream, Line(), Beat(60.0, 60.0)))[0] == [[], [], []]
    upstream = ScriptedUpstream([hidden, hidden, END])
    assert read(run(CountingTurn(), upstream, Line()))[0] == [[], [], []]


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
    assert all(replies.closed for replies in upstream.given)


def test_departure_cancels_all() -> None:
    line = Line()
    turns = [CountingTurn(index) for index in range(3)]
    leaving: list[Script] = [[lambda: line.cut(CallerGone()), CallerGone()] for _ in range(3)]
    upstream = ScriptedUpstream(*leaving)
    with pytest.raises(CallerGone):
        read(run_all(turns, upstream, line, Beat(5, 5), 1))
    assert len(upstream.given) == 1


def test_nothing_overtakes_the_beginning_of_the_first_choice() -> None:
    begun_later = threading.Event()
    scripts: list[Script] = [
        [lambda: begun_later.wait(5), [{"text": "a"}], END],
        [[{"text": "b"}], [{"text": "c"}], begun_later.set, END],
    ]
    upstream = OneAfterTheOther(*scripts)
    items, last = read(run_all([CountingTurn(0), CountingTurn(1)], upstream, Line(), None, 2))
    said = [choice for item in items if item for choice in item] + last
    assert [choice["text"] for choice in said if choice["index"] == 0] == ["a", "end"]
    assert [choice["text"] for choice in said if choice["index"] == 1] == ["b", "c", "end"]
    assert said[0] == {"index": 0, "text": "a"}


def test_a_sign_of_life_is_given_while_the_first_choice_does_not_begin_whatever_the_others_say() -> None:
    beaten = threading.Event()
    talking: Script = [[{"text": "b"}], *[lambda: beaten.wait(0.005)] * 40, [{"text": "c"}], END]
    upstream = OneAfterTheOther([lambda: beaten.wait(5), [{"text": "a"}], END], talking)
    running = run_all([CountingTurn(0), CountingTurn(1)], upstream, Line(), Beat(0.02, 0.02), 2)
    assert next(running) is None
    assert next(running) is None
    beaten.set()
    items, _ = read(running)
    assert next(item for item in items if item) == [{"index": 0, "text": "a"}]


def test_several_runs_end_when_nobody_reads_on_even_while_they_wait_to_say_something() -> None:
    line = Line()
    full: Script = [[{"text": str(n)}] for n in range(50)]
    upstream = OneAfterTheOther([*full, END], [*full, END])
    running = run_all([CountingTurn(0), CountingTurn(1)], upstream, line, None, 2)
    next(running)
    running.close()
    assert len(upstream.given) == 2
    assert all(replies.closed for replies in upstream.given)


def test_a_run_that_cannot_be_ended_is_not_waited_for_long() -> None:
    stuck = threading.Event()
    upstream = OneAfterTheOther([[{"text": "a"}], END], [lambda: stuck.wait(5), END])
    running = run_all([CountingTurn(0), CountingTurn(1)], upstream, Line(), None, 2, closing=0.05)
    assert next(running) == [{"index": 0, "text": "a"}]
    running.close()
    assert not upstream.given[1].closed
    stuck.set()


def test_what_had_come_is_yielded_before_the_failure() -> None:
    turn = CountingTurn(left=[{"index": 0, "text": "the rest"}])
    items: list[list[Choice] | None] = []
    running = run(turn, ScriptedUpstream([[{"text": "a"}], UpstreamBroken()]), Line())
    with pytest.raises(UpstreamBroken):
        items.extend(running)
    assert items == [[{"index": 0, "text": "a"}], [{"index": 0, "text": "the rest"}]]


def test_nobody_is_told_the_rest_who_has_gone() -> None:
    turn = CountingTurn(left=[{"index": 0, "text": "the rest"}])
    running = run(turn, ScriptedUpstream([[{"text": "a"}], CallerGone()]), Line())
    items: list[list[Choice] | None] = []
    with pytest.raises(CallerGone):
        items.extend(running)
    assert items == [[{"index": 0, "text": "a"}]]


def test_only_the_first_ask_waits_as_long_as_the_first_beat() -> None:
    upstream = ScriptedUpstream([END], [END])
    read(run(CountingTurn(asks=2), upstream, Line(), Beat(5, 2)))
    assert upstream.beats == [Beat(5, 2), Beat(2, 2)]


def test_one_turn_alone_needs_no_thread() -> None:
    upstream = ScriptedUpstream([[{"text": "a"}], END])
    items, last = read(run_all([CountingTurn()], upstream, Line(), Beat(5, 5), 4))
    assert (items, last) == ([[{"index": 0, "text": "a"}], []], [{"index": 0, "text": "end"}])
    assert upstream.beats == [Beat(5, 5)]


def test_several_runs_beat_when_all_of_them_are_silent() -> None:
    spoken = threading.Event()
    script: Script = [lambda: spoken.wait(5), [{"text": "a"}], END]
    upstream = OneAfterTheOther(script, script)
    running = run_all([CountingTurn(0), CountingTurn(1)], upstream, Line(), Beat(0.01, 0.01), 2)
    assert next(running) is None
    spoken.set()
    items, _ = read(running)
    assert [choice["text"] for item in items if item for choice in item].count("end") == 2
