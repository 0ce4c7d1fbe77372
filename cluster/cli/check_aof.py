"""`shoal check-aof DIR`: is this append-only file whole? `--fix` cuts off what a crash has left at its
end.

JSON: {"ok", "parts": [{"name", "bytes", "good_bytes", "commands", "error"}]}, as they were found.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cluster.cli.common import Json, Yes
from cluster.cli.output import coloured, complain, confirm, console, print_json
from node.persistence.aof.manifest import ManifestError
from node.persistence.inspection import NotThere, PartReport, cut, inspect_aof

Place = Annotated[
    Path, typer.Argument(metavar="DIR", exists=True, help="Its directory, manifest, or single file.")
]
Fix = Annotated[bool, typer.Option("--fix", help="Cut the last part behind its last whole command.")]


def check_aof(place: Place, fix: Fix = False, yes: Yes = False, json: Json = False) -> None:
    """Read all parts of an append-only file of Redis, Valkey or shoal. Exit code 1 if it is not whole.

    `--fix` cuts the last part only: damage further in front would lose what comes after it.
    """
    try:
        parts = inspect_aof(place)
    except (NotThere, ManifestError) as error:
        complain(str(error))
        raise typer.Exit(1) from None
    if json:
        print_json({"ok": not any(part.error for part in parts), "parts": [_fields(part) for part in parts]})
    else:
        for part in parts:
            _print(part)
    broken = [part for part in parts if part.error]
    if not broken:
        return
    if not fix or broken != parts[-1:]:
        raise typer.Exit(1)
    _cut(parts[-1], yes, quiet=json)


def _fields(part: PartReport) -> dict[str, object]:
    return {
        "name": part.path.name,
        "bytes": part.size,
        "good_bytes": part.good,
        "commands": part.commands,
        "error": part.error,
    }


def _print(part: PartReport) -> None:
    state = coloured("not whole" if part.error else "ok", good=not part.error)
    figures = f"{part.path.name}: {part.good} of {part.size} bytes are good, {part.commands} commands"
    console().print(state, figures + (f"; {part.error}" if part.error else ""), markup=False)


def _cut(part: PartReport, yes: bool, quiet: bool) -> None:
    lost = part.size - part.good
    if not yes:
        confirm(f"Cut {lost} bytes off {part.path.name}, which then has {part.good}?", quiet)
    cut(part)
    if not quiet:
        console().print(coloured("ok", good=True), f"{part.path.name} was cut at offset {part.good}")
