"""Whatever is sent is answered: soon, in OpenAI's form, and never with an error of our own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.reliability import fuzz
from tests.reliability.houses import Houses

SEEDS = range(2000)


def test_no_request_breaks_anything(houses: Houses) -> None:
    server = houses["calm"]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda seed: (seed, fuzz.wrongs(server.port, seed)), SEEDS)
        wrong = {seed: wrongs for seed, wrongs in found if wrongs}
    assert wrong == {}
    assert "Traceback" not in server.log


def test_the_requests_are_neither_all_right_nor_all_wrong(calm: int) -> None:
    statuses = [fuzz.ask(calm, seed)[1].status for seed in range(200)]
    assert 40 < statuses.count(200) < 160
    assert {400, 405} <= set(statuses)
