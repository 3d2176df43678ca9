"""Answers that go wrong: the table of faults, streams by chance, requests by chance, and what must leak nowhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from bench.rows import ROOT
from bench.soaks.ground import TRACEBACK, Figure, Ground
from tests.reliability import fuzz, truncation
from tests.reliability.caller import PATHS, Caller, Endpoint, body_for
from tests.reliability.faults import FAULTS

KEY = "sk-c4n4ry-0123456789abcdef"
PROMPT = "pr0mpt-c4n4ry"
SLOW = {
    "silent",
    "silent-late",
    "silent-after-head",
    "dripping",
    "endless",
    "flood",
    "random",
    "slow",
    "slow-late",
}


def table(ground: Ground) -> list[Figure]:
    """Run the test of each row; it knows better than any summary what exactly must come."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "--no-header",
        "tests/reliability/test_fault_table.py",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    results = re.findall(r"^(PASSED|FAILED|ERROR) \S+::test_row\[([UCP]\d+) ", done.stdout, re.MULTILINE)
    exact = {row for result, row in results if result == "PASSED"}
    clients = re.findall(
        r"^(PASSED|FAILED|ERROR) \S+::test_row_through_the_official_client", done.stdout, re.MULTILINE
    )
    missing = sorted({row for _, row in results} - exact)
    shown = f", not {', '.join(missing)}" if missing else ""
    return [
        Figure("rows of the fault table exact over HTTP", f"{len(exact)} of 36{shown}", len(exact) == 36),
        Figure(
            "rows exact through the official client",
            f"{clients.count('PASSED')} of {len(clients)}",
            0 < clients.count("PASSED") == len(clients),
        ),
    ]


def silent_truncations(ground: Ground) -> list[Figure]:
    """Ask for streams that end in every way; `[DONE]` must come exactly where Ollama was done."""
    seeds = range(1_000_000, 1_000_000 + ground.times(10_000, 50))
    with ground.server() as server, ThreadPoolExecutor(12) as pool:
        found = pool.map(lambda seed: truncation.wrongs(server.port, seed), seeds)
        wrong = [wrongs for wrongs in found if wrongs]
    shown = f"{len(wrong)} in {len(seeds):,}" + (f", first: {wrong[0]}" if wrong else "")
    return [Figure("silent truncations, lost or changed bytes in faulty streams", shown, not wrong)]


def requests_by_chance(ground: Ground) -> list[Figure]:
    """Send generated and damaged requests; the practice models answer the good ones."""
    seeds = range(1_000_000, 1_000_000 + ground.times(50_000, 100))
    with ground.server() as server, ThreadPoolExecutor(12) as pool:
        found = pool.map(lambda seed: fuzz.wrongs(server.port, seed), seeds)
        wrong = [wrongs for wrongs in found if wrongs]
    shown = f"{len(wrong)} in {len(seeds):,}" + (f", first: {wrong[0]}" if wrong else "")
    return [
        Figure("5xx, answers without the envelope, hangs over 5 s in generated requests", shown, not wrong)
    ]


def leaks(ground: Ground) -> list[Figure]:
    """Ask every fault with a marked key and marked prompts, and look for the marks."""
    said = [{"role": "system", "content": PROMPT}, {"role": "user", "content": PROMPT}]
    headers = {"Authorization": f"Bearer {KEY}"}
    bodies: list[tuple[Endpoint, dict[str, object]]] = []
    for fault in FAULTS.keys() - SLOW:
        for stream in (False, True):
            bodies.append(("chat", body_for("chat", fault, stream=stream, messages=said, user=PROMPT)))
            bodies.append(("completions", body_for("completions", fault, stream=stream, prompt=PROMPT)))
        bodies.append(("embeddings", body_for("embeddings", fault, input=[PROMPT])))
    bodies += [
        ("chat", {**body_for("chat", "good"), name: {PROMPT: PROMPT}})
        for name in ("messages", "tools", "stop")
    ]
    statuses: Counter[int] = Counter()

    def ask(port: int, endpoint: Endpoint, body: dict[str, object]) -> None:
        with Caller(port) as caller:
            statuses[caller.post(PATHS[endpoint], body, headers).answer().status] += 1

    with ground.server({"O2O_API_KEYS": KEY}) as server, ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(ask, server.port, endpoint, body)
            for _ in range(ground.times(20))
            for endpoint, body in bodies
        ]
        for each in asked:
            each.result()
    log = ground.logs[-1]
    upstream = sum(KEY in str(seen.headers) or KEY.encode() in seen.raw for seen in ground.chaos.requests)
    marks = log.count(KEY) + log.count(PROMPT)
    shown = f"{marks} in {len(log):,} bytes of log, {upstream} of {len(ground.chaos.requests):,} requests upstream"
    return [Figure("the caller's key and prompts in logs, the key upstream", shown, marks == upstream == 0)]


def what_was_asked_and_logged(ground: Ground) -> list[Figure]:
    """Look back on all that the sections before have asked and logged."""
    outside = ground.outside()
    tracebacks = sum(log.count(TRACEBACK) for log in ground.logs)
    return [
        Figure(
            "requests to Ollama outside the allow-list",
            f"{len(outside)} {outside[:3] or ''}".strip(),
            not outside,
        ),
        Figure("tracebacks in the logs of all servers", str(tracebacks), not tracebacks),
    ]
