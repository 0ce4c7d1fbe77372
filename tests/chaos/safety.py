"""What is lost over many kills and freezes: our synchronous mode, our asynchronous one, and Valkey's.

The same load and the same order of faults for each. The synchronous mode must lose nothing, show nothing
stale, and have every register linearizable; the asynchronous one may lose, but not more than Valkey does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.chaos.faults import counted
from tests.chaos.lab import Orders, Report, run
from tests.chaos.stage import Plan


def subjects(plan: Plan, synchronous: int) -> dict[str, Plan]:
    return {
        "shoal, synchronous": replace(plan, cluster="shoal", synchronous=synchronous),
        "shoal, asynchronous": replace(plan, cluster="shoal", synchronous=0),
        "valkey": replace(plan, cluster="valkey", synchronous=0),
    }


def compare(
    plan: Plan, synchronous: int, counts: dict[str, int], tell: Callable[[str], None] = lambda text: None
) -> dict[str, Report]:
    reports = {}
    for name, each in subjects(plan, synchronous).items():
        tell(name)
        reports[name] = run(Orders(each, counted(counts, plan.seed)), tell)
    return reports


def missed_bars(reports: dict[str, Report]) -> list[str]:
    """Which promises were not kept, in words."""
    ours, valkey = reports["shoal, asynchronous"].total("lost"), reports["valkey"].total("lost")
    missed = [f"{name}: {breach}" for name, report in reports.items() for breach in report.broken]
    if not reports["shoal, synchronous"].is_clean:
        missed.append("the synchronous mode lost writes or showed what it must not")
    if ours > valkey:
        missed.append(f"the asynchronous mode lost {ours} writes, Valkey {valkey}")
    return missed
