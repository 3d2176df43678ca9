"""Memory that grows piece by piece holds what was put into it."""

from __future__ import annotations

import mmap
import random

import pytest

from o2o.pages import FIRST, Growing

LARGE_PAGES = hasattr(mmap, "MADV_HUGEPAGE")


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


def test_one_large_piece_is_kept_like_many_small_ones() -> None:
    sent = random.Random(1).randbytes(40 * FIRST)
    growing = Growing()
    growing.add(sent)
    growing.add(b"end")
    whole = growing.whole()
    assert whole[:] == sent + b"end"
    assert whole.find(b"end") >= 0
