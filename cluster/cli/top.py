"""`shoal top`: what all members are doing, live.

JSON, one object a line and sample: {"cluster": {"primaries", "replicas", "not_ok", "slots", "keys",
"memory_bytes", "ops_per_second"}, "nodes": [{"id", "address", "role", "primary", "state", "slots", and, of
those that answer, "version", "keys", "memory_bytes", "memory_limit_bytes", "clients", "ops_per_second",
"cpu_percent", "hit_percent", "bytes_in_per_second", "bytes_out_per_second", "evicted_per_second", "ping_ms",
"lag_bytes", "in_sync"}], "migrations": [{"from", "to", "slots", "state", "sent_bytes"}], "hot_slots":
[{"slot", "address", "cpu_percent"}]}. What cannot be told is null.
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
from cluster.cli.output import coloured, console, human_bytes
from cluster.operations.gauges import Gauges, Sample, compare
from cluster.operations.link import ANONYMOUS, Credentials, OperationError, Unreachable

_NUMERIC = ["slots", "keys", "ops/s", "cpu", "memory", "clients", "hits", "in/s", "out/s", "ping", "lag"]
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
    """Show operations, memory, keys, CPU time and replication of all members, until Ctrl-C.

    Slots that cost most are shown where cluster-slot-stats-enabled lets them be counted.
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
    cluster = figures["cluster"]
    head = Text.assemble(
        (f"{cluster['ops_per_second']} ops/s", "bold"),
        f"   {cluster['keys']} keys   {human_bytes(cluster['memory_bytes'])}"
        f"   {cluster['primaries']} primaries, {cluster['replicas']} replicas"
        f"   {cluster['slots']} slots   {time.strftime('%H:%M:%S')}",
    )
    parts: list[Any] = [head, _table(figures["nodes"], sort)]
    for row in figures["migrations"]:
        sent = f", {human_bytes(row['sent_bytes'])} sent" if row["sent_bytes"] else ""
        parts.append(
            Text(f"moving {row['slots']} slots from {row['from']} to {row['to']}: {row['state']}{sent}")
        )
    if figures["hot_slots"]:
        hot = (f"{row['slot']} at {row['address']} {row['cpu_percent']} %" for row in figures["hot_slots"])
        parts.append(Text(f"costliest slots: {', '.join(hot)}"))
    return Group(*parts)


def _table(rows: list[dict[str, Any]], sort: Order) -> Table:
    table = Table(header_style="bold", box=None)
    for column in ["address", "role", "state", *_NUMERIC]:
        table.add_column(column, justify="right" if column in _NUMERIC else "left", no_wrap=True)
    for row in _sorted(rows, sort):
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in _cells(row)))
    return table


def _sorted(rows: list[dict[str, Any]], sort: Order) -> list[dict[str, Any]]:
    """By address: each primary followed by its replicas. Else the greatest first."""
    if sort is Order.address:
        return sorted(rows, key=lambda row: (row["primary"] or row["address"], row["role"], row["address"]))
    return sorted(rows, key=lambda row: (-(row.get(_FIELDS[sort]) or 0), row["address"]))


def _cells(row: dict[str, Any]) -> list[Any]:
    state = "not in sync" if row["state"] == "ok" and row.get("in_sync") is False else row["state"]
    role = "primary" if row["role"] == "primary" else f"  of {row['primary']}"
    cells = [row["address"], role, coloured(state, good=state == "ok"), row["slots"] or ""]
    if "keys" not in row:
        return cells + [""] * (len(_NUMERIC) - 1)
    memory = human_bytes(row["memory_bytes"])
    if row["memory_limit_bytes"]:
        memory += f" ({100 * row['memory_bytes'] / row['memory_limit_bytes']:.0f} %)"
    return [
        *cells,
        row["keys"],
        f"{row['ops_per_second']:.0f}",
        _shown(row["cpu_percent"], " %"),
        memory,
        row["clients"],
        _shown(row["hit_percent"], " %"),
        "" if row["bytes_in_per_second"] is None else human_bytes(row["bytes_in_per_second"]),
        "" if row["bytes_out_per_second"] is None else human_bytes(row["bytes_out_per_second"]),
        f"{row['ping_ms']:.1f} ms",
        "" if row["lag_bytes"] is None else human_bytes(row["lag_bytes"]),
    ]


def _shown(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.0f}{unit}"
