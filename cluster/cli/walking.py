"""Going through all keys, as the operator sees it: what bigkeys and hotkeys share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from cluster.cli.output import Bars
from cluster.cli.stopping import stopped_by_signals
from cluster.operations.key_walk import Examine, Source, Walk
from cluster.operations.link import OperationError

Rate = Annotated[
    int,
    typer.Option("--rate", min=0, metavar="KEYS", help="A second and node, at most; 0 for no limit."),
]
Pattern = Annotated[
    str, typer.Option("--match", metavar="PATTERN", help="Only keys that match this, as in SCAN.")
]


def walk_through(walk: Walk, examine: Callable[[Source], Examine], quiet: bool) -> bool:
    """Go through all keys, with a bar unless `quiet`. Returns whether Ctrl-C has ended it."""
    with stopped_by_signals(walk), Bars() as bars:

        def paint() -> None:
            seen, keys = (sum(getattr(each, name) for each in walk.progress) for name in ("seen", "keys"))
            nodes = f"{sum(each.done for each in walk.progress)}/{len(walk.progress)} nodes"
            bars.paint("keys", seen, max(seen, keys), f"{seen} keys, {nodes}")

        walk.run(examine, (lambda: None) if quiet else paint)
    return walk.stop_requested and not walk.is_complete


def nodes_as_json(walk: Walk) -> list[dict[str, Any]]:
    return [
        {
            "address": each.source.address,
            "role": "replica" if each.source.is_replica else "primary",
            "keys": each.keys,
            "seen": each.seen,
            "problem": each.problem.text if each.problem else None,
        }
        for each in walk.progress
    ]


def end_of(walk: Walk, interrupted: bool) -> None:
    """When what was found has been shown: raise what stood in the way of the rest."""
    if interrupted:
        raise typer.Abort
    for each in walk.progress:
        if each.problem is not None:
            raise OperationError(f"not all keys were seen: {each.problem.text}", each.problem.next_step)
