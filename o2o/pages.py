"""Memory for what is large and comes piece by piece: in the kernel's large pages, and given back at once.

A process gets memory in pages of 4 KB, each when it is touched, and ten megabytes of those cost more than all else
that is done with them. So what grows beyond `FIRST` moves to a mapping of its own, for which the kernel is asked to
use pages of 2 MB. They are not asked for sooner: who sends little must not make us take much.
"""

from __future__ import annotations

import mmap

FIRST = 1024 * 1024
"""Bytes that ordinary memory is used for."""

_LARGE_PAGE = 2 * 1024 * 1024
_RESERVED = 32 * 1024 * 1024
"""Bytes of addresses that are taken where nobody knows how many there will be; memory is taken as they come."""
_ADVICE = getattr(mmap, "MADV_HUGEPAGE", None)

Bytes = bytes | bytearray | mmap.mmap
"""What large things are kept in."""


def moved(begin: bytearray, size: int) -> mmap.mmap:
    """Return a mapping of `size` bytes that begins with `begin`; raises OSError where there is none."""
    if _ADVICE is None:
        mapped = mmap.mmap(-1, size)
    else:
        # Only what is a whole number of large pages is put where one may begin. Shrinking leaves it there.
        mapped = mmap.mmap(-1, _rounded(size), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        mapped.resize(size)
        try:
            mapped.madvise(_ADVICE)
        except OSError:
            pass  # a kernel without them
    mapped[: len(begin)] = begin
    return mapped


def _rounded(size: int) -> int:
    return -(-size // _LARGE_PAGE) * _LARGE_PAGE


class Growing:
    """Bytes to which more are added, as to a bytearray; `whole` gives them, and ends it."""

    def __init__(self) -> None:
        self._size = 0
        self._kept: bytearray | mmap.mmap = bytearray()

    def __len__(self) -> int:
        return self._size

    def add(self, data: bytes) -> None:
        """Add `data` to the end."""
        size = self._size + len(data)
        if isinstance(self._kept, bytearray):
            self._kept += data
            if size > FIRST and _ADVICE is not None:
                self._kept = moved(self._kept, max(_RESERVED, 2 * _rounded(size)))
        else:
            if size > len(self._kept):
                self._kept.resize(2 * _rounded(size))
            self._kept[self._size : size] = data
        self._size = size

    def whole(self) -> bytearray | mmap.mmap:
        """Return all that was added."""
        if not isinstance(self._kept, bytearray):
            self._kept.resize(self._size)
        return self._kept
