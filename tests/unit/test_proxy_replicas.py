"""Which replicas the proxy may read, and which it chooses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from node.commands import TABLE, find
from proxy.config import ProxyConfig
from proxy.core.routes import RouteTable, SlotMap
from proxy.requests.routing import may_read_replica, raw_routes
from proxy.workers.replica_reads import ReplicaReads, Seen

PRIMARY, NEAR, FAR = ("p", 1), ("near", 1), ("far", 1)


def primary(offset: int = 1000) -> Seen:
    return Seen({"role": "master", "master_replid": "id", "master_repl_offset": str(offset)}, 0.001)


def replica(offset: int = 1000, answer_time: float = 0.001, **fields: str) -> Seen:
    usual = {
        "role": "slave", "master_replid": "id", "slave_repl_offset": str(offset), "master_link_status": "up",
        "master_last_io_seconds_ago": "3", "master_sync_in_progress": "0",
    }  # fmt: skip
    return Seen({**usual, **fields}, answer_time)


def reads(**options: Any) -> ReplicaReads:
    config = ProxyConfig([], max_lag_bytes=100, max_lag_seconds=10, **options)
    topology: Any = SimpleNamespace()
    made = ReplicaReads(None, None, topology, config)  # type: ignore[arg-type]
    made.seen = {PRIMARY: primary(), NEAR: replica(), FAR: replica()}
    return made


@pytest.mark.parametrize(
    "seen, may",
    [
        (replica(), True),
        (replica(900), True),
        (replica(899), False),
        (replica(1100), True),  # it was asked later than its primary
        (replica(master_replid="other"), False),
        (replica(master_last_io_seconds_ago="11"), False),
        (replica(master_link_status="down", master_link_down_since_seconds="5"), True),
        (replica(master_link_status="down", master_link_down_since_seconds="11"), False),
        (replica(master_link_status="down", master_link_down_since_seconds="-1"), False),
        (replica(master_link_status="down"), False),
        (replica(master_sync_in_progress="1"), False),
        (replica(role="master"), False),
        (Seen(), False),
    ],
)
def test_who_may_be_read(seen: Seen, may: bool) -> None:
    watcher = reads(read_from="prefer-replica")
    watcher.seen[NEAR] = seen
    assert watcher.may_be_read(PRIMARY, NEAR) is may
    assert watcher._choice(PRIMARY, [NEAR, FAR]) == ((FAR, NEAR) if may else (FAR,))


def test_a_dead_primary_does_not_condemn_its_replicas() -> None:
    watcher = reads(read_from="prefer-replica")
    watcher.seen[PRIMARY] = Seen()
    assert watcher._choice(PRIMARY, [NEAR]) == (NEAR,)


def test_the_nearest_is_left_only_for_one_that_is_clearly_nearer() -> None:
    watcher = reads(read_from="nearest")

    def choice(at_primary: float, near: float, far: float) -> tuple[Any, ...]:
        for address, seconds in ((PRIMARY, at_primary), (NEAR, near), (FAR, far)):
            watcher.seen[address].answer_time = seconds
        return watcher._choice(PRIMARY, [NEAR, FAR])

    assert choice(0.001, 0.001, 0.002) == ()
    assert choice(0.001, 0.0008, 0.002) == ()
    assert choice(0.001, 0.0004, 0.002) == (NEAR,)
    assert choice(0.0003, 0.0004, 0.002) == (NEAR,)
    assert choice(0.0002, 0.0006, 0.002) == ()
    watcher.seen[NEAR], watcher.seen[FAR] = Seen(), Seen()
    assert choice(1, 0, 0) == ()


def test_same_zone() -> None:
    watcher = reads(read_from="same-zone", zone="a")
    watcher.seen[NEAR] = replica(availability_zone="a")
    watcher.seen[FAR] = replica(availability_zone="b")
    assert watcher._choice(PRIMARY, [NEAR, FAR]) == (NEAR,)
    assert watcher._choice(PRIMARY, [FAR]) == ()


def test_commands_that_replicas_answer() -> None:
    read = "get a|mget a b|hgetall a|zrange a 0 1|exists a|pttl a|sunion a b|dump a|pfcount a|bitfield_ro a"
    not_read = (
        "set a b|hscan a 0|eval_ro x 1 a|xread streams a 0|object freq a|memory usage a|touch a|randomkey|"
        "dbsize|scan 0|fcall_ro f 1 a|spublish a b|subscribe a"
    )
    for text in read.split("|"):
        assert (row := find([word.encode() for word in text.split()])) and may_read_replica(row), text
    for text in not_read.split("|"):
        assert (row := find([word.encode() for word in text.split()])) and not may_read_replica(row), text
    RouteTable(raw_routes(), None, {row.name for row in TABLE.values() if may_read_replica(row)})


def test_a_table_of_readers_must_fit() -> None:
    slots = SlotMap()
    with pytest.raises(ValueError, match="number for each slot"):
        slots.read_from([], [], b"12")
    with pytest.raises(ValueError, match="without readers"):
        slots.read_from([()], [()], b"\2\0" * 16384)
    slots.read_from([()], [()], b"\1\0" * 16384)
    assert slots.find_reader(5, 2, 1) is None
