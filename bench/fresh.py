"""Measurements that need a row started for them: start, idle memory, memory of open streams, peaks, departure."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from bench import measure, scenarios, server
from bench.harness import Bench, Target, Values

OPEN = scenarios.Scenario(
    "memory", "stream", "t5d1000", (), 1000, requests=1000, ramp=2, cap=12, rounds=2, slow=True
)
LEAVING = scenarios.Scenario("departure", "stream", "t6d2000", ())
DEPARTURE_SECONDS = 6
IDLE_SECONDS = 1.2
"""How long after its first 200 a row is idle: by then it has loaded what it puts off until it answers, too."""
MB = 1024
_EMBED = next(s for s in scenarios.SCENARIOS if s.name == "embed-2048x1024")
_VISION = next(s for s in scenarios.SCENARIOS if s.name == "vision-10mb")


@dataclass(frozen=True)
class Fresh:
    """One measurement on a fresh row; it may find values for several scenarios of the table at once."""

    name: str
    kind: str
    run: Callable[[Bench, Target], dict[str, Values]]
    rounds: int
    quick: int = 0
    slow: bool = False


def start_and_leave(bench: Bench, target: Target) -> dict[str, Values]:
    """Return the time to the first 200, the idle memory, and how soon the upstream sees that a stream's caller left."""
    time.sleep(IDLE_SECONDS)
    idle = measure.pss_kb(target.process.pid) / MB if target.process else 0.0
    bench.warm(target, replace(LEAVING, model="t4"))
    return {
        "start": {"ms": target.start_ms},
        "idle": {"pss_mb": idle},
        "departure": {"ms": departure(bench, target, stream=True)},
    }


def leave_whole(bench: Bench, target: Target) -> dict[str, Values]:
    """Return how soon the upstream sees that a caller who waited for a whole answer has left."""
    bench.warm(target, replace(LEAVING, model="t4"))
    return {"departure-whole": {"ms": departure(bench, target, stream=False)}}


def departure(bench: Bench, target: Target, stream: bool) -> float:
    """Return the ms from a caller's goodbye until the upstream's stream is aborted; 6000: not until then.

    A token comes every 2 s; the caller leaves after the first, or a moment after the upstream began when it waits for
    a whole answer.
    """
    bench.settle()
    before = bench.stats()
    asked = scenarios.body(LEAVING, target.row.shape) | {"stream": stream}
    text = json.dumps(asked).encode()
    head = f"POST {scenarios.path(LEAVING, target.row.shape)} HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\n"
    head += f"Authorization: Bearer {bench.key}\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(text)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", target.port), timeout=5) as caller:
        caller.sendall(head.encode() + text)
        if stream:
            _read_until(caller, b"#0@")
        else:
            _wait(lambda: bench.stats()["active"] > before["active"], 5)
            time.sleep(0.05)
    left = time.monotonic()
    noticed = _wait(lambda: bench.stats()["aborted"] > before["aborted"], DEPARTURE_SECONDS)
    return (time.monotonic() - left if noticed else DEPARTURE_SECONDS) * 1000


def _read_until(caller: socket.socket, mark: bytes) -> None:
    seen = b""
    while mark not in seen:
        piece = caller.recv(65536)
        if not piece or len(seen) > 1_000_000:
            raise OSError(f"the stream ended before its first token: {seen[-200:]!r}")
        seen += piece


def _wait(until: Callable[[], bool], seconds: float, every: float = 0.001) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if until():
            return True
        time.sleep(every)
    return False


def open_streams(bench: Bench, target: Target) -> dict[str, Values]:
    """Return the memory that each of 1000 open streams takes, and how many of them came to their end."""
    if target.process is None:
        return {}
    pid = target.process.pid
    bench.warm(target)
    before = measure.pss_kb(pid)
    loader = subprocess.Popen(bench.load_command(target, OPEN), stdout=subprocess.PIPE)
    try:
        _wait(lambda: bench.stats()["active"] >= OPEN.requests, OPEN.ramp + 3, every=0.05)
        during, count = measure.pss_kb(pid), bench.stats()["active"]
        out, _ = loader.communicate(timeout=OPEN.cap + 10)
    finally:
        loader.kill()
        loader.wait()
    seen: Values = json.loads(out)
    seen["open"] = count
    seen["kb_per_stream"] = (during - before) / count if count else None
    return {"memory": seen}


def growth_of_embeddings(bench: Bench, target: Target) -> dict[str, Values]:
    """Return by how many MB the peak grows over what is resident, with answers of 28 MB."""
    return {"growth-embed": _growth(bench, target, replace(_EMBED, seconds=0, requests=3))}


def growth_of_vision(bench: Bench, target: Target) -> dict[str, Values]:
    """Return the same with bodies of 10 MB, and as a multiple of the body."""
    found = _growth(bench, target, replace(_VISION, seconds=0, requests=3))
    if found:
        found["bodies"] = found["mb"] * MB * 1024 / _VISION.size
    return {"growth-vision": found}


def _growth(bench: Bench, target: Target, load: scenarios.Scenario) -> Values:
    if target.process is None:
        return {}
    bench.warm(target)
    pid = target.process.pid
    before = measure.rss_kb(pid)
    measure.clear_peaks(pid)
    seen = bench.load(target, load)
    return seen | {"mb": (measure.peak_kb(pid) - before) / MB}


FRESH = (
    Fresh("start", "stream", start_and_leave, rounds=5, quick=2),
    Fresh("departure-whole", "stream", leave_whole, rounds=2, slow=True),
    Fresh("growth-embed", "embed", growth_of_embeddings, rounds=3, slow=True),
    Fresh("growth-vision", "vision", growth_of_vision, rounds=3, slow=True),
    Fresh("memory", "stream", open_streams, rounds=2, slow=True),
)
SHOWS: dict[str, tuple[tuple[str, str], ...]] = {
    "start": (("ms", "ms"),),
    "idle": (("pss_mb", "MB PSS"),),
    "departure": (("ms", "ms"),),
    "departure-whole": (("ms", "ms"),),
    "memory": (("kb_per_stream", "KB/stream"), ("complete", "complete")),
    "growth-embed": (("mb", "MB"),),
    "growth-vision": (("mb", "MB"), ("bodies", "x body")),
}
Failure = (OSError, server.NotStarted, subprocess.SubprocessError)
"""What a measurement may raise when the row, not the bench, is at fault."""
