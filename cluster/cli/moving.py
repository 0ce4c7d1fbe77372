"""Showing, confirming and watching moves of slots: the common part of reshard, rebalance and fix."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import typer
from rich.progress import Progress

from cluster.cli.output import console, print_json, print_table, progress_bar, say
from cluster.migration.classic import MoveOptions, SlotMover
from cluster.migration.classic import Progress as MoveProgress
from cluster.operations.link import OperationError
from cluster.operations.survey import Survey
from cluster.plans.check import check
from cluster.plans.model import Move, NodeInfo
from cluster.slots import format_ranges, from_iterable

GRACE = 10.0
"""Seconds by which a link's timeout exceeds that of a MIGRATE, so that the node's own words arrive first."""


@dataclass(frozen=True)
class How:
    """How the operator wants a plan treated."""

    dry_run: bool
    yes: bool
    json: bool


def require_sound(survey: Survey) -> None:
    """Slots move only in a cluster whose members answer and agree. Raises OperationError with the first
    obstacle."""
    for problem in check(survey.views, survey.unreachable):
        if problem.severity == "error" or problem.kind == "open-slot":
            raise OperationError(problem.text, problem.next_step)


def carry_out_moves(survey: Survey, moves: Sequence[Move], options: MoveOptions, how: How) -> None:
    """Show the plan; unless it is a dry run, ask, move, and report."""
    nodes = survey.nodes
    if how.json and how.dry_run:
        print_json({"moves": moves_as_json(moves, nodes)})
        return
    if not how.json:
        print_moves(moves, nodes)
    if how.dry_run or not moves:
        return
    if not how.yes:
        typer.confirm("Move these slots?", abort=True)
    started = time.monotonic()
    with watched_mover(survey, options, quiet=how.json) as mover:
        mover.run(moves)
    seconds = time.monotonic() - started
    done = mover.progress
    if how.json:
        result = {"slots": done.slots, "keys": done.keys, "seconds": round(seconds, 3)}
        print_json({"moves": moves_as_json(moves, nodes), "moved": result})
    else:
        rate = done.keys / seconds if seconds else 0
        say(f"moved {done.slots} slots with {done.keys} keys in {seconds:.1f} s ({rate:.0f} keys/s)")


@contextmanager
def watched_mover(survey: Survey, options: MoveOptions, quiet: bool = False) -> Iterator[SlotMover]:
    """A mover between the cluster's primaries, with a progress bar; SIGINT and SIGTERM stop it between
    slots."""
    links = {node.id: survey.link(node.id) for node in survey.primaries}
    if quiet:
        yield from _watched(SlotMover(links, options))
        return
    with progress_bar() as bar:
        yield from _watched(SlotMover(links, options, _painter(bar)))


def _watched(mover: SlotMover) -> Iterator[SlotMover]:
    try:
        with _stopped_by_signals(mover):
            yield mover
    except KeyboardInterrupt as error:
        raise OperationError("interrupted in the middle of a slot", "`shoal fix` finishes it") from error


def _painter(bar: Progress) -> Callable[[MoveProgress], None]:
    """Progress is measured in keys and slots together: an empty slot takes time, too."""
    task = bar.add_task("moving", total=None, figures="")
    started = time.monotonic()

    def paint(progress: MoveProgress) -> None:
        rate = progress.keys / max(time.monotonic() - started, 0.001)
        bar.update(
            task,
            total=progress.total_slots + max(progress.total_keys, progress.keys),
            completed=progress.slots + progress.keys,
            figures=f"{progress.slots}/{progress.total_slots} slots, {progress.keys} keys, {rate:.0f} keys/s",
        )

    return paint


@contextmanager
def _stopped_by_signals(mover: SlotMover) -> Iterator[None]:
    """The first signal asks the mover to finish what it has open; the second ends the process as usual."""

    def on_signal(number: int, _frame: Any) -> None:
        mover.request_stop()
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def print_moves(moves: Sequence[Move], nodes: Mapping[str, NodeInfo]) -> None:
    if not moves:
        say("nothing to move")
        return
    rows = moves_as_json(moves, nodes)
    print_table(
        "",
        ["from", "to", "slots", "ranges"],
        [[row["from"], row["to"], row["count"], _shortened(row["slots"])] for row in rows],
        numeric=["slots"],
    )
    console().print(f"{len(moves)} slots to move", markup=False)


def moves_as_json(moves: Sequence[Move], nodes: Mapping[str, NodeInfo]) -> list[dict]:
    """One entry per pair of nodes, in the order in which they are moved."""
    rows = []
    for (source, target), group in groupby(moves, key=lambda move: (move.source, move.target)):
        slots = [move.slot for move in group]
        rows.append(
            {
                "from": nodes[source].address,
                "to": nodes[target].address,
                "count": len(slots),
                "slots": format_ranges(from_iterable(slots)),
            }
        )
    return rows


def _shortened(ranges: str, longest: int = 80) -> str:
    return ranges if len(ranges) <= longest else ranges[:longest].rsplit(" ", 1)[0] + " ..."
