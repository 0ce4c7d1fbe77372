"""`shoal bigkeys`: which keys of the whole cluster take most, of each type and of all.

JSON: {"complete": bool, "nodes": [{"address", "role", "keys", "seen", "problem"}], "types": {type: {"keys",
"memory_bytes", "length", "biggest": row}}, "biggest": [row]}, each row {"key", "type", "memory_bytes",
"length", "slot", "address", "database"}. "length" is bytes of strings, and the number of what is in other
types; null of modules' types.
"""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import typer

from cluster.cli.common import DEFAULT_ADDRESS, Json, Seed, open_sources
from cluster.cli.connecting import connecting
from cluster.cli.output import human_bytes, key_text, print_json, print_table, say, shortened
from cluster.cli.walking import Pattern, Rate, end_of, nodes_as_json, walk_through
from cluster.operations.big_keys import LENGTHS, BigKey, Tally
from cluster.operations.key_walk import Walk, Which
from cluster.operations.link import ANONYMOUS, Credentials
from node.core.key_slot import key_slot


class Measure(StrEnum):
    memory = "memory"
    length = "length"


@connecting
def bigkeys(
    address: Seed = DEFAULT_ADDRESS,
    top: Annotated[int, typer.Option("--top", "-n", min=1, help="How many keys to show.")] = 10,
    by: Annotated[
        Measure, typer.Option("--by", help="Memory, or the length of strings and number of elements.")
    ] = Measure.memory,
    samples: Annotated[
        int,
        typer.Option("--samples", min=0, help="Elements that are looked at for a key's memory; 0 for all."),
    ] = 5,
    kind: Annotated[str, typer.Option("--type", metavar="TYPE", help="Only keys of this type.")] = "",
    match: Pattern = "",
    rate: Rate = 10_000,
    replicas: Annotated[
        bool, typer.Option("--replicas", help="Ask replicas, where one is in sync, not primaries.")
    ] = False,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """Find the biggest keys, in all primaries at once, while clients use them.

    Ctrl-C shows those found so far.
    """
    sources = open_sources(address, credentials, Which.REPLICAS if replicas else Which.PRIMARIES)
    tallies = {source: Tally(top, by is Measure.length, samples) for source in sources}
    walk = Walk(sources, credentials, rate, pattern=match, kind=kind)
    interrupted = walk_through(walk, lambda source: partial(tallies[source].examine, source), quiet=json)
    total = Tally(top, by is Measure.length).join(tallies.values())
    if json:
        print_json(_as_json(walk, total))
    elif not total.types:
        say("no keys")
    else:
        _print(total)
    end_of(walk, interrupted)


def _as_json(walk: Walk, total: Tally) -> dict[str, Any]:
    types = {
        name: {
            "keys": each.keys,
            "memory_bytes": each.memory,
            "length": each.length if name in LENGTHS else None,
            "biggest": _row(each.biggest.rows()[0]),
        }
        for name, each in sorted(total.types.items())
    }
    biggest = [_row(key) for key in total.biggest.rows()]
    return {
        "complete": walk.is_complete,
        "nodes": nodes_as_json(walk),
        "types": types,
        "biggest": biggest,
    }


def _row(key: BigKey) -> dict[str, Any]:
    return {
        "key": key_text(key.key),
        "type": key.type,
        "memory_bytes": key.memory,
        "length": key.length,
        "slot": key_slot(key.key),
        "address": key.source.address,
        "database": key.database,
    }


def _print(total: Tally) -> None:
    keys = sum(each.keys for each in total.types.values())
    print_table(
        "",
        ["type", "keys", "of all", "memory", "memory/key", "length", "length/key", "takes", "biggest"],
        [
            [
                name,
                each.keys,
                f"{100 * each.keys / keys:.1f} %",
                human_bytes(each.memory),
                human_bytes(each.memory / each.keys),
                _length(name, each.length),
                f"{each.length / each.keys:.1f}" if name in LENGTHS else "",
                f"{human_bytes(biggest.memory)}, {_length(name, biggest.length)}".rstrip(", "),
                shortened(key_text(biggest.key)),
            ]
            for name, each in sorted(total.types.items(), key=lambda found: -found[1].memory)
            for biggest in each.biggest.rows()
        ],
        numeric=["keys", "of all", "memory", "memory/key", "length", "length/key"],
        dispensable=["length/key", "of all", "memory/key", "length"],
        elastic="biggest",
    )
    say("")
    rows = total.biggest.rows()
    several = any(key.database for key in rows)
    print_table(
        "the biggest",
        ["memory", "length", "type", "slot", "node", *(["database"] if several else []), "key"],
        [
            [
                human_bytes(key.memory),
                _length(key.type, key.length),
                key.type,
                key_slot(key.key),
                key.source.address,
                *([key.database] if several else []),
                shortened(key_text(key.key)),
            ]
            for key in rows
        ],
        numeric=["memory", "length", "slot", "database"],
        dispensable=["slot", "length"],
        elastic="key",
    )


def _length(name: str, length: int | None) -> str:
    return f"{length} {LENGTHS[name][1]}" if length is not None and name in LENGTHS else ""
