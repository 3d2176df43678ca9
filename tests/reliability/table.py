"""The faults of an Ollama, row by row, and what a caller sees of each.

The letters and numbers are those of the table of promises in `docs/reliability.md`. Rows that need more than one
request have a function in `test_fault_table`.
"""

from __future__ import annotations

from tests.reliability.faults import LETTERS
from tests.reliability.outcomes import Broken, Case, Failure, Ok, early, fine, late

UNAVAILABLE = Failure(503, "upstream_unavailable", wait=(1, 1))
INVALID = Failure(502, "upstream_invalid_response")
TRUNCATED = Failure(502, "upstream_truncated")
BROKEN = Failure(502, "upstream_broken")
CUT = Failure(502, "upstream_truncated", or_code="upstream_broken")
FAILED = Failure(502, "upstream_error")
NO_LOAD = Failure(500, "model_load_failed", retry=False)
NO_KEY = Failure(502, "upstream_auth_error", retry=False)
TIMEOUT = Failure(504, "upstream_timeout", retry=False)
DEADLINE = Failure(504, "request_deadline_exceeded", retry=False)
BUSY = Failure(503, "server_overloaded", wait=(2, 10))
MISSING = Failure(404, "model_not_found", "model")
CLOUD_OFF = Failure(403, None, "model", says="cloud is disabled")

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]

CASES: dict[str, tuple[Case, ...]] = {
    "U1 nobody listens at Ollama's address": (early("any", UNAVAILABLE, house="nobody"),),
    "U2 connecting takes too long": (
        early("any", UNAVAILABLE, house="no_connection"),
        Case(
            "any",
            UNAVAILABLE,
            Broken(UNAVAILABLE, "", heartbeats="first"),
            UNAVAILABLE,
            house="late_connection",
        ),
    ),
    "U3 the name of Ollama's machine is unknown": (early("any", UNAVAILABLE, house="no_name"),),
    "U5 the model is missing": (early("missing", MISSING),),
    "U6 Ollama finds the request wrong": (
        early("wrong", Failure(400, None, says="something about the request is wrong")),
        early("wrong-option", Failure(400, "invalid_type", "options.temperature")),
    ),
    "U7 Ollama refuses the proxy": (
        early("unauthorized", NO_KEY),
        early("forbidden", NO_KEY),
        early("key-wanted", NO_KEY),
        early("cloud-off", CLOUD_OFF),
    ),
    "U8 the model cannot be loaded": (
        early("no-memory", NO_LOAD),
        early("bad-template", NO_LOAD),
        early("no-memory-line", NO_LOAD, embeddings=False),
    ),
    "U9 the runner stopped unexpectedly": (
        early("crashed", FAILED),
        early("crashed-line", FAILED, embeddings=False),
        late("crashed-late", FAILED),
    ),
    "U10 Ollama's queue is full": (
        early("busy", BUSY),
        early("busy-long", Failure(503, "server_overloaded", wait=(7, 9))),
    ),
    "U12 what answers does not speak Ollama's language": (
        early("html", INVALID),
        early("html-502", INVALID),
        early("no-json", INVALID),
        early("no-object", INVALID),
        early("nonsense", INVALID),
        early("bad-chunk", INVALID),
        late("no-json-late", INVALID),
        late("no-object-late", INVALID),
        late("bad-chunk-late", INVALID),
    ),
    "U13 Ollama's address redirects": tuple(
        early(f"moved-{status}", INVALID) for status in (301, 302, 303, 307, 308)
    ),
    "U14 the answer ends without done": (
        early("unfinished", TRUNCATED, embeddings=False),
        early("closed", TRUNCATED, embeddings=False),
        early("nothing", CUT),
        late("unfinished-late", TRUNCATED),
        late("closed-late", TRUNCATED),
        late("unframed", TRUNCATED),
        late("cut-line-late", CUT),
    ),
    "U15 an error line comes in the middle": (
        late("odd-error-late", FAILED),
        late("no-memory-late", NO_LOAD),
        late("wrong-option-late", Failure(400, "invalid_type", "options.temperature")),
    ),
    "U16 Ollama falls silent between two lines": (
        Case("silent-late", TIMEOUT, Broken(TIMEOUT, heartbeats="later"), house="hasty"),
        Case(
            "silent-late",
            DEADLINE,
            Broken(DEADLINE, heartbeats="later"),
            house="hasty",
            more={"tools": TOOLS},
        ),
    ),
    "U17 the first line is very late": (
        Case("slow", Ok(), Ok(heartbeats="first"), Ok(), house="hasty"),
        Case("silent", TIMEOUT, Broken(TIMEOUT, "", heartbeats="first"), TIMEOUT, house="hasty"),
        Case("silent-after-head", TIMEOUT, Broken(TIMEOUT, "", heartbeats="first"), house="hasty"),
        Case("dripping", TIMEOUT, Broken(TIMEOUT, "", heartbeats="first"), house="hasty"),
        Case(
            "silent", DEADLINE, Broken(DEADLINE, "", heartbeats="first"), house="hasty", more={"tools": TOOLS}
        ),
    ),
    "U18 the connection is reset in the middle": (
        early("reset-at-once", CUT),
        early("reset", BROKEN),
        late("reset-late", BROKEN),
    ),
    "U19 a line has more than 16 MiB": (
        early("long-line", INVALID, embeddings=False),
        late("long-line-late", INVALID),
    ),
    "U20 done comes twice, and bytes after it": (fine("twice"),),
    "U21 done comes without any content": (fine("empty", ""),),
    "U22 characters are cut or invalid": (
        early("bad-utf8", INVALID),
        late("bad-utf8-late", INVALID),
        fine("split", LETTERS),
    ),
    "U24 Ollama is frozen": (
        Case("any", TIMEOUT, Broken(TIMEOUT, "", heartbeats="first"), TIMEOUT, house="frozen"),
        # What is asked about the model first is not answered either, and soon given up.
        Case("any", TIMEOUT, TIMEOUT, house="frozen", more={"tools": TOOLS}),
    ),
    "U25 the whole request takes too long": (
        Case("endless", DEADLINE, Broken(DEADLINE, "*"), house="hasty"),
    ),
}
"""Rows of one request each; `*` stands for any text."""
