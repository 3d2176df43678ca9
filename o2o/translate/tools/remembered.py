"""What was found out about the parameters of tools, remembered: agents send the same tools with every request.

The functions behind are pure, so this changes no answer; it is here because they cost more than all the rest of a
request with twenty tools. Bounded in number and in size, since callers choose what is remembered.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from o2o.errors import BadRequest
from o2o.translate.json_schema import check_bounds
from o2o.translate.tools.flatten import flatten

MOST = 512
LARGEST = 4096
"""Bytes of a schema as JSON; larger ones are worked out each time."""


def is_sound(raw: bytes) -> bool:
    """Tell whether a schema, as JSON, is known to be within bounds; False says nothing."""
    return len(raw) <= LARGEST and _is_sound(raw)


def flattened(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return `flatten(parameters)`, to be read and not to be changed."""
    raw = msgspec.json.encode(parameters)
    return _flattened(raw) if len(raw) <= LARGEST else flatten(parameters)


@lru_cache(maxsize=MOST)
def _is_sound(raw: bytes) -> bool:
    try:
        check_bounds(msgspec.json.decode(raw), "", subject="", patterns=False)
    except BadRequest:
        return False
    return True


@lru_cache(maxsize=MOST)
def _flattened(raw: bytes) -> dict[str, Any]:
    return flatten(msgspec.json.decode(raw))
