"""A tiny WSGI app and its gunicorn configuration, for the worker without o2o's app.

`gunicorn -c python:tests.tiny tests.tiny:app`
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

worker_class = os.environ.get("TINY_WORKER", "o2o.worker.Worker")
threads = 4
bind = "127.0.0.1:0"
workers = 1
control_socket_disable = True
keepalive = int(os.environ.get("TINY_KEEPALIVE", "5"))
graceful_timeout = int(os.environ.get("TINY_GRACE", "10"))
max_requests = int(os.environ.get("TINY_MAX_REQUESTS", "0"))
limit_request_line = 500
limit_request_field_size = 1000
limit_request_fields = 20
forwarded_allow_ips = "192.0.2.1"

MEGABYTE = b"x" * (1 << 20)
MOST = 100_000

seen: list[str] = []
"""What happened in this process; `/seen` tells."""

Start = Callable[..., Any]


def post_worker_init(worker: Any) -> None:
    """Hand the worker over, as o2o's own configuration does."""
    from o2o.log import configure
    from o2o.worker import started

    configure()
    started(worker, write_timeout=float(os.environ.get("TINY_WRITE_TIMEOUT", "60")))


class Body:
    """A body that tells when it is closed."""

    def __init__(self, pieces: Iterable[bytes], name: str) -> None:
        self._pieces = iter(pieces)
        self._name = name

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        """Tell."""
        seen.append(f"{self._name} closed")


def app(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    """Answer by the path."""
    view: Callable[..., Iterable[bytes]] = globals()[
        "at_" + environ["PATH_INFO"].strip("/").replace("-", "_")
    ]
    return view(environ, start)


def _say(start: Start, text: bytes, status: str = "200 OK") -> list[bytes]:
    start(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]


def at_hello(environ: dict[str, Any], start: Start) -> list[bytes]:
    """Say hello."""
    return _say(start, b"hello")


def at_seen(environ: dict[str, Any], start: Start) -> list[bytes]:
    """Tell what happened so far."""
    return _say(start, json.dumps(seen).encode())


def at_pieces(environ: dict[str, Any], start: Start) -> list[bytes]:
    """Answer in two chunks."""
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"one", b"two"]


def at_empty(environ: dict[str, Any], start: Start) -> list[bytes]:
    """Answer nothing."""
    start("204 No Content", [])
    return []


def at_large(environ: dict[str, Any], start: Start) -> Body:
    """Answer 32 MB."""
    start("200 OK", [("Content-Length", str(32 * len(MEGABYTE)))])
    return Body([MEGABYTE] * 32, "large")


def at_file(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    """Answer with this file."""
    start("200 OK", [])
    file = Path(__file__).open("rb")  # noqa: SIM115 - the server closes it
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
    return wrapped


def at_refuse(environ: dict[str, Any], start: Start) -> list[bytes]:
    """Answer before the body was read."""
    return _say(start, b"too large", "413 Content Too Large")


def at_crash(environ: dict[str, Any], start: Start) -> list[bytes]:
    """Fail."""
    raise ZeroDivisionError("secret")


def at_break(environ: dict[str, Any], start: Start) -> Iterator[bytes]:
    """Fail when the answer has begun."""
    start("200 OK", [("Content-Type", "text/plain")])
    yield b"one"
    raise ZeroDivisionError("secret")


def at_bad_header(environ: dict[str, Any], start: Start) -> list[bytes]:
    """Answer with a header that no response may have."""
    start("200 OK", [("X-Bad", "a\r\nb: c")])
    return []


def at_body(environ: dict[str, Any], start: Start) -> list[bytes]:
    """Read the body as o2o does, and tell what it was."""
    from o2o.body import read_json
    from o2o.errors import O2OError
    from o2o.hangup import caller_fd, watcher
    from o2o.upstream.line import Line

    with watcher().watch(Line(), caller_fd(environ)) as watch:
        try:
            value = read_json(environ, limit=MOST, seconds=0.5, patience=watch)
        except O2OError as error:
            seen.append(type(error).__name__)
            return _say(start, json.dumps(error.body()).encode(), f"{error.http_status} Refused")
    return _say(start, json.dumps(value).encode())


def at_wait(environ: dict[str, Any], start: Start) -> Iterator[bytes]:
    """Stream one event, then nothing until the line is cut, then why."""
    from o2o.hangup import caller_fd, watcher
    from o2o.upstream.line import Line

    start("200 OK", [("Content-Type", "text/event-stream")])
    line, cut = Line(), threading.Event()
    with watcher().watch(line, caller_fd(environ)):
        line.on_cut(cut.set)
        yield b"data: begun\n\n"
        cut.wait()
        seen.append(f"waiting {type(line.reason).__name__}")
        yield f"data: {type(line.reason).__name__}\n\n".encode()
