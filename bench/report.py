"""From measurements to ratios, verdicts and a Markdown page. Pure but for reading the goals.

A ratio is always made of two values of the same round, which were measured one after the other; medians are taken of
these ratios, because the machine changes more from minute to minute than the rows do.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

Record = Mapping[str, Any]
"""One measurement: scenario, row, round, values."""

OURS = "o2o"


@dataclass(frozen=True)
class Goal:
    """One line of goals.json. `how`: ratio, added (both minus direct, then the ratio), value, or total."""

    goal: int
    metric: str
    scenario: str
    value: str
    how: str
    want: str
    gate: float | None
    aim: float | None
    against: str = ""

    def meets(self, found: float, limit: float) -> bool:
        """Return whether `found` keeps the limit."""
        return found >= limit if self.want == "at least" else found <= limit


@dataclass(frozen=True)
class Verdict:
    """What became of a goal: the values of all rounds and whether gate and aim were met; None: not measured."""

    goal: Goal
    rounds: list[float]
    gate_met: bool | None
    aim_met: bool | None

    @property
    def middle(self) -> float | None:
        return median(self.rounds) if self.rounds else None


def read_goals(path: Path) -> list[Goal]:
    """Return the goals of a file."""
    return [Goal(**line) for line in json.loads(path.read_text())]


def rows_needed(goals: Iterable[Goal]) -> dict[str, frozenset[str]]:
    """Return, by scenario, the rows that goals compare ours with, and ours."""
    needed: dict[str, frozenset[str]] = {}
    for goal in goals:
        floor = {"direct"} if goal.how == "added" else set()
        needed[goal.scenario] = needed.get(goal.scenario, frozenset({OURS})) | {goal.against} | floor
    return needed


def values_by_round(records: Iterable[Record], scenario: str, row: str, name: str) -> dict[int, float]:
    """Return one row's values of one kind in one scenario, by round."""
    return {
        record["round"]: record["values"][name]
        for record in records
        if record["scenario"] == scenario and record["row"] == row and record["values"].get(name) is not None
    }


def judge(goal: Goal, records: list[Record]) -> Verdict:
    """Return the verdict on one goal: a gate is missed by the median and by most of the rounds together."""
    found = _total(goal, records) if goal.how == "total" else _by_round(goal, records)
    if not found:
        return Verdict(goal, [], None, None)
    middle = median(found)
    gate_met = None
    if goal.gate is not None:
        misses = sum(not goal.meets(value, goal.gate) for value in found)
        gate_met = goal.meets(middle, goal.gate) or misses * 2 <= len(found)
    return Verdict(goal, found, gate_met, None if goal.aim is None else goal.meets(middle, goal.aim))


def _total(goal: Goal, records: list[Record]) -> list[float]:
    counts = [record["values"].get(goal.value, 0) for record in records if record["row"] == OURS]
    return [float(sum(counts))] if counts else []


def _by_round(goal: Goal, records: list[Record]) -> list[float]:
    ours = values_by_round(records, goal.scenario, OURS, goal.value)
    if goal.how == "value":
        return [ours[number] for number in sorted(ours)]
    theirs = values_by_round(records, goal.scenario, goal.against, goal.value)
    floor = values_by_round(records, goal.scenario, "direct", goal.value) if goal.how == "added" else {}
    found = []
    for number in sorted(ours.keys() & theirs.keys()):
        if goal.how == "added" and number not in floor:
            continue
        base = floor.get(number, 0.0)
        if theirs[number] - base > 0:
            found.append((ours[number] - base) / (theirs[number] - base))
    return found


# ---- the page ----


def page(
    records: list[Record],
    verdicts: list[Verdict],
    shows: Mapping[str, tuple[tuple[str, str], ...]],
    rows: list[str],
    notes: list[str],
) -> str:
    """Return the Markdown page: notes, the goals, and every scenario with every row."""
    lines = [f"- {note}" for note in notes]
    missing = [
        f"{v.goal.goal}{f' ({v.goal.against})' * bool(v.goal.against)}" for v in verdicts if not v.rounds
    ]
    if missing and OURS in rows:
        lines.append(f"- Goals not measured: {', '.join(missing)}.")
    lines += ["", *_scenario_table(records, shows, rows), "", *_goal_table(verdicts)]
    return "\n".join(lines) + "\n"


def _goal_table(verdicts: list[Verdict]) -> list[str]:
    lines = [
        "| # | goal | median (min … max) | rounds | gate | aim | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for verdict in (verdict for verdict in verdicts if verdict.rounds):
        goal = verdict.goal
        sign = "≥" if goal.want == "at least" else "≤"
        gate, aim = (f"{sign} {limit:g}" if limit is not None else "-" for limit in (goal.gate, goal.aim))
        cells = [str(goal.goal), goal.metric, spread(verdict.rounds), str(len(verdict.rounds)), gate, aim]
        lines.append(f"| {' | '.join(cells)} | {_word(verdict)} |")
    return lines if len(lines) > 2 else []


def _word(verdict: Verdict) -> str:
    if verdict.gate_met is False:
        return "**gate missed**"
    return "aim met" if verdict.aim_met else "gate met" if verdict.gate_met else "aim missed"


def _scenario_table(
    records: list[Record], shows: Mapping[str, tuple[tuple[str, str], ...]], names: list[str]
) -> list[str]:
    lines = [f"| scenario | {' | '.join(names)} |", f"| --- |{' --- |' * len(names)}"]
    for scenario, columns in shows.items():
        cells = [_cell(records, scenario, row, columns) for row in names]
        if any(cell != "-" for cell in cells):
            lines.append(f"| {scenario} | {' | '.join(cells)} |")
    return lines


def _cell(records: list[Record], scenario: str, row: str, columns: tuple[tuple[str, str], ...]) -> str:
    parts = []
    for name, unit in columns:
        found = list(values_by_round(records, scenario, row, name).values())
        if found:
            parts.append(f"{number(median(found))} {unit}" if name != "complete" else _share(median(found)))
    failed = sum(values_by_round(records, scenario, row, "failed").values())
    if failed:
        parts.append(f"**{failed:g} bad**")
    return ", ".join(parts) or "-"


def _share(value: float) -> str:
    return "all" if value == 1 else f"{value:.0%} complete"


def spread(values: list[float]) -> str:
    """Return the median with the least and the greatest value."""
    if not values:
        return "-"
    if len(values) == 1:
        return number(values[0])
    return f"{number(median(values))} ({number(min(values))} … {number(max(values))})"


def number(value: float) -> str:
    """Return a number with three significant digits and spaces between thousands."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"
