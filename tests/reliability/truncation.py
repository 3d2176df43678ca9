"""Streams made by chance: what a caller gets of each, held against what was sent."""

from __future__ import annotations

from tests.reliability.caller import Endpoint, ask
from tests.reliability.faults import Made

CODES = {
    "close": {"upstream_truncated", "upstream_broken"},
    "reset": {"upstream_truncated", "upstream_broken"},
    "cut": {"upstream_truncated", "upstream_broken"},
    "unfinished": {"upstream_truncated"},
    "no json": {"upstream_invalid_response"},
    "bad utf8": {"upstream_invalid_response"},
    "error": {"upstream_error"},
}


def wrongs(port: int, seed: int) -> list[str]:
    """Ask for the stream of this seed and return what is wrong with what came of it."""
    made = Made(seed)
    endpoint: Endpoint = "chat" if seed % 3 else "completions"
    answer = ask(port, endpoint, f"random:{seed}", stream=seed % 5 != 0)
    found = [] if answer.whole else ["the connection ended before the answer did"]
    if not answer.is_stream and answer.status != 200:
        return found + _wrongs_of_error(answer.error, made)
    if answer.text != made.text:
        found.append(f"text {answer.text!r}, not {made.text!r}")
    if not answer.is_stream:
        return found if made.good else [*found, "a whole answer from a broken stream"]
    if answer.done is not made.good:
        found.append(f"[DONE]: {answer.done}, done: {made.good}")
    if bool(answer.finishes) is not made.good:
        found.append(f"finish reasons {answer.finishes}")
    return found if made.good else found + _wrongs_of_error(answer.error, made)


def _wrongs_of_error(error: dict[str, object] | None, made: Made) -> list[str]:
    code = error and error.get("code")
    return [] if code in CODES.get(made.fault, ()) else [f"code {code!r} after {made.fault!r}"]
