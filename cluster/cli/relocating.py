"""Moving slots as a part of something greater: add-node, del-node."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from cluster.cli.moving import watched_mover
from cluster.migration.classic import MoveOptions
from cluster.operations.link import Credentials
from cluster.operations.survey import Survey
from cluster.plans.model import Move


def move_and_count(
    survey: Survey, moves: Sequence[Move], credentials: Credentials, quiet: bool
) -> dict[str, Any]:
    """Carry out `moves`, which have been confirmed. Returns what has been moved, as JSON has it."""
    started = time.monotonic()
    with watched_mover(survey, MoveOptions(credentials=credentials), quiet) as mover:
        done = mover.run(moves)
    return {"slots": done.slots, "keys": done.keys, "seconds": round(time.monotonic() - started, 3)}
