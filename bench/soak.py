"""Measure what o2o promises when something goes wrong: `python -m bench.soak`.

    python -m bench.soak --only departure stop     some sections, and what there is to say about their logs
    python -m bench.soak --scale 0.1 --minutes 5   a tenth of everything that is counted, five minutes of soak

Each section prints its figures as rows of a Markdown table. Linux only. Exit status: 0 all promises are kept, 1 one is
not, 2 it could not run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from bench import build, rows, server
from bench.soaks import absence, answers, departing, long, restarts, slow
from bench.soaks.ground import Figure, Ground, say

SECTIONS: dict[str, Callable[[Ground], list[Figure]]] = {
    "table": answers.table,
    "truncation": answers.silent_truncations,
    "departure": departing.departures,
    "start-anew": restarts.start_anew,
    "stop": restarts.stop,
    "kill": restarts.kill,
    "slow-senders": slow.senders,
    "slow-readers": slow.readers,
    "gone": absence.gone,
    "retries": absence.retries,
    "fuzz": answers.requests_by_chance,
    "leaks": answers.leaks,
    "soak": long.soak,
    "looking-back": answers.what_was_asked_and_logged,
}
"""In the order in which they run; the last one looks at what the others have left."""


def main(arguments: list[str] | None = None) -> int:
    """Measure and return the exit status."""
    options = _options(arguments)
    if not sys.platform.startswith("linux"):
        say("The soak needs Linux: it reads /proc.")
        return 2
    server.raise_file_limit()
    chosen = [name for name in SECTIONS if not options.only or name in options.only or name == "looking-back"]
    ground = Ground(min(1.0, max(0.001, options.scale)), min(options.minutes, 24 * 60))
    kept = True
    print("| section | promise | measured | kept |\n| --- | --- | --- | --- |", flush=True)
    try:
        for name in chosen:
            kept = _run(name, ground) and kept
    except (rows.Absent, build.CannotBuild, server.NotStarted) as reason:
        say(str(reason))
        return 2
    finally:
        ground.close()
    return 0 if kept else 1


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description="Measure what o2o promises.")
    parser.add_argument(
        "--only", nargs="+", choices=list(SECTIONS), help="measure these sections and nothing else"
    )
    parser.add_argument("--minutes", type=float, default=30, help="how long the section soak takes (30)")
    parser.add_argument("--scale", type=float, default=1, help="the share of everything that is counted (1)")
    return parser.parse_args(arguments)


def _run(name: str, ground: Ground) -> bool:
    """Measure one section; a section that breaks off has not kept its promise."""
    say(f"{name} …")
    began = time.monotonic()
    try:
        figures = SECTIONS[name](ground)
    except AssertionError as wrong:
        figures = [Figure("the section runs to its end", str(wrong).splitlines()[0][:200], False)]
    for figure in figures:
        measured = figure.measured.replace("|", "\\|").replace("\n", " ")
        print(f"| {name} | {figure.promise} | {measured} | {'yes' if figure.reached else 'NO'} |", flush=True)
    say(f"{name}: {time.monotonic() - began:.0f} s")
    ground.anew()
    return all(figure.reached for figure in figures)


if __name__ == "__main__":
    sys.exit(main())
