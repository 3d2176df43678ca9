"""Memory for what is large and comes piece by piece: in the kernel's large pages, and given back at once.

A process gets memory in pages of 4 KB, each when it is touched, and ten megabytes of those cost more than all else
that is done with them. So what grows beyond `FIRST` moves to a mapping of its own, for which the kernel is asked to
use pages of 2 MB. They are not asked for sooner: what stays small must not take much.
"""

from __future__ import annotations

import contextlib
import mmap

FIRST = 1024 * 1024
"""Bytes that ordinary memory is used for."""

_LARGE_PAGE = 2 * 1024 * 1024
_RESERVED = 32 * 1024 * 1024
"""Bytes of addresses to begin with; memory is taken as bytes come."""
_ADVICE = getattr(mmap, "MADV_HUGEPAGE", None)  # Linux, which can also resize

Bytes = bytes | bytearray | mmap.mmap
"""What large things are kept in."""


class Growing:
    """Bytes to which more are added, as to a bytearray; `whole` gives them, and ends it."""

    def __init__(self, first: int = FIRST) -> None:
        self._first = first
        self._size = 0
        self._kept: bytearray | mmap.mmap = bytearray()

    def __len__(self) -> int:
        return self._size

    def add(self, data: bytes) -> None:
        """Add `data` to the end."""
        begin, self._size = self._size, self._size + len(data)
        if isinstance(self._kept, bytearray):
            self._kept += data
            if self._size > self._first and _ADVICE is not None:
                self._kept = _moved(self._kept, _ADVICE)
            return
        if self._size > len(self._kept):
            self._kept.resize(_with_room(self._size))
        self._kept[begin : self._size] = data

    def whole(self) -> bytearray | mmap.mmap:
        """Return all that was added."""
        if not isinstance(self._kept, bytearray):
            self._kept.resize(self._size)
        return self._kept


def _moved(begin: bytearray, advice: int) -> mmap.mmap:
    size = max(_RESERVED, _with_room(len(begin)))
    mapped = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel without them
        mapped.madvise(advice)
    mapped[: len(begin)] = begin
    return mapped


def _with_room(size: int) -> int:
    # Only what is a whole number of large pages is put where one may begin.
    return -(-2 * size // _LARGE_PAGE) * _LARGE_PAGE
