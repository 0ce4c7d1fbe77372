"""LOLWUT: a picture, and the version. What it is good for is told by its name."""

from __future__ import annotations

from random import Random
from typing import Any

from node.art.pictures import shoal, skyline, squares
from node.handlers.arguments import parse_int
from node.handlers.registry import command
from node.replies import Verbatim
from node.version import REDIS_VERSION

WIDEST = 200
MOST_ROWS = 60
MOST_SQUARES = 40
"""Of a row, and rows of them: pictures are drawn while everybody waits."""


@command("lolwut")
def lolwut(ctx: Any, args: list[bytes]) -> Verbatim:
    """LOLWUT [VERSION 5 [columns [across [down]]] | VERSION 6 [columns [rows]]]; else a picture of ours."""
    version, sizes = 0, args
    if len(args) > 1 and args[0].upper() == b"VERSION":
        version, sizes = parse_int(args[1]), args[2:]
    random = Random()
    picture = ""
    if version == 5:
        columns, across, down = _sizes(sizes, (66, WIDEST), (8, MOST_SQUARES), (12, MOST_SQUARES))
        picture = squares(random, columns, across, down)
        picture += "\nGeorg Nees - schotter, plotter on paper, 1968. "
    elif version == 6:
        columns, rows = _sizes(sizes, (80, WIDEST), (20, MOST_ROWS))
        picture = skyline(random, columns, rows)
        picture += "\nA town by night. "
    elif version == 0:
        picture = shoal(random, 72, 14) + "\n"
    return Verbatim(f"{picture}Redis ver. {REDIS_VERSION}\n")


def _sizes(args: list[bytes], *wanted: tuple[int, int]) -> list[int]:
    """The sizes given, within 1 and their limit, and the usual ones for the rest. `wanted`: (usual,
    limit)."""
    given = [parse_int(arg) for arg in args[: len(wanted)]]
    usual = [default for default, _ in wanted][len(given) :]
    return [max(1, min(size, limit)) for size, (_, limit) in zip([*given, *usual], wanted, strict=True)]
