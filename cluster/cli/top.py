"""`shoal top`: what all members are doing, live.

JSON, one object a line and sample: {"cluster": {"primaries", "replicas", "not_ok", "slots", "keys",
"memory_bytes", "ops_per_second"}, "nodes": [{"id", "address", "role", "primary", "state", "slots", and, of
those that answer, "version", "keys", "memory_bytes", "memory_limit_bytes", "clients", "ops_per_second",
"cpu_percent", "hit_percent", "bytes_in_per_second", "bytes_out_per_second", "evicted_per_second", "ping_ms",
"p50_us", "p99_us", "lag_bytes", "in_sync"}], "migrations": [{"from", "to", "slots", "state", "sent_bytes",
"bytes_per_second"}], "hot_slots": [{"slot", "address", "cpu_percent", "ops_per_second",
"bytes_per_second"}]}. "p50_us" and "p99_us" are what so many of the commands took at most. What cannot be
told is null.
"""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from json import dumps
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cluster.cli.common import DEFAULT_ADDRESS, Address, Json, UsageProblem, parse_address
from cluster.cli.connecting import connecting
from cluster.cli.output import as_fits, coloured, console, fitting, human_bytes, near
from cluster.operations.gauges import Gauges
from cluster.operations.link import ANONYMOUS, Credentials, OperationError, Unreachable
from cluster.readings.activity import Sample, compare
from cluster.slots import SLOT_COUNT

_TEXTS = ("address", "role", "state")
_COLUMNS = (
    *_TEXTS, "slots", "keys", "ops/s", "cpu", "memory", "clients", "hits", "in/s", "out/s", "p99", "ping",
    "lag",
)  # fmt: skip
_DISPENSABLE = ("hits", "clients", "in/s", "out/s", "ping", "keys")
"""Columns that go first where the terminal is narrow, in this order."""
_DISPENSABLE_OF_HEAD = (5, 2, 3, 1)
"""Of the line above them the same: time, memory, members, keys"""
_STALE_SECONDS = 10.0
"""So long the last table stays while nobody answers."""


class Order(StrEnum):
    address = "address"
    ops = "ops"
    cpu = "cpu"
    memory = "memory"
    keys = "keys"


_FIELDS = {
    Order.ops: "ops_per_second",
    Order.cpu: "cpu_percent",
    Order.memory: "memory_bytes",
    Order.keys: "keys",
}


