"""`shoal backup DIR`: the data of a whole cluster, or of one server, into files.

JSON: the manifest (cluster/backup/manifest.py): {"format", "clustered", "started_at", "finished_at", "keys",
"digest", "files": [{"name", "bytes", "sha256", "node", "address", "server", "rdb_version", "slots", "epoch",
"keys": {database: number}, "expiring", "functions", "digest"}]}.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cluster.backup.manifest import Manifest, as_json
from cluster.backup.taking import Taker
from cluster.cli.common import DEFAULT_ADDRESS, Json, Seed, go_through_keys, open_layout
from cluster.cli.connecting import connecting
from cluster.cli.output import Bars, complain, human_bytes, print_json, print_table, say
from cluster.operations.link import ANONYMOUS, Credentials

Directory = Annotated[Path, typer.Argument(metavar="DIR", file_okay=False, help="Where the backup goes.")]
Parallel = Annotated[
    int, typer.Option("--parallel", "-p", min=1, help="Primaries that send at the same time.")
]


@connecting
def backup(
    directory: Directory,
    address: Seed = DEFAULT_ADDRESS,
    parallel: Parallel = 4,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """Take a snapshot of every primary over the network, and a manifest of them all.

    Works with shoal, Redis and Valkey, while clients go on. Each primary's snapshot is of a moment of its
    own. The directory must be empty, or not there yet.
    """
    go_through_keys()
    access, layout = open_layout(address, credentials)
    started = time.monotonic()
    with _painting(quiet=json) as paint:
        taker = Taker(directory, access, layout, parallel, paint)
        manifest = taker.take()
    seconds = time.monotonic() - started
    for warning in taker.warnings:
        complain(warning)
    if json:
        print_json(as_json(manifest))
    else:
        _print(manifest, directory, seconds)


@contextmanager
def _painting(quiet: bool) -> Iterator[Callable[[int, int, int], None]]:
    if quiet:
        yield lambda keys, expected, size: None
        return
    with Bars() as bars:
        started = time.monotonic()

        def paint(keys: int, expected: int, size: int) -> None:
            rate = keys / max(time.monotonic() - started, 0.001)
            figures = f"{keys} keys, {human_bytes(size)}, {rate:.0f} keys/s"
            bars.paint("taking", keys, max(expected, keys), figures)

        yield paint


def _print(manifest: Manifest, directory: Path, seconds: float) -> None:
    rows = [
        [file.address, file.server, file.slots, file.total, human_bytes(file.bytes), file.name]
        for file in manifest.files
    ]
    columns = ["primary", "version", "slots", "keys", "size", "file"]
    print_table("", columns, rows, numeric=["keys", "size"])
    rate = manifest.keys / seconds if seconds else 0
    say(f"{manifest.keys} keys are in {directory}, taken in {seconds:.1f} s ({rate:.0f} keys/s)")
