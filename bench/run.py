"""Measure o2o beside what one would use in its place: `python -m bench.run [--quick]`. Linux only; see README.md.

Exit status: 0 all gates that were measured are met, 1 a gate is missed, 2 the bench could not run, 3 the machine was
too noisy to judge.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from statistics import mean
from types import FrameType
from typing import Any

from bench import build, fresh, measure, report, rows, scenarios, selfcheck, server
from bench.harness import Bench, Target, rotated, say

HERE = Path(__file__).parent
GATES_MISSED, CANNOT_RUN, TOO_NOISY = 1, 2, 3
NOISE_LIMIT = 0.10
"""How much of a CPU other processes may use on average before ratios are not judged."""


class Run:
    """One run: which rows and scenarios, how often, until when; collects the records."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Take the command line."""
        self.options = options
        self.records: list[report.Record] = []
        self.notes: list[str] = []
        self.machine = measure.machine_facts()
        self.goals = report.read_goals(HERE / "goals.json")
        self.needed = report.rows_needed(self.goals)
        self.deadline = time.monotonic() + options.budget

    def rounds_of(self, name: str, full: int, quick: int, slow: bool, row: rows.Row) -> int:
        """Return how many rounds a row takes part in: all where a goal needs it, otherwise few."""
        named = bool(self.options.scenarios)
        wanted = full if not self.options.quick else (quick or int(named))
        if wanted and self.options.rounds:
            return int(self.options.rounds)
        if row.name in self.needed.get(name, {report.OURS}):
            return wanted
        few = 1 if slow or self.options.quick else 2
        return 0 if slow and self.options.quick and not named else min(few, wanted)

    def chosen(self, name: str) -> bool:
        """Return whether a scenario takes part."""
        return not self.options.scenarios or name in self.options.scenarios

    def late(self) -> bool:
        """Return whether the time is up, and note it."""
        if time.monotonic() < self.deadline:
            return False
        note = f"The time ({self.options.budget:g} s) was up before all rounds were made."
        if note not in self.notes:
            self.notes.append(note)
        return True

    def record(self, scenario: str, row: rows.Row, number: int, values: dict[str, Any]) -> None:
        """Keep one measurement, without the paths of this machine."""
        if values.get("first_fault"):
            fault = str(values["first_fault"])
            values = {
                **values,
                "first_fault": fault.replace(str(rows.ROOT), ".").replace(sys.base_prefix, "python"),
            }
        self.records.append({"scenario": scenario, "row": row.name, "round": number, "values": values})
        if values.get("first_fault"):
            say(f"  {scenario} {row.name}: {values['failed']} bad: {values['first_fault']}")

    def starts(self, bench: Bench, row: rows.Row) -> bool:
        """Return whether the row starts at all; say why if not. Its modules are compiled then."""
        try:
            with bench.fresh(row) as target:
                bench.warm(target)
        except fresh.Failure as failure:
            self.notes.append(f"{row.name} did not start.")
            say(f"{row.name} did not start: {failure}")
            return False
        return True

    def fresh_rows(self, bench: Bench, found: list[rows.Row]) -> None:
        """Make the measurements that start their row anew."""
        for one in fresh.FRESH:
            if not self.chosen(one.name):
                continue
            for number in range(max(one.rounds, self.options.rounds or 0)):
                for row in rotated(found, number):
                    wanted = self.rounds_of(one.name, one.rounds, one.quick, one.slow, row)
                    if row.command is None or one.kind in row.lacks or number >= wanted or self.late():
                        continue
                    say(f"{one.name} {row.name} {number + 1}/{wanted}")
                    self._fresh_row(bench, one, row, number)

    def _fresh_row(self, bench: Bench, one: fresh.Fresh, row: rows.Row, number: int) -> None:
        try:
            with bench.fresh(row) as target:
                found = one.run(bench, target)
        except fresh.Failure as failure:
            found = {one.name: {"failed": 1, "first_fault": str(failure)[:400]}}
        for name, values in found.items():
            self.record(name, row, number, values)

    def loads(self, bench: Bench, targets: list[Target]) -> None:
        """Put every load on every row, in rounds, each time in another order."""
        for number in range(self.options.rounds or max(s.rounds for s in scenarios.SCENARIOS)):
            for scenario in scenarios.SCENARIOS:
                taking = [t for t in targets if self._takes_part(t.row, scenario, number)]
                if not taking or self.late():
                    continue
                say(f"round {number + 1}: {scenario.name} ({', '.join(t.row.name for t in taking)})")
                for target in rotated(taking, number):
                    self._load(bench, target, scenario, number)

    def _takes_part(self, row: rows.Row, scenario: scenarios.Scenario, number: int) -> bool:
        if not self.chosen(scenario.name) or scenario.kind in row.lacks:
            return False
        return number < self.rounds_of(scenario.name, scenario.rounds, scenario.quick, scenario.slow, row)

    def _load(self, bench: Bench, target: Target, scenario: scenarios.Scenario, number: int) -> None:
        if number == 0:
            bench.warm(target, scenario)
        values = bench.measure(target, scenario)
        self.record(scenario.name, target.row, number, values)

    def noise(self) -> float:
        """Return what other processes used on average during the loads, as a share of one CPU."""
        shares = [
            (record["values"]["others_share"], record["values"]["wall_s"])
            for record in self.records
            if "others_share" in record["values"]
        ]
        seconds = sum(wall for _, wall in shares)
        return sum(share * wall for share, wall in shares) / seconds if seconds else 0.0


