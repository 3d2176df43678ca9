"""Check the machine and the bench itself, without any row between: is there room to see a difference?"""

from __future__ import annotations

from typing import Any

from bench import rows, scenarios
from bench.harness import Bench, Target

STREAM = "stream"
CHECKS = (
    (scenarios.Scenario("direct-rps", "whole", scenarios.SMALL, (), 16, 0.5), "rps", 20_000.0, True),
    (scenarios.Scenario("direct-tokens", STREAM, "t1000", (), 16, 0.5), "tokens_per_s", 100_000.0, True),
    (
        scenarios.Scenario("direct-paced", STREAM, "t100d20", (), 1000, requests=1000, ramp=1, cap=12),
        "token_p50_ms",
        2.0,
        False,
    ),
)


def check(bench: Bench) -> tuple[dict[str, Any], list[str]]:
    """Return what the direct row reached and what is wrong with it."""
    target = Target(rows.direct(), bench.upstream_port)
    found: dict[str, Any] = {}
    complaints = []
    for scenario, name, limit, at_least in CHECKS:
        seen = bench.load(target, scenario)
        reached = float(seen[name] or 0)
        found[scenario.name] = {name: reached, "failed": seen["failed"]}
        if seen["failed"]:
            complaints.append(f"{scenario.name}: {seen['failed']} bad answers ({seen['first_fault']})")
        if (reached < limit) if at_least else (reached > limit):
            complaints.append(f"{scenario.name}: {name} is {reached:.3g}, the limit is {limit:g}")
    return found, complaints
