"""Server-sent events: encode one, and turn a run into the body of a stream; pure.

An event is never split: what this module yields are whole events, one or several, and the server writes each
piece as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import msgspec

from o2o.errors import CallerGone, InternalError, O2OError

DONE = b"data: [DONE]\n\n"
HEARTBEAT = b": heartbeat\n\n"

_encode = msgspec.json.Encoder().encode


def encode(event: Any) -> bytes:
    """Return one event: a line of JSON and the empty line that ends it."""
    return b"data: " + _encode(event) + b"\n\n"


def stream(
    run: Generator[list[dict[str, Any]] | None, None, list[dict[str, Any]]],
    render: Callable[[list[dict[str, Any]]], bytes],
    end: Callable[[], bytes],
    failed: Callable[[BaseException], None],
) -> Generator[bytes, None, None]:
    """Yield the body of a stream.

    `render` encodes choices, `end` gives what stands between the last choice and `[DONE]` (usage, or nothing),
    `failed` is told what ended a stream early. A failure is the last event, without `[DONE]`; a caller who has
    gone gets nothing more.
    """
    try:
        while True:
            try:
                choices = next(run)
            except StopIteration as stop:
                yield render(stop.value) + end() + DONE
                return
            if choices is None:
                yield HEARTBEAT
            elif choices:
                yield render(choices)
    except CallerGone as error:
        failed(error)
    except O2OError as error:
        failed(error)
        yield encode(error.body())
    except Exception as error:  # noqa: BLE001  # our own bug: the caller is told that the stream failed
        failed(error)
        yield encode(InternalError().body())
    finally:
        run.close()
