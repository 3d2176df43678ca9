"""Ids that are unique, not secret: a system call for each of them would cost more than the rest of a small answer."""

from __future__ import annotations

import random


def new_id(prefix: str, length: int = 24) -> str:
    """Return `prefix` and `length` hexadecimal characters; `random` is seeded anew in every process."""
    return f"{prefix}{random.getrandbits(4 * length):0{length}x}"
