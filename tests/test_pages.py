"""Memory that grows piece by piece holds what was put into it."""

from __future__ import annotations

import mmap
import random

import pytest

from o2o.pages import FIRST, Growing, moved

LARGE_PAGES = hasattr(mmap, "MADV_HUGEPAGE")


@pytest.mark.parametrize("size", [FIRST + 1, 2 * FIRST, 9_999_999])
def test_what_is_moved_begins_as_before_and_is_as_long_as_was_said(size: int) -> None:
    mapped = moved(bytearray(b"abc"), size)
    assert len(mapped) == size
    assert mapped[:5] == b"abc\0\0"
    mapped[-3:] = b"xyz"
    assert mapped.find(b"xyz") == size - 3


def test_there_is_not_memory_for_everything() -> None:
    with pytest.raises((OSError, OverflowError)):
        moved(bytearray(), 1 << 62)


@pytest.mark.parametrize("size", [0, 1, 1000, FIRST, FIRST + 1, 3 * FIRST, 70 * FIRST + 5])
def test_growing_bytes_are_all_that_was_added(size: int) -> None:
    sent = random.Random(size).randbytes(size)
    chance = random.Random(1)
    growing, at = Growing(), 0
    while at < size:
        step = chance.randrange(1, max(2, size // 50))
        growing.add(sent[at : at + step])
        at += step
    assert len(growing) == size
    whole = growing.whole()
    assert len(whole) == size
    assert whole[:] == sent
    assert isinstance(whole, bytearray) is (size <= FIRST or not LARGE_PAGES)