@connecting
def top(
    address: Address = DEFAULT_ADDRESS,
    interval: Annotated[
        float, typer.Option("--interval", "-i", min=0.1, help="Seconds between samples.")
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Two samples, one table, and the end.")] = False,
    sort: Annotated[Order, typer.Option("--sort", help="Which nodes come first.")] = Order.address,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """Show operations, memory, keys, CPU time, latency and replication of all members, until Ctrl-C.

    p99 is what 99 of 100 commands took at most; ping has their waiting in it, too. Slots that cost most are
    shown where cluster-slot-stats-enabled lets them be counted. Columns that do not fit are left out.
    """
    with Gauges(*parse_address(address), credentials) as gauges:
        try:
            first = gauges.sample()
        except Unreachable as error:
            raise UsageProblem(str(error)) from error
        if once or not (json or sys.stdout.isatty()):  # a table that changes needs a terminal
            time.sleep(interval)
            figures = compare(first, gauges.sample())
            print(dumps(figures)) if json else console().print(_picture(figures, sort))
            return
        try:
            _watch_as_json(gauges, first, interval) if json else _watch(gauges, first, interval, sort)
        except KeyboardInterrupt:
            return


def _watch_as_json(gauges: Gauges, last: Sample, interval: float) -> None:
    while True:
        time.sleep(interval)
        sample = gauges.sample()
        print(dumps(compare(last, sample)), flush=True)
        last = sample


def _watch(gauges: Gauges, first: Sample, interval: float, sort: Order) -> None:
    last, seen = first, time.monotonic()
    with Live(
        _picture(compare(None, first), sort), console=console(), auto_refresh=False, screen=True
    ) as live:
        while True:
            time.sleep(interval)
            try:
                sample = gauges.sample()
            except OperationError as error:
                if time.monotonic() - seen > _STALE_SECONDS:
                    raise
                live.update(
                    Group(_picture(compare(None, last), sort), coloured(str(error), good=False)), refresh=True
                )
                continue
            live.update(_picture(compare(last, sample), sort), refresh=True)
            last, seen = sample, time.monotonic()


def _picture(figures: dict[str, Any], sort: Order) -> Group:
    """Each line within the width, so that the picture keeps its height."""
    width = console().width
    parts: list[Any] = [_head(figures["cluster"], width), _table(figures["nodes"], sort)]
    parts += [_migration(row, width) for row in figures["migrations"]]
    hottest = figures["hot_slots"]
    if hottest is None:
        how = Text("hottest slots: CONFIG SET cluster-slot-stats-enabled yes lets primaries count", "dim")
        parts.append(as_fits([how], (), "", width))
    elif hottest:
        found = [Text(_hot_slot(row)) for row in hottest]
        least_first = range(len(found) - 1, 0, -1)
        title = Text("hottest slots: ")
        parts.append(title + as_fits(found, least_first, ", ", width - len(title)))
    return Group(*parts)


def _head(cluster: dict[str, Any], width: int) -> Text:
    missing = SLOT_COUNT - cluster["slots"]
    parts = [
        Text(f"{cluster['ops_per_second']} ops/s", "bold"),
        Text(f"{cluster['keys']} keys"),
        Text(human_bytes(cluster["memory_bytes"])),
        Text(f"{cluster['primaries']} primaries, {cluster['replicas']} replicas"),
        coloured(f"{missing} slots not served", good=False) if missing else Text("all slots"),
        Text(time.strftime("%H:%M:%S")),
    ]
    if cluster["not_ok"]:
        parts.append(coloured(f"{cluster['not_ok']} not ok", good=False))
    return as_fits(parts, _DISPENSABLE_OF_HEAD, "   ", width)


def _migration(row: dict[str, Any], width: int) -> Text:
    way = f"from {row['from']} to {near(row['to'], row['from'])}"
    parts = [Text(f"moving {row['slots']} slots {way}: {row['state']}")]
    if row["sent_bytes"]:
        parts.append(Text(f"{human_bytes(row['sent_bytes'])} sent"))
    if row["bytes_per_second"]:
        parts.append(Text(f"{human_bytes(row['bytes_per_second'])}/s"))
    return as_fits(parts, range(1, len(parts)), ", ", width)


def _hot_slot(row: dict[str, Any]) -> str:
    moved = f" {human_bytes(row['bytes_per_second'])}/s" if row["bytes_per_second"] else ""
    used = f" {row['ops_per_second']} ops/s" if row["ops_per_second"] else ""
    return f"{row['slot']} at {row['address']} {row['cpu_percent']} %{used}{moved}"


def _table(rows: list[dict[str, Any]], sort: Order) -> Table:
    lines = [_cells(row) for row in _sorted(rows, sort)]
    table = Table(header_style="bold", box=None)
    for column in fitting(_COLUMNS, lines, _DISPENSABLE, console().width):
        numeric = column not in _TEXTS
        table.add_column(column, justify="right" if numeric else "left", no_wrap=True)
    for cells in lines:
        shown = (cells.get(str(column.header), "") for column in table.columns)
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in shown))
    return table


def _sorted(rows: list[dict[str, Any]], sort: Order) -> list[dict[str, Any]]:
    """By address: each primary followed by its replicas. Else the greatest first."""
    if sort is Order.address:
        return sorted(rows, key=lambda row: (row["primary"] or row["address"], row["role"], row["address"]))
    return sorted(rows, key=lambda row: (-(row.get(_FIELDS[sort]) or 0), row["address"]))


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    """Column -> what stands there; of those that do not answer, a few only."""
    state = "not in sync" if row["state"] == "ok" and row.get("in_sync") is False else row["state"]
    cells = {
        "address": row["address"],
        "role": "primary" if row["role"] == "primary" else f"  of {near(row['primary'], row['address'])}",
        "state": coloured(state, good=state == "ok"),
        "slots": row["slots"] or "",
    }
    if "keys" not in row:
        return cells
    memory = human_bytes(row["memory_bytes"])
    if row["memory_limit_bytes"]:
        memory += f" ({100 * row['memory_bytes'] / row['memory_limit_bytes']:.0f} %)"
    return cells | {
        "keys": row["keys"],
        "ops/s": f"{row['ops_per_second']:.0f}",
        "cpu": _shown(row["cpu_percent"], " %"),
        "memory": memory,
        "clients": row["clients"],
        "hits": _shown(row["hit_percent"], " %"),
        "in/s": _bytes(row["bytes_in_per_second"]),
        "out/s": _bytes(row["bytes_out_per_second"]),
        "p99": _shown(row["p99_us"], " µs"),
        "ping": f"{row['ping_ms']:.1f} ms",
        "lag": _bytes(row["lag_bytes"]),
    }


def _bytes(value: float | None) -> str:
    return "" if value is None else human_bytes(value)


def _shown(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.0f}{unit}"
