"""The bench during a run: the fake Ollama, the running rows, and one measurement of one of them."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import build, measure, rows, scenarios, server

Values = dict[str, Any]
"""What one measurement found: numbers by name, `faults` by kind, `first_fault` in words."""

WARM = replace(scenarios.SCENARIOS[0], name="warm", concurrency=8, requests=150, seconds=1.5)
SETTLE_SECONDS = 3


@dataclass
class Target:
    """A row that answers on `port`; `process` is None for the fake Ollama itself."""

    row: rows.Row
    port: int
    process: server.Server | None = None
    start_ms: float = 0.0

    @property
    def roots(self) -> list[int]:
        return [self.process.pid] if self.process else []


class Bench:
    """Owns the temporary directory, the fake Ollama and the rows that run; `close` it, whatever happens."""

    def __init__(self) -> None:
        """Compile the tools and start the fake Ollama."""
        self.cpu, self.load_cpu = server.cpus()
        os.sched_setaffinity(0, {self.load_cpu})
        server.raise_file_limit()
        fake, self.loader = build.compile_tool("fake_ollama"), build.compile_tool("load")
        self._temporary = tempfile.TemporaryDirectory(prefix="o2o-bench-")
        self.directory = Path(self._temporary.name)
        self.targets: list[Target] = []
        self.key = (
            f"sk-{secrets.token_hex(16)}"  # LiteLLM insists on one; the others are not asked to check it
        )
        self.upstream_port = server.free_port()
        log = self.directory / "fake.log"
        self.upstream = server.Server([fake, str(self.upstream_port)], self.load_cpu, log, os.environ)
        try:
            self.upstream.wait_ready(self.upstream_port, "/api/version", 10)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End everything that was started."""
        for target in self.targets:
            if target.process:
                target.process.stop()
        self.upstream.stop()
        self._temporary.cleanup()

    def start(self, row: rows.Row) -> Target:
        """Start a row and wait until it answers; raise NotStarted if it does not."""
        if row.command is None:
            return Target(row, self.upstream_port)
        port = server.free_port()
        directory = Path(tempfile.mkdtemp(prefix=f"{row.name}-", dir=self.directory))
        command = row.command(port, self.upstream_port, directory)
        environ = row.environment(port, self.upstream_port, self.key)
        process = server.Server(command, self.cpu, directory / "log", environ, row.cwd)
        target = Target(row, port, process)
        self.targets.append(target)
        try:
            target.start_ms = process.wait_ready(port, row.ready, row.start_seconds, self.key)
        except BaseException:
            self.stop(target)
            raise
        return target

    def stop(self, target: Target) -> None:
        """Stop a row."""
        if target.process:
            target.process.stop()
            self.targets.remove(target)

    @contextmanager
    def fresh(self, row: rows.Row) -> Iterator[Target]:
        """Start a row for the time of a `with` statement."""
        target = self.start(row)
        try:
            yield target
        finally:
            self.stop(target)

    def stats(self) -> dict[str, int]:
        """Return what the fake Ollama has counted."""
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream_port, timeout=10)
        try:
            connection.request("GET", "/stats")
            counted: dict[str, int] = json.loads(connection.getresponse().read())
            return counted
        finally:
            connection.close()

    def settle(self) -> None:
        """Wait a moment until no stream is left over from the measurement before."""
        end = time.monotonic() + SETTLE_SECONDS
        while self.stats()["active"] and time.monotonic() < end:
            time.sleep(0.02)

    def load_command(self, target: Target, scenario: scenarios.Scenario) -> list[str | Path]:
        """Return the command that puts the scenario's load on the row; its body is written to a file once."""
        shape = target.row.shape
        name = self.directory / f"{scenario.kind}-{scenario.model}-{scenario.size}-{shape}.json"
        if not name.exists():
            name.write_text(json.dumps(scenarios.body(scenario, shape)))
        numbers = {
            "concurrency": scenario.concurrency,
            "seconds": scenario.seconds,
            "requests": scenario.requests,
            "ramp": scenario.ramp,
            "cap": scenario.cap,
        }
        options = [part for key, value in numbers.items() for part in (f"--{key}", f"{value:g}")]
        where = [
            "--port",
            str(target.port),
            "--path",
            scenarios.path(scenario, shape),
            "--body",
            str(name),
            "--key",
            self.key,
        ]
        return [self.loader, *where, *options, *scenarios.checks(scenario, shape, target.row.name)]

    def load(self, target: Target, scenario: scenarios.Scenario) -> Values:
        """Put the scenario's load on the row and return what the load generator saw."""
        command = self.load_command(target, scenario)
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=scenario.cap + 20, check=True)
        seen: Values = json.loads(done.stdout)
        return seen

    def warm(self, target: Target, scenario: scenarios.Scenario | None = None) -> None:
        """Let the row meet small requests, or the scenario, before it is measured; what comes of it does not count."""
        if scenario is None:
            self.load(target, WARM)
            return
        few = replace(
            scenario, concurrency=min(2, scenario.concurrency), requests=2, seconds=0, ramp=0, cap=8
        )
        if "d" not in few.model:  # paced streams would take as long as the measurement
            self.load(target, few)

    def measure(self, target: Target, scenario: scenarios.Scenario) -> Values:
        """Measure the row once in the scenario, with its CPU time and what else the machine did."""
        self.settle()
        everyone = [root for each in self.targets for root in each.roots] + [self.upstream.pid]
        busy, cpu = measure.busy(everyone), measure.cpu_ns(target.roots)
        seen = self.load(target, scenario)
        used_us = (measure.cpu_ns(target.roots) - cpu) / 1000
        after = measure.busy(everyone)
        seen |= {
            "wall_s": after.wall - busy.wall,
            "others_share": measure.others(busy, after),
            "stolen_share": measure.stolen(busy, after),
        }
        if target.process:
            seen["cpu_us_per_request"] = used_us / seen["ok"] if seen["ok"] else None
            seen["cpu_us_per_token"] = used_us / seen["tokens"] if seen["tokens"] else None
        return seen


def say(text: str) -> None:
    """Tell the person who waits what happens."""
    print(text, file=sys.stderr, flush=True)


def rotated(items: Iterable[Any], by: int) -> list[Any]:
    """Return the items, starting with another one each time."""
    listed = list(items)
    by %= len(listed) or 1
    return listed[by:] + listed[:by]
