"""The options that say how slots are moved, for every subcommand that moves some.

@moving
def reshard(address: Address, how: How = AS_USUAL) -> None: ...
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from cluster.cli.common import DryRun, Json, UsageProblem, Yes
from cluster.cli.gathered import gathered
from cluster.plans.journal import Options

Classic = Annotated[
    bool, typer.Option("--classic", help="Move key by key, also between nodes that move whole slots at once.")
]
Pipeline = Annotated[int, typer.Option("--pipeline", min=1, help="Keys handed over in one MIGRATE.")]
MigrateTimeout = Annotated[
    float, typer.Option("--timeout", min=0.1, help="Seconds a node may take to hand over one batch of keys.")
]
Replace = Annotated[
    bool,
    typer.Option("--replace", help="Overwrite keys the target already has, left by an interrupted move."),
]
Bandwidth = Annotated[
    str,
    typer.Option("--bandwidth", metavar="BYTES", help="A second, at most: 500kb, 10mb. Default: no limit."),
]
MaxP99 = Annotated[
    float,
    typer.Option(
        "--max-p99",
        min=0,
        metavar="MS",
        help="Slow down while 1 of 100 requests to the two nodes takes longer.",
    ),
]
AtOnce = Annotated[
    int,
    typer.Option(
        "--at-once", min=1, metavar="N", help="Moves between different nodes that go on side by side."
    ),
]
JournalDirectory = Annotated[
    Path | None,
    typer.Option(
        "--journal", metavar="DIR", envvar="SHOAL_JOURNAL",
        help="Where plans are kept, so that they can be paused and gone on with.",
    ),
]  # fmt: skip


@dataclass(frozen=True)
class How:
    """How the operator wants slots moved, and the plan treated."""

    options: Options = field(default_factory=Options)
    dry_run: bool = False
    yes: bool = False
    json: bool = False
    journal: Path | None = None


AS_USUAL = How()


def parse_bytes(text: str) -> int:
    """`500kb`, `10mb`, `1048576`: as in redis.conf, where kb is 1024 and k is 1000."""
    digits = text.lower().rstrip("bgkm")
    unit = text.lower()[len(digits) :]
    factors = {"": 1, "b": 1, "k": 1000, "kb": 1024, "m": 10**6, "mb": 1 << 20, "g": 10**9, "gb": 1 << 30}
    if unit not in factors or not digits.isdecimal():
        raise UsageProblem(f"{text!r} is not a number of bytes like 10mb")
    return int(digits) * factors[unit]


def _how(
    dry_run: DryRun = False,
    yes: Yes = False,
    pipeline: Pipeline = 100,
    timeout: MigrateTimeout = 60.0,
    replace: Replace = False,
    classic: Classic = False,
    bandwidth: Bandwidth = "0",
    max_p99: MaxP99 = 0.0,
    at_once: AtOnce = 4,
    journal: JournalDirectory = None,
    json: Json = False,
) -> How:
    options = Options(classic, pipeline, timeout, replace, parse_bytes(bandwidth), max_p99, at_once)
    return How(options, dry_run, yes, json, journal)


moving = gathered("how", _how)
"""Replace the parameter `how` of a subcommand by options."""
