"""The chaos lab in short: a few faults under load, and nothing that may not be.

`SHOAL_CHAOS_SECONDS=300` is the long form, for each of the clusters, with all faults that it has to survive;
`SHOAL_CHAOS_SEED` repeats a choice. By hand, with tables: `python -m tests.chaos --help`.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.faults import counted
from tests.chaos.lab import Orders, Report, run
from tests.chaos.stage import Plan
from tests.harness.servers import ROOT, die_with_parent, source_environment

SECONDS = float(os.environ.get("SHOAL_CHAOS_SECONDS", "0"))
SEED = int(os.environ.get("SHOAL_CHAOS_SEED", str(random.randrange(1 << 32))))


def told(result: Report) -> str:
    """What went wrong, for an assertion."""
    return "\n".join((f"SHOAL_CHAOS_SEED={SEED}", *result.broken, *result.examples))


@pytest.mark.timeout(90)
def test_the_synchronous_mode_loses_nothing(report: Callable[[str], None]) -> None:
    plan = Plan(node_timeout=1000, synchronous=1, cuts=True, seed=SEED)
    families = counted({"kill": 1, "freeze": 1, "cut": 1}, SEED)
    result = run(Orders(plan, families, seconds=6, writers=2, depth=8))
    rounds = ", ".join(f"{each.kind} ({each.down:.1f} s down)" for each in result.rounds)
    report(f"chaos, synchronous: {rounds}; {result.acknowledged} writes, {result.total('lost')} lost")
    assert result.is_clean, told(result)
    assert result.total("checked")
    assert result.acknowledged


LONG: dict[str, tuple[str, ...]] = {
    "all of ours, synchronous": ("--faults", "kill,freeze,cut,move", "--sync", "1"),
    "all of ours, asynchronous": ("--faults", "kill,freeze,cut,move"),
    "all of ours, small disks": ("--faults", "kill,disk"),
    "mixed": ("--cluster", "mixed", "--faults", "kill"),
}


if SECONDS:

    @pytest.mark.timeout(SECONDS + 300)
    @pytest.mark.parametrize("options", LONG.values(), ids=LONG)
    def test_a_long_time_under_faults(tmp_path: Path, options: tuple[str, ...]) -> None:
        """As the command runs it, whose exit code tells of promises that were not kept."""
        outcome, printed = command(tmp_path, *options, "--seconds", str(SECONDS))
        assert outcome == 0, printed

    @pytest.mark.timeout(300)
    def test_the_lab_finds_what_is_lost(tmp_path: Path) -> None:
        """Frozen and woken, a primary of Valkey's acknowledges what was waiting in its sockets."""
        _, printed = command(tmp_path, "--cluster", "valkey", "--freezes", "6")
        figures = json.loads((tmp_path / "figures").read_text())["totals"]
        assert figures["lost"], printed
        assert figures["not_linearizable"], printed

    def command(directory: Path, *options: str) -> tuple[int, str]:
        done = subprocess.run(
            [
                sys.executable, "-m", "tests.chaos", *options,
                "--seed", str(SEED), "--json", str(directory / "figures"),
            ],
            cwd=ROOT,
            env=source_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=die_with_parent,
        )  # fmt: skip
        return done.returncode, done.stdout
