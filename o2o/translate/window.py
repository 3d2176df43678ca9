"""Context windows: how large a one to ask for when a prompt did not fit, and whether one was outgrown; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from o2o.errors import Refused
from o2o.translate.facts import Facts
from o2o.translate.faults import overflow
from o2o.translate.policy import Policy
from o2o.translate.usage import figure

AUTOMATIC = (4096, 32768)
"""Sizes that Ollama chooses by itself; the third, 262144, is larger than anything to grow to."""
USUAL_CEILING = 32768
SMALLEST = AUTOMATIC[0]
"""No answer within this many tokens can have outgrown its window, unless somebody asked for a smaller one."""
_BUCKETS = (8192, 16384, 32768, 65536, 131072, 262144, 524288, 1048576)
_ROOM = 1024
"""Tokens to leave for the answer."""


class Kept(NamedTuple):
    """A window that is asked for only because the model is loaded with it."""

    window: int
    grown: bool
    """Whether it is that large because a prompt did not fit."""


def larger_window(
    refused: Refused, policy: Policy, facts: Facts | None, *, sent: int | None, kept: Kept | None = None
) -> int | None:
    """Return the window to try once more with, or None where growing is not wanted or would not help.

    `sent` is the window that was asked for, if one was: a caller's own is nobody else's to change, but for one that is
    `kept`. Without a ceiling of the operator's only a window that Ollama chose by itself grows, or one that has
    grown before.
    """
    ceiling = policy.max_num_ctx
    if kept is not None and sent == kept.window:
        sent = None
    if ceiling == 0 or (sent is not None and (ceiling is None or sent != policy.num_ctx)):
        return None
    found = overflow(refused)
    if found is None or found.n_prompt_tokens is None or found.n_ctx is None:
        return None
    if ceiling is None:
        if found.n_ctx not in AUTOMATIC and (kept is None or not kept.grown):
            return None
        ceiling = USUAL_CEILING
    if facts is not None and facts.context_length is not None:
        ceiling = min(ceiling, facts.context_length)
    window = next((size for size in _BUCKETS if size >= found.n_prompt_tokens + _ROOM), ceiling)
    window = min(window, ceiling)
    return window if window > max(found.n_ctx, found.n_prompt_tokens) else None


def shifted(final: Mapping[str, Any], window: int | None) -> bool:
    """Tell by Ollama's figures whether an answer outgrew the window, so that its beginning was forgotten."""
    return window is not None and figure(final, "prompt_eval_count") + figure(final, "eval_count") > window
