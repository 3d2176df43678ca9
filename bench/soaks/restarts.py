"""Servers that start anew, stop and die."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from bench import rows
from bench.harness import Bench
from bench.measure import tree
from bench.scenarios import Scenario
from bench.soaks.ground import Figure, Ground, await_answer, await_that, milliseconds, say
from tests.reliability.caller import Answer, ask
from tests.reliability.memory import processes

GRACE = 10
STARTS_ANEW = 5


def start_anew(ground: Ground) -> list[Figure]:
    """Send HUP under load: 200 requests a second and 20 streams of two seconds."""
    times = ground.times(STARTS_ANEW, 2)
    seconds = 4.0 * times + 4
    bench = Bench()
    try:
        target = bench.start(rows.o2o(workers=2))
        assert target.process is not None
        # Both workers on one CPU would be slower than what is to be shown.
        for pid in tree(target.process.pid):
            os.sched_setaffinity(pid, range(os.cpu_count() or 1))
        loads = [
            _load(
                bench, target, Scenario("requests", "whole", "t20b20i80", (), 24, seconds, cap=seconds + 20)
            ),
            _load(bench, target, Scenario("streams", "stream", "t100d20", (), 20, seconds, cap=seconds + 20)),
        ]
        time.sleep(1)
        for number in range(times):
            old = set(tree(target.process.pid)[1:])
            target.process.process.send_signal(signal.SIGHUP)
            began = time.monotonic()
            gone = await_that(partial(_are_gone, target.process.pid, old), "the end of the old workers", 40)
            say(f"  start {number + 1} of {times}: the old workers ended after {gone - began:.1f} s")
            time.sleep(max(0.0, 4.0 - (time.monotonic() - began)))
        seen = [json.loads(load.communicate(timeout=seconds + 60)[0]) for load in loads]
    finally:
        bench.close()
    requests, streams = seen
    failed = requests["failed"] + streams["failed"]
    shown = (
        f"{failed} of {requests['requests']:,} requests ({requests['rps']:.0f}/s) and {streams['requests']:,} streams, "
        f"{times} starts, {requests['reconnects'] + streams['reconnects']} kept connections renewed"
    )
    return [
        Figure(
            "failures while starting anew (HUP) under load", f"{shown} {_first(seen)}".strip(), failed == 0
        )
    ]


def _are_gone(root: int, workers: set[int]) -> bool:
    return not workers & set(tree(root))


def _load(bench: Bench, target: object, scenario: Scenario) -> subprocess.Popen[bytes]:
    command = bench.load_command(target, scenario)  # type: ignore[arg-type]  # a Target
    return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE)


def _first(seen: list[dict[str, str]]) -> str:
    return " ".join(each["first_fault"] for each in seen if each["first_fault"])


def stop(ground: Ground) -> list[Figure]:
    """Send SIGTERM while short, endless and silent streams run."""
    ends: list[str] = []
    late = 0
    rounds = ground.times(10)
    faults = ("steady", "endless", "silent-late", "endless")
    for number in range(rounds):
        models = [f"{faults[n % len(faults)]}:stop-{number}-{n}" for n in range(40)]
        with ThreadPoolExecutor(len(models)) as pool, ground.server({"O2O_GRACE": str(GRACE)}) as running:
            asked = [pool.submit(ask, running.port, "chat", model, stream=True) for model in models]
            for model in models:
                ground.chaos.await_asked(model)
            time.sleep(random.Random(number).random())
            began = time.monotonic()
            running.process.terminate()
            ends += [_end(each.result()) for each in asked]
            running.process.wait(GRACE + 20)
            late += time.monotonic() - began > GRACE
    told = sum(end in ("[DONE]", "server_shutting_down") for end in ends)
    others = sorted(set(ends) - {"[DONE]", "server_shutting_down"})
    shown = f"{told} of {len(ends)} ({ends.count('[DONE]')} [DONE]) {others or ''}".strip()
    return [
        Figure("streams that end in [DONE] or server_shutting_down on SIGTERM", shown, told == len(ends)),
        Figure("stops that took longer than the grace period", f"{late} of {rounds}", late == 0),
    ]


def _end(answer: Answer) -> str:
    if answer.done:
        return "[DONE]"
    return str(answer.error["code"]) if answer.error else "nothing"


def kill(ground: Ground) -> list[Figure]:
    """Kill the only worker, again and again, with streams on it."""
    back: list[float] = []
    left = 0
    with ground.server(workers=1) as running:
        for number in range(ground.times(20, 3)):
            await_answer(running.port)
            with ThreadPoolExecutor(3) as pool:
                models = [f"endless:kill-{number}-{n}" for n in range(3)]
                asked = [pool.submit(ask, running.port, "chat", model, stream=True) for model in models]
                seen = [ground.chaos.await_asked(model)[0] for model in models]
                os.kill(processes(running)[1], signal.SIGKILL)
                killed = time.monotonic()
                back.append(await_answer(running.port) - killed)
                for each in asked:
                    each.exception()
                left += sum(each.connection.left is None for each in seen)
    return [
        Figure(
            "serving again after kill -9 of the only worker (target 1 s)",
            f"{milliseconds(max(back))} at most, {len(back)} kills",
            max(back) <= 1,
        ),
        Figure("generations that outlive their worker", str(left), left == 0),
    ]
