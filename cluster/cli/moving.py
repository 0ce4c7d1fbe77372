"""Showing, confirming and watching moves of slots: what reshard, rebalance, fix and migrations share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from cluster.cli.how_to_move import How
from cluster.cli.output import (
    Bars,
    confirm,
    console,
    counted,
    human_bytes,
    print_json,
    print_table,
    progress_bar,
    say,
)
from cluster.cli.stopping import stopped_by_signals
from cluster.migration.classic import MoveOptions, SlotMover
from cluster.migration.classic import Progress as MoveProgress
from cluster.operations.drafting import make_plan
from cluster.operations.journals import Journal, default_directory
from cluster.operations.link import Interrupted, OperationError
from cluster.operations.moving import Motion, Runner
from cluster.operations.survey import Survey
from cluster.plans.model import Move, NodeInfo
from cluster.slots import format_ranges, from_iterable


def carry_out_moves(
    survey: Survey, title: str, moves: Sequence[Move], how: How, reasons: Mapping[str, Any] | None = None
) -> None:
    """Show the plan; unless it is a dry run, ask, write its journal, move, and report. `reasons` go into the
    JSON, too."""
    nodes = survey.nodes
    shown = dict(reasons or {})
    if how.json and how.dry_run:
        print_json(shown | {"moves": moves_as_json(moves, nodes)})
        return
    if not how.json:
        print_moves(moves, nodes)
    if how.dry_run or not moves:
        if how.json:
            print_json(shown | {"moves": [], "moved": {"slots": 0, "keys": 0, "seconds": 0.0}})
        return
    if not how.yes:
        confirm("Move these slots?", how.json)
    moved, plan = move_by_plan(survey, title, moves, how)
    if how.json:
        print_json(shown | {"moves": moves_as_json(moves, nodes), "plan": plan, "moved": moved})


def move_by_plan(survey: Survey, title: str, moves: Sequence[Move], how: How) -> tuple[dict[str, Any], str]:
    """Carry out `moves`, which have been confirmed, for the subcommand `title`. Returns what has been moved,
    as JSON has it, and the name of the plan."""
    plan = make_plan(survey, title, moves, how.options)
    with Journal.create(how.journal or default_directory(), plan) as journal:
        return run_plan(survey, journal, how.json), plan.id


def run_plan(survey: Survey, journal: Journal, quiet: bool) -> dict[str, Any]:
    """Carry it out to its end, tell of it unless `quiet`, and return what has been moved, as JSON has it."""
    if not journal.lock():
        raise OperationError(
            f"plan {journal.plan.id} is being carried out elsewhere", "`shoal migrations pause` stops that"
        )
    journal.reread()
    if not quiet:
        say(f"plan {journal.plan.id}, kept in {journal.path}")
    started = time.monotonic()
    with _watched_runner(survey, journal, quiet) as runner:
        motion = runner.run()
    seconds = time.monotonic() - started
    if not quiet:
        rate = motion.keys / seconds if seconds else 0
        say(f"moved {motion.slots} slots with {motion.keys} keys in {seconds:.1f} s ({rate:.0f} keys/s)")
    return {"slots": motion.slots, "keys": motion.keys, "seconds": round(seconds, 3)}


@contextmanager
def _watched_runner(survey: Survey, journal: Journal, quiet: bool) -> Iterator[Runner]:
    """With a bar; the first SIGINT or SIGTERM lets it finish what is under way."""
    resume = f"`shoal migrations resume {journal.plan.id}`"
    advice = f"what is under way goes on by itself, and {resume} with the rest"
    with _interrupted_as(Interrupted("interrupted", advice)):
        if quiet:
            runner = Runner(survey, journal)
            with stopped_by_signals(runner):
                yield runner
            return
        with progress_bar() as bar:
            runner = Runner(survey, journal, _motion_painter(bar))
            with stopped_by_signals(runner):
                yield runner


@contextmanager
def watched_mover(survey: Survey, options: MoveOptions, quiet: bool = False) -> Iterator[SlotMover]:
    """A mover, key by key, between the cluster's primaries, with a progress bar; SIGINT and SIGTERM stop it
    between slots."""
    links = {node.id: survey.link(node.id) for node in survey.primaries}
    problem = Interrupted("interrupted in the middle of a slot", "`shoal fix` finishes it")
    with _interrupted_as(problem):
        if quiet:
            mover = SlotMover(links, options)
            with stopped_by_signals(mover):
                yield mover
            return
        with Bars() as bars:
            mover = SlotMover(links, options, _painter(bars))
            with stopped_by_signals(mover):
                yield mover


@contextmanager
def _interrupted_as(problem: OperationError) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        raise problem from error


def _motion_painter(bar: Any) -> Callable[[Motion], None]:
    """Progress is measured in keys and slots together: an empty slot takes time, too."""
    task = bar.add_task("moving", total=None, figures="")
    started, first = time.monotonic(), {"keys": -1}

    def paint(motion: Motion) -> None:
        if first["keys"] < 0:
            first["keys"] = motion.keys
        seconds = max(time.monotonic() - started, 0.001)
        rate = (motion.keys - first["keys"]) / seconds
        figures = f"{motion.slots}/{motion.total_slots} slots, {motion.keys} keys, {rate:.0f} keys/s"
        bar.update(
            task,
            total=motion.total_slots + max(motion.total_keys, motion.keys),
            completed=motion.slots + motion.keys,
            figures=f"{figures}, {human_bytes(motion.bytes / seconds)}/s",
        )

    return paint


def _painter(bars: Bars) -> Callable[[MoveProgress], None]:
    started = time.monotonic()

    def paint(progress: MoveProgress) -> None:
        if not progress.total_slots:
            return  # a repair that moves nothing
        rate = progress.keys / max(time.monotonic() - started, 0.001)
        bars.paint(
            "moving",
            progress.slots + progress.keys,
            progress.total_slots + max(progress.total_keys, progress.keys),
            f"{progress.slots}/{progress.total_slots} slots, {progress.keys} keys, {rate:.0f} keys/s",
        )

    return paint


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
    console().print(f"{counted(len(moves), 'slot')} to move", markup=False)


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
