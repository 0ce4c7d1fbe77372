"""`shoal check-rdb FILE`: is this snapshot whole, and what is in it?

JSON: {"ok", "error", "version", "bytes", "readable_bytes", "keys", "expiring", "expired", "types": {name:
number}, "aux": {name: text}, "warnings": [text]}.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cluster.cli.common import Json
from cluster.cli.output import coloured, console, print_json
from node.persistence.inspection import RdbReport, inspect_rdb

File = Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True)]


def check_rdb(file: File, json: Json = False) -> None:
    """Read an RDB file of Redis, Valkey or shoal from end to end. Exit code 1 if it is damaged."""
    report = inspect_rdb(file)
    if json:
        print_json(
            {
                "ok": not report.error,
                "error": report.error,
                "version": report.version,
                "bytes": report.size,
                "readable_bytes": report.end,
                "keys": report.keys,
                "expiring": report.expiring,
                "expired": report.expired,
                "types": dict(report.types),
                "aux": report.aux,
                "warnings": report.warnings,
            }
        )
    else:
        _print(report)
    raise typer.Exit(1 if report.error else 0)


def _print(report: RdbReport) -> None:
    out = console()
    for name, value in report.aux.items():
        out.print(f"{name} = {value}", markup=False)
    for warning in report.warnings:
        out.print(warning, markup=False)
    for kind, count in sorted(report.types.items()):
        out.print(f"{count} of type {kind}")
    out.print(f"{report.keys} keys, {report.expiring} with an expiry, {report.expired} of them expired")
    if report.error:
        out.print(coloured("damaged", good=False), report.error, markup=False)
    else:
        out.print(
            coloured("ok", good=True), f"RDB version {report.version}, {report.end} of {report.size} bytes"
        )
