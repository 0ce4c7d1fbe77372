"""A link that is cut for a while costs what was written meanwhile, and not all data again.

The network is cut, not the processes: for half a second by default, for five with SHOAL_FULL=1.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.chaos.scale import FULL
from tests.harness.cutter import Cutter
from tests.harness.servers import Server, server
from tests.harness.wait import eventually
from tests.integration.datasets import fill_strings
from tests.integration.test_replication import PAIRS, wait_settled

CUT_SECONDS = 5.0 if FULL else 0.5
DATASET = 50_000
"""Strings of 64 bytes: far more than is written during a cut."""
LOST_ON_THE_WAY = 64 * 1024
"""Bytes that had left before the cut was noticed, and are sent again; and what is said to go on."""


@contextmanager
def steady_writes(primary: Server) -> Iterator[None]:
    """About a thousand small writes a second."""
    stop = threading.Event()

    def write() -> None:
        with primary.resp() as client:
            while not stop.wait(0.01):
                client.pipeline(*((("INCR", "counter"),) * 10))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def sent_and_written(primary: Server) -> tuple[int, int]:
    """Bytes that went to replicas, and that the stream is long."""
    return primary.info("stats")["total_net_repl_output_bytes"], offset(primary)


def offset(node: Server) -> int:
    return int(node.info("replication")["master_repl_offset"])


CASES = (
    [(*pair, rule) for pair in PAIRS for rule in ("cut", "silence")]
    if FULL
    else [("shoal", "shoal", "cut"), ("shoal", "valkey", "cut"), ("valkey", "shoal", "silence")]
)


@pytest.mark.parametrize(("primary_kind", "replica_kind", "rule"), CASES)
def test_only_the_gap_is_sent(primary_kind: str, replica_kind: str, rule: str) -> None:
    with Cutter() as cutter, server(primary_kind) as primary, server(replica_kind) as replica:
        cutter.place(primary)
        source = cutter.place(replica)["bind-source-addr"]
        assert isinstance(source, str)
        cutter.open()
        fill_strings(primary, DATASET)
        replica.run("CONFIG", "SET", "bind-source-addr", source)
        replica.run("REPLICAOF", cutter.host_of(primary), primary.port)
        wait_settled(primary, replica)
        with steady_writes(primary):
            sent, written = sent_and_written(primary)
            cutter.set([(1, 2), (2, 1)], rule)
            until = time.monotonic() + CUT_SECONDS
            eventually(lambda: time.monotonic() > until, "the end of the cut")
            during = offset(primary)
            cutter.heal()
            eventually(lambda: offset(replica) >= during, "the gap is closed")
        wait_settled(primary, replica)
        sent_at_last, written_at_last = sent_and_written(primary)
        stats = primary.info("stats")
        assert written_at_last - written > 1000 * CUT_SECONDS
        assert sent_at_last - sent <= written_at_last - written + LOST_ON_THE_WAY
        assert (stats["sync_full"], stats["sync_partial_ok"]) == (1, 1 if rule == "cut" else 0)
        assert replica.run("GET", "counter") == primary.run("GET", "counter")
