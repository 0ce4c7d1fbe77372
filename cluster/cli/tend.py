"""`shoal tend HOST:PORT...`: look after a cluster whose workers others start and stop, as containers are.

It runs until it is stopped, and may be stopped at any time. What `shoal up` does for its own workers it does
for those that join by themselves (`cluster-seeds`): an empty newcomer becomes a replica where one is missing,
or else a primary with its share of the slots; a dead member is forgotten when there are enough without it. It
starts no processes. Whoever had a role before, and serves nothing now, is left as an operator made it.

JSON: a line for each action, {"time": Unix seconds, "text"}.
"""

from __future__ import annotations

import json as json_format
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from cluster.cli.common import Json, parse_address
from cluster.cli.connecting import connecting
from cluster.cli.how_to_move import JournalDirectory
from cluster.cli.output import say
from cluster.operations.journals import default_directory
from cluster.operations.link import ANONYMOUS, Credentials, OperationError
from cluster.operations.tending import Tender
from cluster.plans.tending import Host, Policy


@connecting
def tend(
    addresses: Annotated[
        list[str], typer.Argument(metavar="HOST:PORT...", help="Where members may be found; names are best.")
    ],
    replicas: Annotated[int, typer.Option("--replicas", min=0, help="That each primary is to have.")] = 0,
    size: Annotated[
        int,
        typer.Option("--size", min=0, help="Members without whom a dead one is still missed. 0: always."),
    ] = 0,
    rebalance: Annotated[
        bool, typer.Option("--rebalance/--no-rebalance", help="Give slots to new primaries.")
    ] = True,
    every: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks.")] = 5.0,
    once: Annotated[bool, typer.Option("--once", help="End when nothing is due for now.")] = False,
    journal: JournalDirectory = None,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """Look after a cluster: give newcomers a role, and forget the dead when others are there in their stead.

    `shoal up` does this for its own workers.
    """
    seeds = [parse_address(text) for text in addresses]
    policy = Policy(replicas=replicas, size=size, rebalance=rebalance)
    tender = Tender(lambda: seeds, policy, credentials, journal or default_directory(), _reporter(json))
    stop = threading.Event()

    def on_signal() -> None:
        stop.set()
        tender.request_stop()

    with _signals(on_signal):
        while not stop.is_set():
            step = tender.look(Host())
            if once and tender.obstacle:
                raise OperationError(tender.obstacle)
            if once and step is None:
                break
            stop.wait(0 if step is not None else every)
    tender.close()


def _reporter(json: bool) -> Callable[[str], None]:
    def as_line(text: str) -> None:
        say(f"{time.strftime('%F %T')} {text}")

    def as_json(text: str) -> None:
        print(json_format.dumps({"time": round(time.time(), 3), "text": text}), flush=True)

    return as_json if json else as_line


@contextmanager
def _signals(on_signal: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM end it in order, for that is how it ends."""

    def handle(_number: int, _frame: Any) -> None:
        on_signal()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
