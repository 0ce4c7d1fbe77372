"""Slots on the way from one primary to another, while something happens to one of the two.

Either key by key, as `shoal reshard --classic` does it with any program, or whole, by CLUSTER MIGRATESLOTS
where both ends know that. What was interrupted is put right by `shoal fix`, as an operator would.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.chaos.stage import Stage
from tests.harness.servers import Server, die_with_parent, source_environment
from tests.harness.shoal_command import COMMAND, shoal
from tests.harness.slot_moves import ENDED, OK, jobs
from tests.harness.wait import eventually

SLOTS = (20, 200)
MOVERS = frozenset({"shoal", "valkey"})
"""Who has CLUSTER MIGRATESLOTS."""
DEADLINE = 60.0


@contextmanager
def moving(stage: Stage, chance: random.Random) -> Iterator[tuple[str, list[Server]]]:
    """How slots are on their way, and between whom; left, they are at rest, wherever that is."""
    source, target = chance.sample(stage.cluster.primaries, 2)
    count = chance.randint(*SLOTS)
    if {source.kind, target.kind} <= MOVERS and chance.random() < 0.5:
        with whole(stage, source, target, count):
            yield "slots moving", [source, target]
    else:
        with key_by_key(stage, source, target, count):
            yield "keys moving", [source, target]
    put_right(stage)


@contextmanager
def whole(stage: Stage, source: Server, target: Server, count: int) -> Iterator[None]:
    """CLUSTER MIGRATESLOTS; by their end jobs have succeeded or failed, and nothing is in between."""
    first, last = max(stage.cluster.line_of(source).slots, key=lambda span: span[1] - span[0])
    last = min(last, first + count - 1)
    wanted = stage.cluster.id_of(target)
    assert source.run("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", first, last, "NODE", wanted) == OK
    yield
    for node in (source, target):
        eventually(
            lambda node=node: all(job[b"state"] in ENDED for job in jobs(node)),
            lambda node=node: f"all moves end at {node!r}: {jobs(node)}",
            timeout=DEADLINE,
        )


@contextmanager
def key_by_key(stage: Stage, source: Server, target: Server, count: int) -> Iterator[None]:
    """`shoal reshard`, which may fail when one of its members does."""
    ends = [stage.cluster.id_of(node) for node in (source, target)]
    host, port = stage.address(source)
    mover = subprocess.Popen(
        [
            *COMMAND, "reshard", f"{host}:{port}", "--from", ends[0], "--to", ends[1],
            "--slots", str(count), "--yes", "--classic", "--timeout", "5",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=source_environment(),
        preexec_fn=die_with_parent,
    )  # fmt: skip
    yield
    try:
        mover.wait(DEADLINE)
    finally:
        mover.kill()
        mover.wait()


def put_right(stage: Stage) -> None:
    """Until no slot is open any more."""
    said = ""

    def nothing_open() -> bool:
        nonlocal said
        if not any(stage.cluster.line_of(node).open_slots for node in stage.cluster.running):
            return True
        host, port = stage.address(stage.cluster.running[0])
        fixed = shoal("fix", f"{host}:{port}", "--yes", "--timeout", "5", code=None)
        said = f"{fixed.code}, {fixed.out}{fixed.err}"
        return False

    def told() -> str:
        return f"no slot is open; shoal fix said {said}; views:\n{stage.views()}"

    eventually(nothing_open, told, timeout=DEADLINE)
