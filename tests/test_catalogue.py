"""What is known of Ollama's models."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from o2o.catalogue import KEEP, Catalogue, loaded_windows, parse_version
from o2o.errors import ModelNotFound, Refused, UpstreamUnavailable
from o2o.translate.names import canonical
from o2o.translate.window import Kept
from o2o.upstream.ndjson import Reply
from tests.fakes import ScriptedUpstream

THINKS = {"capabilities": ["thinking"]}


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Counting(ScriptedUpstream):
    """Counts what is looked up, and fails on demand."""

    def __init__(self, **shows: Reply) -> None:
        super().__init__(shows=shows)
        self.looked_up: list[str] = []
        self.failure: Exception | None = None

    def _look(self, what: str) -> None:
        self.looked_up.append(what)
        if self.failure is not None:
            raise self.failure

    def show(self, model: str) -> Reply:
        self._look(f"show {model}")
        return super().show(model)

    def ps(self) -> Reply:
        self._look("ps")
        return {"models": [{"name": "m:latest", "context_length": 8192}, {"name": 7}, {"name": "x"}]}

    def version(self) -> Reply:
        self._look("version")
        return super().version()


def catalogue(**shows: Reply) -> tuple[Catalogue, Counting, Clock]:
    upstream, clock = Counting(**shows), Clock()
    return Catalogue(upstream, clock=clock), upstream, clock


def test_facts_are_asked_once_and_kept_for_a_while() -> None:
    known, upstream, clock = catalogue(m=THINKS)
    for _ in range(3):
        facts = known.facts("m")
        assert facts is not None
        assert facts.capabilities == frozenset({"thinking"})
    assert upstream.looked_up == ["show m"]
    clock.now += KEEP
    known.facts("m")
    assert upstream.looked_up == ["show m", "show m"]


def test_names_that_ollama_takes_for_the_same_are_the_same() -> None:
    known, upstream, _ = catalogue(m=THINKS)
    assert known.facts("m") is known.facts("M:latest")
    assert len(upstream.looked_up) == 1


def test_a_model_that_is_not_there_is_told_each_time() -> None:
    known, upstream, _ = catalogue()
    for _ in range(2):
        with pytest.raises(ModelNotFound):
            known.facts("gone")
        assert not known.knows("gone")
    assert len(upstream.looked_up) == 4


def test_a_model_that_nothing_can_be_said_of_may_still_be_asked() -> None:
    known, upstream, _ = catalogue(m=THINKS)
    upstream.failure = Refused(500, "no")
    assert known.facts("m") is None
    upstream.failure = UpstreamUnavailable()
    with pytest.raises(UpstreamUnavailable):
        known.facts("m")
    upstream.failure = None
    assert known.knows("m")


def test_a_flood_of_names_does_not_fill_the_memory() -> None:
    class Obliging(Counting):
        def show(self, model: str) -> Reply:
            self.looked_up.append(model)
            return {}

    upstream = Obliging()
    known = Catalogue(upstream, clock=Clock())
    for number in range(10_001):
        known.facts(f"m{number}")
    known.facts("m0")
    known.facts("m10000")
    assert len(upstream.looked_up) == 10_002


def test_a_digest_is_known_once_a_list_has_shown_it() -> None:
    known, _, _ = catalogue(m={})
    assert known.digest("m") is None
    known.listing(5)
    assert known.digest("M:latest") == "digest-of-m"


def test_a_list_asks_about_each_digest_once() -> None:
    known, upstream, _ = catalogue(m=THINKS, x={})
    first = known.listing(5)
    assert {digest: facts.capabilities for digest, facts in first.facts.items()} == {
        "digest-of-m": frozenset({"thinking"}),
        "digest-of-x": None,
    }
    known.listing(5)
    assert sorted(upstream.looked_up) == ["ps", "ps", "show m", "show x"]


def test_a_list_does_not_wait_for_facts_that_do_not_come() -> None:
    came = threading.Event()

    class Slow(Counting):
        def show(self, model: str) -> Reply:
            came.wait(5)
            return super().show(model)

    upstream = Slow(m=THINKS)
    known = Catalogue(upstream)
    assert known.listing(0.01).facts == {}
    assert known.listing(0.01).facts == {}
    came.set()
    until = time.monotonic() + 5
    while not known.listing(1).facts and time.monotonic() < until:
        time.sleep(0.005)
    assert upstream.looked_up.count("show m") == 1


def test_a_list_does_without_what_cannot_be_had() -> None:
    known, upstream, _ = catalogue(m=THINKS)
    upstream.failure = UpstreamUnavailable()
    listing = known.listing(5)
    assert (listing.facts, listing.loaded) == ({}, {})
    upstream.failure = None
    assert set(known.listing(5).facts) == {"digest-of-m"}


def test_the_version_is_asked_once_in_a_while() -> None:
    known, upstream, clock = catalogue()
    assert [known.version(), known.version()] == [(0, 33, 0), (0, 33, 0)]
    clock.now += KEEP
    upstream.failure = UpstreamUnavailable()
    assert known.version() is None
    assert upstream.looked_up == ["version", "version"]


@pytest.mark.parametrize(
    ("text", "version"),
    [("0.32.15", (0, 32, 15)), ("0.33.0-rc1", (0, 33, 0)), ("", ()), ("dev", ()), ("1.x.2", (1,))],
)
def test_a_version_is_its_numbers(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


def test_windows_are_read_from_what_is_loaded() -> None:
    models: list[dict[str, Any]] = [
        {"name": "M", "context_length": 4096},
        {"name": "x"},
        {"context_length": 1},
    ]
    assert loaded_windows({"models": models}) == {canonical("m"): 4096}
    assert loaded_windows({}) == {}


def test_what_is_loaded_is_asked_every_two_seconds_at_most() -> None:
    known, upstream, clock = catalogue()
    assert [known.loaded_window("m"), known.loaded_window("M:latest"), known.loaded_window("y")] == [
        8192,
        8192,
        None,
    ]
    assert upstream.looked_up == ["ps"]
    clock.now += 2
    upstream.failure = UpstreamUnavailable()
    assert known.loaded_window("m") is None


@pytest.mark.parametrize(
    ("sent", "wanted", "window"),
    [(False, None, None), (True, None, 8192), (False, 4096, 8192), (False, 9000, 9000)],
)
def test_a_window_that_was_asked_for_stays_at_least_as_large(
    sent: bool, wanted: int | None, window: int | None
) -> None:
    known, _, _ = catalogue()
    if sent:
        known.sent_window("m", 8192)
    assert known.window("m", wanted) == window


class Automatic(Counting):
    """An upstream whose model has the window that `chosen` says."""

    chosen = 4096

    def ps(self) -> Reply:
        return {"models": [{"name": "m", "digest": "d", "context_length": self.chosen}]}


def test_a_window_that_another_process_made_grow_is_kept_though_it_looks_like_ollamas_own_choice() -> None:
    clock, upstream = Clock(), Automatic()
    known = Catalogue(upstream, clock=clock)
    assert known.kept_window("m") is None
    known.sent_window("m", 8192, grown=True)
    upstream.chosen = 8192
    assert known.kept_window("m") == Kept(8192, grown=True)
    upstream.chosen = 32768
    clock.now += 3
    assert known.window("m", None) == 32768
    assert known.window("m", 4096) == 32768
    assert Catalogue(upstream).window("m", None) is None


def test_a_window_that_somebody_asked_for_did_not_grow() -> None:
    known, _, _ = catalogue()
    known.sent_window("m", 8192)
    assert known.kept_window("m") == Kept(8192, grown=False)


def test_a_model_under_another_name_has_the_same_window() -> None:
    known, _, _ = catalogue(m={}, x={})
    assert known.loaded_window("x") is None
    same = loaded_windows({"models": [{"name": "m", "digest": "digest-of-x", "context_length": 512}]})
    assert same == {canonical("m"): 512, "digest-of-x": 512}

    class Shared(Counting):
        def ps(self) -> Reply:
            return {"models": [{"name": "m", "digest": "digest-of-x", "context_length": 512}]}

    other = Catalogue(Shared(m={}, x={}))
    assert other.loaded_window("x") is None
    other.listing(5)
    assert other.loaded_window("x") == 512


def test_a_window_that_ollama_chose_by_itself_is_left_to_it() -> None:
    other = Catalogue(Automatic())
    assert other.window("m", 2048) == 4096
    other.sent_window("m", 4096)
    assert other.window("m", None) is None
    assert Catalogue(Counting()).window("unloaded", 512) == 512
