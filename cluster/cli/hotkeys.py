"""`shoal hotkeys`: which keys of the whole cluster are used most.

JSON: {"by": "cpu" | "bytes" | "frequency", "seconds", "complete": bool, "keys": [{"key", "slot", "address",
"role" and, by cpu or bytes, "cpu_percent", "share_percent", "bytes_per_second", or, by frequency,
"frequency"}]}. "seconds" is how long was watched, and null by frequency; "share_percent" is of the time of
all commands with keys on that node. A figure is null of a key that was not among the first by it.
"""

from __future__ import annotations

import time
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import typer

from cluster.cli.common import DEFAULT_ADDRESS, Json, Seed, UsageProblem, open_sources
from cluster.cli.connecting import connecting
from cluster.cli.output import Bars, human_bytes, key_text, print_json, print_table, say, shortened
from cluster.cli.stopping import Wish, stopped_by_signals
from cluster.cli.walking import Pattern, Rate, end_of, walk_through
from cluster.operations.hot_keys import (
    POLICY_ADVICE,
    Frequencies,
    HotKey,
    Watch,
    all_can,
    counts_accesses,
    has_hotkeys,
)
from cluster.operations.key_walk import Source, Walk, Which
from cluster.operations.link import ANONYMOUS, Credentials, OperationError
from node.core.key_slot import key_slot

LOOK_SECONDS = 0.1


class Measure(StrEnum):
    cpu = "cpu"
    bytes = "bytes"
    frequency = "frequency"


@connecting
def hotkeys(
    address: Seed = DEFAULT_ADDRESS,
    by: Annotated[
        Measure | None,
        typer.Option(
            "--by",
            help="Processor time or bytes of the commands of some seconds, or accesses as an LFU policy"
            " counts them. Default: cpu, or frequency where there is no HOTKEYS.",
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", "-n", min=1, help="How many keys to show.")] = 10,
    seconds: Annotated[
        float, typer.Option("--seconds", "-s", min=0.1, help="By cpu or bytes: how long to watch.")
    ] = 10.0,
    sample: Annotated[
        int,
        typer.Option("--sample", min=1, metavar="N", help="By cpu or bytes: look at one of N commands."),
    ] = 10,
    match: Pattern = "",
    rate: Rate = 10_000,
    replicas: Annotated[
        bool, typer.Option("--replicas", help="Also on replicas, which clients may read from.")
    ] = False,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """Find the keys that are used most, on all primaries at once.

    Shoal workers and Redis 8.6 watch their traffic for a while (HOTKEYS). By frequency, all keys are gone
    through, at --rate, and only those that --match. Ctrl-C shows what was found so far.
    """
    sources = open_sources(address, credentials, Which.ALL if replicas else Which.PRIMARIES)
    by = by or _what_is_known(sources, credentials)
    if by is Measure.frequency:
        _by_frequency(Walk(sources, credentials, rate, pattern=match), top, json)
    elif match:
        raise UsageProblem("--match goes with --by frequency: HOTKEYS watches all keys")
    else:
        _by_traffic(Watch(sources, credentials, sample), by, top, seconds, json)


def _what_is_known(sources: list[Source], credentials: Credentials) -> Measure:
    without = all_can(sources, credentials, has_hotkeys)
    if without is None:
        return Measure.cpu
    uncounted = all_can(sources, credentials, counts_accesses)
    if uncounted is None:
        return Measure.frequency
    raise OperationError(
        f"{without} has no HOTKEYS, and there is no LFU policy at {uncounted}", POLICY_ADVICE
    )


# --- by traffic


def _by_traffic(watch: Watch, by: Measure, top: int, seconds: float, json: bool) -> None:
    stop = Wish()
    with stopped_by_signals(stop), watch.watching(seconds):
        watched = _wait(seconds, stop, quiet=json)
        found, problems = watch.found()
    found.sort(key=lambda row: -_weight(row, by))
    rows = [_traffic_row(row) for row in found[:top]]
    if json:
        complete = not problems and not stop.requested
        print_json({"by": by.value, "seconds": round(watched, 3), "complete": complete, "keys": rows})
    elif not rows:
        say(f"no key was used within {watched:.1f} s")
    else:
        _print_traffic(rows)
    if stop.requested:
        raise typer.Abort
    for problem in problems.values():
        raise OperationError(f"not all nodes have told: {problem.text}", problem.next_step)


def _wait(seconds: float, stop: Wish, quiet: bool) -> float:
    """How long it was."""
    began = time.monotonic()
    with Bars() as bars:
        while (passed := time.monotonic() - began) < seconds:
            if stop.requested:
                return passed
            if not quiet:
                bars.paint("watching", round(passed * 10), round(seconds * 10), "")
            time.sleep(min(LOOK_SECONDS, seconds - passed))
        if not quiet:
            bars.paint("watching", 1, 1, "")
    return seconds


def _weight(row: HotKey, by: Measure) -> float:
    return (row.cpu_percent if by is Measure.cpu else row.bytes_per_second) or 0.0


def _traffic_row(row: HotKey) -> dict[str, Any]:
    return {
        **_place(row.key, row.source),
        "cpu_percent": None if row.cpu_percent is None else round(row.cpu_percent, 3),
        "share_percent": None if row.share_percent is None else round(row.share_percent, 2),
        "bytes_per_second": None if row.bytes_per_second is None else round(row.bytes_per_second),
    }


def _print_traffic(rows: list[dict[str, Any]]) -> None:
    def percent(value: float | None, digits: int) -> str:
        return "" if value is None else f"{value:.{digits}f} %"

    print_table(
        "",
        ["cpu", "of node", "bytes/s", "slot", "node", "role", "key"],
        [
            [
                percent(row["cpu_percent"], 2),
                percent(row["share_percent"], 1),
                "" if row["bytes_per_second"] is None else human_bytes(row["bytes_per_second"]),
                *(row[name] for name in ("slot", "address", "role")),
                shortened(row["key"]),
            ]
            for row in rows
        ],
        numeric=["cpu", "of node", "bytes/s", "slot"],
        dispensable=["role", "slot"],
        elastic="key",
    )


# --- by frequency


def _by_frequency(walk: Walk, top: int, json: bool) -> None:
    tallies = {each.source: Frequencies(top) for each in walk.progress}
    interrupted = walk_through(walk, lambda source: partial(tallies[source].examine, source), quiet=json)
    found = Frequencies(top).join(tallies.values()).top.rows()
    rows = [{**_place(key, source), "frequency": frequency} for frequency, key, source in found]
    if json:
        print_json({"by": "frequency", "seconds": None, "complete": walk.is_complete, "keys": rows})
    elif rows:
        print_table(
            "",
            ["frequency", "slot", "node", "role", "key"],
            [
                [*(row[name] for name in ("frequency", "slot", "address", "role")), shortened(row["key"])]
                for row in rows
            ],
            numeric=["frequency", "slot"],
            dispensable=["role", "slot"],
            elastic="key",
        )
    end_of(walk, interrupted)


def _place(key: bytes, source: Source) -> dict[str, Any]:
    return {
        "key": key_text(key),
        "slot": key_slot(key),
        "address": source.address,
        "role": "replica" if source.is_replica else "primary",
    }
