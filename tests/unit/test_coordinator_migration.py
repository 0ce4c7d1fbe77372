"""When a spare replica moves to an orphaned primary: replica 1 of c has a sister, d has lost its only one."""

from __future__ import annotations

from typing import Any

from cluster.coordinator import effects as fx
from cluster.coordinator.messages import Fail, Ping
from cluster.coordinator.replica_migration import MIGRATION_DELAY
from tests.unit.coordinator_rig import Peer, Rig

OTHERS = [
    Peer("b", "0-5000", 1),
    Peer("c", "5001-10000", 2),
    Peer("d", "10001-16383", 3),
    Peer("5", of="b"),
    Peer("4", of="d"),
]
ALL = "bcd5426"


def rig_of(me: str = "1", sister: str = "2", **settings: Any) -> Rig:
    rig = Rig(Peer(me, of="c"), [*OTHERS, Peer(sister, of="c")], **settings)
    rig.says("b", Fail, "4" * 40)
    return rig


def wait(rig: Rig, ms: int) -> None:
    """All but the failed replica 4 answer meanwhile."""
    alive = "".join(name for name in ALL if name in rig.peers and name != "4" and name * 40 != rig.me.id)
    rig.pass_time(ms, answering=alive)


def test_moves_after_five_seconds() -> None:
    rig = rig_of()
    wait(rig, MIGRATION_DELAY)
    assert rig.me.primary is rig.node("c")
    wait(rig, 2000)
    assert rig.me.primary is rig.node("d")
    assert fx.BecomeReplicaOf("d" * 40, "127.0.0.1", 7013) in rig.effects


def test_the_replica_with_the_smallest_id_moves() -> None:
    rig = rig_of(me="2", sister="1")
    rig.peers["1"] = Peer("1", of="c")
    for _ in range(80):
        wait(rig, 100)
        rig.answers("1")
    assert rig.me.primary is rig.node("c")


def test_its_own_primary_keeps_as_many_as_the_barrier_says() -> None:
    rig = rig_of(migration_barrier=2)
    wait(rig, MIGRATION_DELAY + 2000)
    assert rig.me.primary is rig.node("c")


def test_does_not_move_where_it_is_forbidden() -> None:
    rig = rig_of(allow_replica_migration=False)
    wait(rig, MIGRATION_DELAY + 2000)
    assert rig.me.primary is rig.node("c")


def test_does_not_move_while_the_cluster_is_not_ok() -> None:
    rig = rig_of()
    rig.says("c", Fail, "b" * 40)
    wait(rig, 3900)
    assert not rig.coordinator.ok
    assert rig.me.primary is rig.node("c")


def test_stays_when_the_orphans_replica_comes_back() -> None:
    rig = rig_of()
    wait(rig, MIGRATION_DELAY - 1000)
    rig.answers("4")
    wait(rig, 2000)
    assert rig.me.primary is rig.node("c")


def test_of_synchronous_replicas_one_moves_once_another_has_as_much() -> None:
    rig = rig_of(synchronous_replicas=1)
    rig.facts.offset = 1000
    wait(rig, MIGRATION_DELAY + 2000)
    assert rig.happened(fx.LeavePrimary), "from now on it acknowledges nothing"
    assert rig.me.primary is rig.node("c")
    rig.says("2", Ping, offset=1000)
    rig.pass_time(1000)
    assert rig.me.primary is rig.node("d")


def test_none_moves_if_its_acknowledgements_are_needed() -> None:
    rig = rig_of(synchronous_replicas=2)
    wait(rig, MIGRATION_DELAY + 2000)
    assert not rig.happened(fx.LeavePrimary)
    assert rig.me.primary is rig.node("c")
