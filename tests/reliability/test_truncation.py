"""No answer looks complete that is not: `[DONE]` comes if and only if Ollama said that it was done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.reliability import truncation
from tests.reliability.chaos import Chaos
from tests.reliability.faults import Made

SEEDS = range(400)


def test_faulty_streams_are_told_from_complete_ones(calm: int, chaos: Chaos) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda seed: (seed, truncation.wrongs(calm, seed)), SEEDS)
        wrong = {seed: wrongs for seed, wrongs in found if wrongs}
    assert wrong == {}
    assert all(len(chaos.asked_for(f"random:{seed}")) == 1 for seed in SEEDS)


def test_the_streams_end_in_every_way() -> None:
    made = [Made(seed) for seed in SEEDS]
    assert {each.fault for each in made} == {"", *truncation.CODES}
    assert any(each.good and not each.text for each in made)
