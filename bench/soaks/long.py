"""Minutes of callers a third of whom leave: memory and descriptors must not grow.

Twenty callers ask for streams, whole answers, tool calls and embeddings. The server is compared with itself at two
quiet moments, after the first tenth and at the end.
"""

from __future__ import annotations

import http.client
import json
import random
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import measure, rows
from bench.harness import Bench, Target
from bench.soaks.ground import TRACEBACK, Figure, Ground, say

CALLERS = 20
LEAVING_SHARE = 0.3
PATIENCE_SECONDS = 20
QUIET_SECONDS = 5
MAX_DESCRIPTORS = 5
MAX_MB_IN_TEN_MINUTES = 1.0
LEAST_GROWTH_MB = 2.0
"""What an allocator may keep in any case: a short run must not turn noise into a slope."""
MARK = re.compile(rb"#(\d+)@\d+#")

CHAT = "/v1/chat/completions"
TOOL = {"type": "function", "function": {"name": "write_note", "parameters": {"type": "object"}}}
HELLO = [{"role": "user", "content": "Hello!"}]
REQUESTS: tuple[tuple[str, int, dict[str, Any]], ...] = (
    (CHAT, 20, {"model": "t20b20", "messages": HELLO}),
    (CHAT, 200, {"model": "t200", "messages": HELLO, "stream": True}),
    (CHAT, 40, {"model": "t40d10", "messages": HELLO, "stream": True}),
    (CHAT, 30, {"model": "t30d10", "messages": HELLO}),
    (CHAT, 40, {"model": "t40c8", "messages": HELLO, "stream": True, "tools": [TOOL]}),
    ("/v1/embeddings", 0, {"model": "e8x768", "input": ["a sentence"] * 8}),
    (CHAT, -404, {"model": "no-such-model", "messages": HELLO, "stream": True}),
)


class Wrong(Exception):
    """An answer was not what it should be."""


@dataclass(frozen=True)
class Quiet:
    """The server at a moment without requests."""

    at: float
    descriptors: int
    rss_mb: float


def ask(port: int, chance: random.Random) -> str:
    """Send one request and read its answer, or leave in the middle of it; return what was done."""
    path, tokens, body = chance.choice(REQUESTS)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        if chance.random() < LEAVING_SHARE / 2:
            time.sleep(chance.random() * 0.1)
            return "left before the answer"
        response = connection.getresponse()
        if chance.random() < LEAVING_SHARE / 2:
            response.read(chance.randrange(1, 4000))
            return "left in the answer"
        check(response.status, response.read(), tokens, bool(body.get("stream")))
        return "answered"
    finally:
        connection.close()


def check(status: int, text: bytes, tokens: int, stream: bool) -> None:
    """Raise Wrong unless all tokens are there, in order; negative `tokens` are the status that is due."""
    if status != (-tokens if tokens < 0 else 200):
        raise Wrong(f"status {status}: {text[:200]!r}")
    if tokens < 0:
        return
    if [int(index) for index in MARK.findall(text)] != list(range(tokens)):
        raise Wrong(f"tokens lost, doubled or out of order: {text[-200:]!r}")
    if stream and not text.endswith(b"data: [DONE]\n\n"):
        raise Wrong(f"no [DONE]: {text[-200:]!r}")


class Callers:
    """Twenty threads that ask until they are told to stop; `counts` and `wrong` say what happened."""

    def __init__(self, port: int) -> None:
        """Start them."""
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._call, args=(port, i), daemon=True) for i in range(CALLERS)
        ]
        for thread in self._threads:
            thread.start()

    def _call(self, port: int, seed: int) -> None:
        chance = random.Random(seed)
        while not self._stop.is_set() and len(self.wrong) < 100:
            try:
                self.counts[ask(port, chance)] += 1
            except (Wrong, OSError, http.client.HTTPException) as problem:
                self.wrong.append(f"{type(problem).__name__}: {problem}")
                time.sleep(0.1)

    def stop(self) -> None:
        """Let each caller finish its request."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)


def look(bench: Bench, target: Target) -> Quiet:
    """Return memory and descriptors when everything has come to rest."""
    bench.settle()
    time.sleep(QUIET_SECONDS)
    pids = measure.tree(target.roots[0])
    descriptors = sum(len(list((Path("/proc") / str(pid) / "fd").iterdir())) for pid in pids)
    return Quiet(time.monotonic(), descriptors, measure.rss_kb(target.roots[0]) / 1024)


def soak(ground: Ground) -> list[Figure]:
    """Let callers come and go for the minutes that were asked for."""
    bench = Bench()
    try:
        return _soak(bench, ground)
    finally:
        bench.close()


def _soak(bench: Bench, ground: Ground) -> list[Figure]:
    target = bench.start(rows.o2o())
    assert target.process is not None
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    quiet = []
    for share in (0.1, 0.9):
        callers = Callers(target.port)
        try:
            time.sleep(ground.minutes * 60 * share)
        finally:
            callers.stop()
        counts += callers.counts
        wrong += callers.wrong
        quiet.append(look(bench, target))
        say(
            f"  {sum(counts.values()):,} requests, {quiet[-1].rss_mb:.1f} MB, {quiet[-1].descriptors} descriptors"
        )
    before, after = quiet
    grown, minutes = after.rss_mb - before.rss_mb, (after.at - before.at) / 60
    slope = grown / minutes * 10
    opened = after.descriptors - before.descriptors
    log = target.process.log.read_text(errors="replace")
    ground.logs.append(log)
    left = bench.stats()["active"]
    shown = (
        f"{sum(counts.values()):,} requests in {ground.minutes:g} min, {sum(_left(counts).values()):,} left"
    )
    return [
        Figure("wrong answers in the soak", f"{len(wrong)} ({shown}) {wrong[:1] or ''}".strip(), not wrong),
        Figure(
            "memory slope (target 1 MB in 10 min)",
            f"{slope:+.2f} MB in 10 min ({grown:+.2f} MB in {minutes:.1f} min)",
            slope <= MAX_MB_IN_TEN_MINUTES or grown <= LEAST_GROWTH_MB,
        ),
        Figure("descriptors (target ±5)", f"{opened:+d}", abs(opened) <= MAX_DESCRIPTORS),
        Figure("streams left open upstream", str(left), left == 0),
        Figure("tracebacks in the soak", str(log.count(TRACEBACK)), TRACEBACK not in log),
    ]


def _left(counts: Counter[str]) -> Counter[str]:
    return Counter({what: number for what, number in counts.items() if what.startswith("left")})
