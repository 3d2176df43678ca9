"""Silence, and what is made of it: signs of life, time-outs, deadlines, and clocks that are wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.reliability.caller import PATHS, Answer, Caller, Endpoint, Event, ask, request
from tests.reliability.chaos import Chaos
from tests.reliability.faults import STEADY, TEXT
from tests.reliability.houses import Houses
from tests.reliability.outcomes import Broken, Failure, Ok, wrongs
from tests.reliability.rows_of_callers import tagged
from tests.reliability.table import DEADLINE, TIMEOUT, TOOLS

BEAT = 0.4
"""Seconds until the first heartbeat and between two, in the server `hasty`; there the first byte may take 2 seconds,
a silence between two lines 1.2, and the whole request 4."""
LATE = 2.0
"""How many seconds later than due a busy machine may do something."""


FORM = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
BOUNDS = {
    "silent": (2.0, TIMEOUT),
    "silent-after-head": (2.0, TIMEOUT),
    "dripping": (2.0, TIMEOUT),
    "silent-late": (1.2, TIMEOUT),
    "endless": (4.0, DEADLINE),
}
PATIENT = [
    (fault, stream, more)
    for fault in ("silent", "silent-late")
    for stream in (False, True)
    for more in ({"tools": TOOLS}, {"response_format": FORM})
]

Waiting = dict[str, Future[Answer]]


@pytest.fixture(scope="module")
def hasty(houses: Houses) -> int:
    return houses.port("hasty")


@pytest.fixture(scope="module")
def waiting(houses: Houses, hasty: int) -> Iterator[Waiting]:
    """What takes its time, asked at the same time."""
    slow_to_connect = houses.port("late_connection")
    with ThreadPoolExecutor(32) as pool:
        asked = {f"bound {fault}": pool.submit(ask, hasty, "chat", f"{fault}:bound") for fault in BOUNDS}
        for number, (fault, stream, more) in enumerate(PATIENT):
            asked[f"patient {number}"] = pool.submit(ask, hasty, "chat", tagged(fault), stream=stream, **more)
        for endpoint in ("chat", "completions"):
            asked[f"slow {endpoint}"] = pool.submit(ask, hasty, endpoint, tagged("slow"), stream=True)
        for fault in ("slow-late", "steady"):
            asked[fault] = pool.submit(ask, hasty, "chat", tagged(fault), stream=True)
        asked["three"] = pool.submit(ask, hasty, "chat", tagged("slow"), stream=True, n=3)
        asked["two"] = pool.submit(ask, hasty, "chat", tagged("slow-late"), stream=True, n=2)
        hidden = {"stream": True, "include_reasoning": False}
        asked["hidden"] = pool.submit(ask, hasty, "chat", tagged("thinking"), **hidden)
        asked["embeddings"] = pool.submit(ask, hasty, "embeddings", tagged("silent"))
        asked["connect"] = pool.submit(ask, slow_to_connect, "chat", tagged("any"), stream=True)
        yield asked


def _gaps(answer: Answer, events: Sequence[Event]) -> list[float]:
    """Return the seconds between what came, beginning with the request."""
    times = [answer.sent, *(event.at for event in events)]
    return [later - earlier for earlier, later in zip(times, times[1:], strict=False)]


def test_the_first_sign_of_life_comes_when_it_is_due_and_commits_the_status(hasty: int) -> None:
    with Caller(hasty) as caller:
        caller.ask("chat", tagged("silent"), stream=True)
        assert caller.head().status == 200
        assert BEAT - 0.05 < time.monotonic() - caller.sent < BEAT + LATE
        assert next(caller.events()).text == ": heartbeat"


def test_before_that_a_failure_has_its_status(hasty: int) -> None:
    for fault, status in (("missing", 404), ("crashed", 502), ("busy", 503)):
        answer = ask(hasty, "chat", tagged(fault), stream=True)
        assert (answer.status, answer.is_stream) == (status, False)


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_heartbeats_fill_the_silence_before_the_first_event(waiting: Waiting, endpoint: Endpoint) -> None:
    answer = waiting[f"slow {endpoint}"].result()
    assert wrongs(answer, Ok(heartbeats="first")) == []
    assert len(answer.comments) >= 2
    assert max(_gaps(answer, answer.events)) < BEAT + LATE
    assert answer.events[-1].text == "data: [DONE]"


def test_heartbeats_fill_the_silence_between_two_events(waiting: Waiting) -> None:
    answer = waiting["slow-late"].result()
    assert wrongs(answer, Ok(TEXT + "And ends well.", heartbeats="later")) == []
    assert not answer.events[0].is_comment
    assert len(answer.comments) >= 2


def test_they_are_comments_that_no_client_takes_for_anything_else(waiting: Waiting) -> None:
    answer = waiting["slow chat"].result()
    assert {event.text for event in answer.comments} == {": heartbeat"}
    assert answer.body.startswith(b": heartbeat\n\n")
    assert answer.body.count(b"data: ") == len(answer.values)


def test_several_choices_have_them_too(waiting: Waiting) -> None:
    three, two = waiting["three"].result(), waiting["two"].result()
    assert three.events[0].is_comment
    assert (three.done, three.finishes) == (True, ["stop"] * 3)
    assert (len(two.comments) > 0, two.done) == (True, True)


def test_an_answer_that_is_never_silent_has_none(waiting: Waiting) -> None:
    answer = waiting["steady"].result()
    assert (answer.comments, answer.done) == ([], True)


def test_what_is_generated_and_not_shown_is_a_silence_too(waiting: Waiting) -> None:
    """Thoughts that are hidden come from Ollama all the time, and the caller sees nothing of them."""
    answer = waiting["hidden"].result()
    assert wrongs(answer, Ok(heartbeats="later")) == []
    assert len(answer.comments) >= 2


@pytest.mark.parametrize("fault", BOUNDS)
def test_each_silence_has_its_bound_and_ends_the_generation(
    waiting: Waiting, chaos: Chaos, fault: str
) -> None:
    """From the request to the first line, from line to line, and over all."""
    seconds, failure = BOUNDS[fault]
    answer = waiting[f"bound {fault}"].result()
    assert wrongs(answer, failure) == []
    assert seconds - 0.05 < answer.seconds < seconds + LATE
    (seen,) = chaos.asked_for(f"{fault}:bound")
    chaos.await_that(lambda: seen.connection.left, "the end upstream")


@pytest.mark.parametrize("number", range(len(PATIENT)), ids=[f"{fault} {more}" for fault, _, more in PATIENT])
def test_with_tools_or_a_form_only_the_deadline_bounds_the_silence(waiting: Waiting, number: int) -> None:
    """Ollama holds calls back until they are whole, and may need long for what does not fit a form."""
    answer = waiting[f"patient {number}"].result()
    assert answer.error is not None
    assert answer.error["code"] == DEADLINE.code
    assert 3.95 < answer.seconds < 4 + LATE


def test_embeddings_have_their_bounds(waiting: Waiting) -> None:
    answer = waiting["embeddings"].result()
    assert wrongs(answer, TIMEOUT) == []
    assert 1.95 < answer.seconds < 2 + LATE


def test_a_body_that_drips_is_cut_by_its_own_bound(houses: Houses) -> None:
    with Caller(houses.port("strict")) as caller:
        caller.send(request(PATHS["chat"], headers={"Content-Length": "100"}) + b"{")
        assert wrongs(caller.answer(), Failure(408, "request_timeout")) == []
        assert 0.95 < time.monotonic() - caller.sent < 1 + LATE


def test_a_slow_connect_is_filled_with_heartbeats(waiting: Waiting) -> None:
    answer = waiting["connect"].result()
    unavailable = Failure(503, "upstream_unavailable", wait=(1, 1))
    assert wrongs(answer, Broken(unavailable, "", heartbeats="first")) == []
    assert answer.seconds < 0.8 + LATE


def test_a_hundred_streams_go_on_side_by_side(calm: int) -> None:
    """Each has 20 words in two seconds; none waits until another is through."""
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: ask(calm, "chat", "steady", stream=True), range(100)))
    for answer in answers:
        assert wrongs(answer, Ok(STEADY)) == []
        assert max(_gaps(answer, answer.events)) < LATE
