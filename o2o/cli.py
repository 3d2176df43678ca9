"""The command line: `o2o serve`, `o2o check`, `o2o practice`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from o2o import __version__

INTERRUPTED = 130
"""What a shell calls the end of a program by Ctrl-C."""

_PARENT_SECONDS = 0.5
"""How often a practice upstream looks whether the server it was started for still runs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    asked = _parser().parse_args(arguments)
    try:
        return _run(asked)
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(asked: argparse.Namespace) -> int:
    if asked.command == "serve":
        return _serve(asked)
    if asked.command == "check":
        return _check(asked)
    return _practice(asked)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="o2o",
        description="OpenAI's API with the models of an Ollama. Settings are variables: docs/configuration.md.",
    )
    parser.add_argument("--version", action="version", version=f"o2o {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    serve = commands.add_parser("serve", help="serve OpenAI's API with gunicorn")
    serve.add_argument("--host", help="address to listen on (O2O_HOST)")
    serve.add_argument("--port", type=int, help="port to listen on (PORT)")
    serve.add_argument("--workers", type=int, help="worker processes (WEB_CONCURRENCY)")
    practice = serve.add_mutually_exclusive_group()
    practice.add_argument(
        "--practice", action="store_true", help="answer from the practice upstream, without models"
    )
    practice.add_argument(
        "--practice-if-absent",
        action="store_true",
        help="the same, but only when no Ollama is configured and none answers at its usual place",
    )

    check = commands.add_parser("check", help="look whether settings, Ollama and models are in order")
    check.add_argument("--json", action="store_true", help="print one JSON object")

    alone = commands.add_parser(
        "practice", help="run the practice upstream alone: Ollama's API without models"
    )
    alone.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    alone.add_argument(
        "--port", type=int, default=11434, help="port to listen on (11434); 0 takes a free one"
    )
    alone.add_argument(
        "--pace", type=float, default=0.02, help="seconds between two pieces of an answer (0.02)"
    )
    alone.add_argument("--with-parent", action="store_true", help=argparse.SUPPRESS)
    return parser


def _serve(asked: argparse.Namespace) -> int:
    from o2o.serve import Wishes, serve

    serve(Wishes(asked.host, asked.port, asked.workers, asked.practice, asked.practice_if_absent))


def _check(asked: argparse.Namespace) -> int:
    from o2o.check import check

    report = check(Path.cwd())
    print(json.dumps(report.as_json(), indent=2) if asked.json else report.as_text())
    return 0 if report.well else 1


def _practice(asked: argparse.Namespace) -> int:
    from o2o.practice import PracticeServer

    parent = os.getppid()
    server = PracticeServer(asked.host, asked.port, asked.pace)
    try:
        server.start()
    except OSError as error:
        print(f"The practice upstream cannot listen on port {asked.port}: {error.strerror}.", file=sys.stderr)
        return 1
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    print(server.url, flush=True)
    while not over.wait(_PARENT_SECONDS):
        if asked.with_parent and os.getppid() != parent:
            break
    server.close()
    return 0
