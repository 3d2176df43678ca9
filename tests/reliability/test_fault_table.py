"""Every row of the table of faults, exactly: what a caller sees over HTTP and through the official client."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import openai
import pytest

from tests.reliability import rows_of_callers, rows_of_processes, sdk
from tests.reliability.caller import Answer, Endpoint, ask
from tests.reliability.houses import Houses
from tests.reliability.outcomes import Case, Failure, Ok, wrongs
from tests.reliability.rows_of_callers import await_lines, tagged
from tests.reliability.table import CASES

SLOW_HOUSES = ("hasty", "frozen", "late_connection")
"""Where time-outs are waited for."""

Answers = dict[tuple[str, Case, Endpoint, bool], Future[Answer]]


@pytest.fixture(scope="module")
def waiting(houses: Houses) -> Iterator[Answers]:
    """What takes long, asked in the background while other rows are looked at."""
    with ThreadPoolExecutor(48) as pool:
        yield {
            (words, case, endpoint, stream): pool.submit(
                _ask, houses[case.house].port, case, endpoint, stream
            )
            for words, cases in CASES.items()
            for case in cases
            if case.house in SLOW_HOUSES
            for endpoint, stream, _ in case.outcomes()
        }


def _ask(port: int, case: Case, endpoint: Endpoint, stream: bool) -> Answer:
    return ask(port, endpoint, tagged(case.fault), stream=stream, **case.more)


def _ask_every_way(words: str, houses: Houses, waiting: Answers) -> None:
    """Ask every endpoint, whole and as a stream."""
    found = {}
    for case in CASES[words]:
        for endpoint, stream, outcome in case.outcomes():
            asked = waiting.get((words, case, endpoint, stream))
            answer = asked.result() if asked else _ask(houses.port(case.house), case, endpoint, stream)
            name = f"{case.fault} ({case.house}), {endpoint}{' as a stream' if stream else ''}"
            found[name] = wrongs(answer, outcome)
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def _in_order(words: str) -> tuple[int, int]:
    letter, number = words[0], re.findall(r"\d+", words)[0]
    return "UCP".index(letter), int(number)


_several: dict[str, Callable[[Houses], None]] = {**rows_of_callers.ROWS, **rows_of_processes.ROWS}
ROWS = sorted([*CASES, *_several], key=_in_order)


def test_the_table_has_36_rows() -> None:
    numbers = [words.split()[0] for words in ROWS]
    assert numbers == [f"U{n}" for n in range(1, 26)] + [f"C{n}" for n in range(1, 7)] + [
        f"P{n}" for n in range(1, 6)
    ]


@pytest.mark.parametrize("words", ROWS)
def test_row(houses: Houses, waiting: Answers, words: str) -> None:
    """See `table` for what must come, or the function of the row in `rows_of_callers` and `rows_of_processes`."""
    if words in CASES:
        _ask_every_way(words, houses, waiting)
    else:
        _several[words](houses)


def test_callers_that_are_turned_away_come_back_apart(calm: int) -> None:
    waits = {int(ask(calm, "chat", "busy").headers["retry-after-ms"]) for _ in range(10)}
    assert len(waits) > 5
    assert all(2000 <= wait <= 10_000 for wait in waits)


def test_a_redirect_is_never_followed(houses: Houses) -> None:
    model = tagged("moved-307")
    assert ask(houses.port("calm"), "chat", model).status == 502
    assert len(houses.chaos.asked_for(model)) == 1
    assert not houses.chaos.asked("/api/delete")


# --- the same through the official client, with its retries

Asked = dict[str, list[tuple[Case, bool, str, Future[sdk.Seen]]]]


@pytest.fixture(scope="module")
def through_client(houses: Houses) -> Iterator[Asked]:
    """All cases, asked in the background: the client's patience between retries is long."""
    asked: Asked = {}
    for case in itertools.chain.from_iterable(CASES.values()):
        houses.port(case.house)
    with ThreadPoolExecutor(32) as pool:
        for words, cases in CASES.items():
            asked[words] = []
            for case, stream in itertools.product(cases, (False, True)):
                model = tagged(case.fault)
                retries = _retries(case)
                seen = pool.submit(
                    sdk.ask, houses[case.house].url, model, stream=stream, retries=retries, **case.more
                )
                asked[words].append((case, stream, model, seen))
        yield asked


@pytest.mark.parametrize("words", CASES)
def test_row_through_the_official_client(houses: Houses, through_client: Asked, words: str) -> None:
    """It raises the right class with the right code, and asks as often as the headers let it."""
    for case, stream, model, future in through_client[words]:
        seen, outcome = future.result(60), case.stream if stream else case.whole
        said = f"{case.fault} ({case.house}){' as a stream' if stream else ''}: {seen}"
        if isinstance(outcome, Ok):
            assert (seen.error, seen.text) == (None, outcome.text), said
        elif isinstance(outcome, Failure):
            assert type(seen.error) is outcome.exception, said
            assert seen.code in (outcome.code, outcome.or_code), said
            assert seen.param == outcome.param, said
        else:
            assert type(seen.error) is openai.APIError, said
            assert seen.code in (outcome.failure.code, outcome.failure.or_code), said
            assert outcome.text in ("*", seen.text), said
        asked = 1 + _retries(case) if isinstance(outcome, Failure) and outcome.is_retried else 1
        assert len(await_lines(houses[case.house], model, asked)) == asked, said


def _retries(case: Case) -> int:
    """Return how often the client may retry: as often as it would, unless it is told to wait for long."""
    return 1 if isinstance(case.whole, Failure) and case.whole.wait and case.whole.wait[1] > 5 else 2