def main(arguments: list[str] | None = None) -> int:
    """Run the bench and return the exit status."""
    options = parse(arguments)
    if not sys.platform.startswith("linux"):
        say("The bench needs Linux: it reads /proc, pins processes to CPUs and uses epoll.")
        return CANNOT_RUN
    signal.signal(signal.SIGTERM, _interrupted)
    run = Run(options)
    models = {scenario.model for scenario in scenarios.SCENARIOS} | {"t5d1000", "t6d2000", "t4"}
    found, absent = rows.prepare(options.rows, models)
    for name, reason in absent.items():
        run.notes.append(f"Without {name}: {reason}.")
        say(run.notes[-1])
    run.deadline = time.monotonic() + options.budget  # making environments does not count
    try:
        bench = Bench()
    except (build.CannotBuild, server.NotStarted) as reason:
        say(str(reason))
        return CANNOT_RUN
    try:
        return _measure(run, bench, found)
    finally:
        bench.close()


def _measure(run: Run, bench: Bench, found: list[rows.Row]) -> int:
    options = run.options
    checked, complaints = ({}, []) if options.no_selfcheck else selfcheck.check(bench)
    for complaint in complaints:
        say(f"machine too noisy: {complaint}")
    if complaints and not options.force:
        return TOO_NOISY
    found = [row for row in found if run.starts(bench, row)]
    if report.OURS in options.rows and report.OURS not in {row.name for row in found}:
        return CANNOT_RUN
    run.fresh_rows(bench, found)
    targets = []
    for row in found:
        try:
            targets.append(bench.start(row))
            bench.warm(targets[-1])
        except fresh.Failure as failure:
            run.record("start", row, 0, {"failed": 1, "first_fault": str(failure)[:400]})
    run.loads(bench, targets)
    return _finish(run, found, checked, complaints)


def _finish(run: Run, found: list[rows.Row], checked: dict[str, Any], complaints: list[str]) -> int:
    noise = run.noise()
    verdicts = [report.judge(goal, run.records) for goal in run.goals]
    missed = [verdict for verdict in verdicts if verdict.gate_met is False]
    noisy = noise > NOISE_LIMIT or bool(complaints)
    run.notes.insert(
        0, f"Other processes used {noise:.0%} of a CPU on average (more than {NOISE_LIMIT:.0%} is too noisy)."
    )
    machine = run.machine
    run.notes.insert(
        0, f"{machine['cpu']}, {machine['cpus']} CPUs, {machine['python']}, Linux {machine['kernel']}."
    )
    versions = {row.name: dict(row.versions) for row in found if row.versions}
    if versions:
        run.notes.insert(1, "; ".join(f"{name}: {_listed(parts)}" for name, parts in versions.items()) + ".")
    shows = {scenario.name: scenario.shows for scenario in scenarios.SCENARIOS} | fresh.SHOWS
    text = report.page(run.records, verdicts, shows, [row.name for row in found], run.notes)
    result = {
        "mode": "quick" if run.options.quick else "full",
        "machine": machine,
        "versions": versions,
        "selfcheck": checked,
        "complaints": complaints,
        "others_share": noise,
        "stolen_share": mean([r["values"].get("stolen_share", 0.0) for r in run.records] or [0.0]),
        "notes": run.notes,
        "goals": [
            {
                "goal": v.goal.goal,
                "metric": v.goal.metric,
                "rounds": v.rounds,
                "gate_met": v.gate_met,
                "aim_met": v.aim_met,
            }
            for v in verdicts
        ],
        "records": run.records,
    }
    _write(run.options.output, result, text)
    print(text)
    if noisy:
        say("machine too noisy: nothing is judged")
        return TOO_NOISY
    return GATES_MISSED if missed else 0


def _listed(parts: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in parts.items())


def _write(directory: Path, result: dict[str, Any], text: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    name = f"{datetime.now(timezone.utc):%Y-%m-%d-%H%M%S}-{result['mode']}"
    (directory / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    (directory / f"{name}.md").write_text(text)
    say(f"written: {name}.json and {name}.md")


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description="Measure o2o beside other rows.")
    names = [*(one.name for one in fresh.FRESH), *(scenario.name for scenario in scenarios.SCENARIOS)]
    parser.add_argument("--quick", action="store_true", help="the most telling gates only, in two minutes")
    parser.add_argument("--rows", default="", help=f"comma-separated, of {', '.join(rows.ALL_ROWS)}")
    parser.add_argument("--with-litellm", action="store_true", help="add LiteLLM (an environment of 0.5 GB)")
    parser.add_argument("--scenarios", default="", help=f"comma-separated, of {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=0, help="rounds instead of each scenario's own number")
    parser.add_argument("--budget", type=float, default=0, help="seconds after which no more rounds begin")
    parser.add_argument("--output", type=Path, default=HERE / "results", help="folder for the results")
    parser.add_argument(
        "--force", action="store_true", help="measure on a noisy machine too (nothing is judged)"
    )
    parser.add_argument("--no-selfcheck", action="store_true", help="skip the check of the machine")
    options = parser.parse_args(arguments)
    default = rows.QUICK_ROWS if options.quick else rows.ROWS
    options.rows = _names(parser, options.rows, rows.ALL_ROWS) or list(default)
    if options.with_litellm and "litellm" not in options.rows:
        options.rows.append("litellm")
    options.scenarios = _names(parser, options.scenarios, names)
    if options.rounds < 0 or options.rounds > 100:
        parser.error("--rounds must be between 1 and 100")
    slow = 2 if "litellm" in options.rows else 1
    options.budget = options.budget or (110 if options.quick else 570) * slow
    return options


def _names(parser: argparse.ArgumentParser, text: str, known: Any) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            parser.error(f"unknown name {name!r}; known: {', '.join(known)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
