"""Ears hear who leaves, and nothing else."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from o2o.ears import Ears, EpollEars, PeekingEars, open_ears, stop_reading, under_gevent

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=[EpollEars, PeekingEars])
def ears(request: pytest.FixtureRequest) -> Iterator[Ears]:
    made: Ears = request.param()
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Return both ends of a TCP connection: the server's, the caller's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        caller = socket.create_connection(listener.getsockname())
        served, _ = listener.accept()
    with served, caller:
        yield served, caller


def _hear(ears: Ears) -> list[int]:
    for _ in range(50):
        heard = ears.gone()
        if heard:
            return heard
        ears.wait(0.1)
    return []


def test_a_close_is_heard_once(ears: Ears, pair: Pair) -> None:
    served, caller = pair
    assert ears.add(served.fileno())
    caller.close()
    assert _hear(ears) == [served.fileno()]
    assert ears.gone() == []


def test_a_reset_is_heard(ears: Ears, pair: Pair) -> None:
    served, caller = pair
    ears.add(served.fileno())
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    caller.close()
    assert _hear(ears) == [served.fileno()]


def test_a_half_close_is_heard(ears: Ears, pair: Pair) -> None:
    served, caller = pair
    ears.add(served.fileno())
    caller.shutdown(socket.SHUT_WR)
    assert _hear(ears) == [served.fileno()]


def test_bytes_are_not_a_departure(ears: Ears, pair: Pair) -> None:
    served, caller = pair
    ears.add(served.fileno())
    caller.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert served.recv(3, socket.MSG_PEEK) == b"GET"
    assert ears.gone() == []


def test_epoll_hears_a_departure_behind_bytes(pair: Pair) -> None:
    served, caller = pair
    ears = EpollEars()
    ears.add(served.fileno())
    caller.sendall(b"GET / HTTP/1.1\r\n\r\n")
    caller.close()
    assert _hear(ears) == [served.fileno()]
    ears.close()


def test_who_was_removed_is_not_heard(ears: Ears, pair: Pair) -> None:
    served, caller = pair
    ears.add(served.fileno())
    ears.remove(served.fileno())
    caller.close()
    assert served.recv(1) == b""
    assert ears.gone() == []


def test_one_who_was_heard_can_be_added_again(ears: Ears, pair: Pair) -> None:
    served, caller = pair
    ears.add(served.fileno())
    caller.close()
    assert _hear(ears) == [served.fileno()]
    ears.add(served.fileno())
    assert _hear(ears) == [served.fileno()]


def test_removing_a_stranger_does_no_harm(ears: Ears) -> None:
    ears.remove(10_000)
    ears.remove(-1)


def test_a_closed_socket_is_refused(ears: Ears) -> None:
    assert not ears.add(-1)


def test_epoll_refuses_what_is_no_socket(tmp_path: Path) -> None:
    ears = EpollEars()
    with (tmp_path / "file").open("wb") as file:
        assert not ears.add(file.fileno())
    ears.close()


def test_a_closed_descriptor_is_heard_by_peeking() -> None:
    ears = PeekingEars()
    reading, writing = os.pipe()
    ears.add(reading)
    assert ears.gone() == [reading]
    os.close(reading)
    os.close(writing)


def test_a_descriptor_that_lives_on_elsewhere_is_not_reported_for_ever(pair: Pair) -> None:
    served, caller = pair
    ears = EpollEars()
    ears.add(served.fileno())
    with served.dup():
        number = served.fileno()
        served.close()
        ears.remove(number)
        caller.close()
        assert _hear(ears) == [number]
        assert ears.gone() == []
    ears.close()


def test_wake_ends_a_wait_and_is_no_departure() -> None:
    ears = EpollEars()
    for _ in range(100_000 // 4096):
        ears.wake()
    ears.wait(30)
    assert ears.gone() == []
    ears.close()
    ears.wake()


def test_a_full_alarm_does_not_block() -> None:
    ears = EpollEars()
    for _ in range(70_000):
        ears.wake()
    ears.wait(30)
    ears.close()


def test_stop_reading_ends_reading_and_leaves_writing(pair: Pair) -> None:
    served, caller = pair
    stop_reading(served.fileno())
    assert served.recv(1) == b""
    served.sendall(b"x")
    assert caller.recv(1) == b"x"
    stop_reading(10_000)


def test_linux_hears_by_epoll() -> None:
    ears = open_ears()
    assert isinstance(ears, EpollEars)
    ears.close()
    assert not under_gevent()
