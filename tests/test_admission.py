"""A worker takes what it can serve and sends the rest away with an honest time."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading

import pytest

from o2o.admission import Admission, Room, most_connections, most_descriptors
from o2o.errors import ServerOverloaded


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _seconds(admission: Admission) -> float:
    with pytest.raises(ServerOverloaded) as caught:
        admission.enter()
    assert caught.value.headers["Retry-After"] == str(
        round(int(caught.value.headers["retry-after-ms"]) / 1000)
    )
    return int(caught.value.headers["retry-after-ms"]) / 1000


def test_places_are_taken_and_given_back() -> None:
    admission = Admission(2)
    first, second = admission.enter(), admission.enter()
    assert (admission.in_flight, repr(admission)) == (2, "<Admission 2 of 2>")
    with pytest.raises(ServerOverloaded):
        admission.enter()
    first.leave()
    assert admission.in_flight == 1
    with admission.enter():
        assert admission.in_flight == 2
    second.leave()
    assert admission.in_flight == 0


def test_leaving_twice_gives_one_place_back() -> None:
    admission = Admission(2)
    first, second = admission.enter(), admission.enter()
    first.leave()
    first.leave()
    assert admission.in_flight == 1
    second.leave()


def test_who_fails_inside_leaves_too() -> None:
    admission = Admission(1)
    with pytest.raises(ZeroDivisionError), admission.enter():
        raise ZeroDivisionError
    assert admission.in_flight == 0


def test_a_refusal_is_a_503_that_may_be_tried_again() -> None:
    admission = Admission(1)
    admission.enter()
    with pytest.raises(ServerOverloaded) as caught:
        admission.enter()
    assert (caught.value.http_status, caught.value.code) == (503, "server_overloaded")
    assert caught.value.headers == {"Retry-After": "1", "retry-after-ms": "1000"}


def test_the_time_comes_from_how_long_generations_take() -> None:
    clock = Clock()
    admission = Admission(2, clock=clock)
    for _ in range(3):
        place = admission.enter()
        clock.now += 10
        place.leave()
    admission.enter()
    admission.enter()
    assert _seconds(admission) == 5  # two generations of 10 s: one ends every 5 s


def test_who_comes_later_waits_longer_and_nobody_over_a_minute() -> None:
    clock = Clock()
    admission = Admission(1, clock=clock)
    place = admission.enter()
    clock.now += 20
    place.leave()
    place = admission.enter()
    assert [_seconds(admission) for _ in range(4)] == [20, 40, 60, 60]
    clock.now += 20
    place.leave()
    admission.enter()
    assert _seconds(admission) == 60


def test_before_anything_has_ended_the_time_is_how_long_it_has_taken() -> None:
    clock = Clock()
    admission = Admission(1, clock=clock)
    admission.enter()
    clock.now += 7
    assert _seconds(admission) == 7


def test_the_queue_of_the_refused_is_forgotten_as_places_are_given_back() -> None:
    clock = Clock()
    admission = Admission(1, clock=clock)
    place = admission.enter()
    clock.now += 3
    assert [_seconds(admission), _seconds(admission)] == [3, 6]
    place.leave()
    for _ in range(3):
        place = admission.enter()
        clock.now += 3
        place.leave()
    admission.enter()
    assert _seconds(admission) == 3


@pytest.mark.parametrize(
    ("limit", "descriptors", "connections"),
    [
        (1000, 1 << 20, 2000),
        (1, 1 << 20, 1000),
        (5000, 1 << 20, 10_000),
        (1000, 1024, 512),
        (1000, 128, 64),
        (3, 128, 93),
        (1000, 10, 2),
    ],
)
def test_there_is_room_to_tell_callers_that_there_is_no_room(
    limit: int, descriptors: int, connections: int
) -> None:
    found = most_connections(limit, descriptors)
    assert found == connections
    assert found > Admission(limit, descriptors).limit


def test_two_descriptors_are_needed_for_each_generation() -> None:
    assert Admission(1000, descriptors=1024).limit == 480
    assert Admission(100, descriptors=1024).limit == 100
    assert Admission(100, descriptors=10).limit == 1


def test_the_limit_of_the_process_counts() -> None:
    script = "from o2o.admission import Admission, Room; print(Admission(1000).limit)"
    command = ["sh", "-c", 'ulimit -n 128 && exec "$0" -c "$1"', sys.executable, script]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "32\n"
    assert most_descriptors() > 0


def test_threads_never_take_more_than_there_is() -> None:
    admission = Admission(4)
    gate = threading.Barrier(8)
    taken: list[object] = []

    def rush() -> None:
        gate.wait(5)
        for _ in range(50):
            with contextlib.suppress(ServerOverloaded):
                taken.append(admission.enter())

    threads = [threading.Thread(target=rush) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert len(taken) == admission.in_flight == 4


def test_large_bodies_have_room_for_so_many_bytes_and_give_it_back_once() -> None:
    room = Room(100)
    first = room.take(60)
    with pytest.raises(ServerOverloaded):
        room.take(41)
    second = room.take(40)
    first()
    first()
    assert room.held == 40
    second()
    assert room.held == 0
