"""Slots, claimed by config epoch; roles; colliding epochs."""

from __future__ import annotations

import pytest

from cluster.coordinator import effects as fx
from cluster.coordinator.messages import Fail, Ping, Pong, Update
from cluster.slots import from_range, parse_ranges
from cluster.topology import flags as flag
from tests.unit.coordinator_rig import Peer, Rig

B = Peer("b", "0-5000", 1)
C = Peer("c", "5001-10000", 2)
D = Peer("d", "10001-16383", 3)
REPLICA_OF_B = Peer("1", of="b")
REPLICA_OF_C = Peer("2", of="c")


@pytest.fixture
def rig() -> Rig:
    return Rig(B, [C, D, REPLICA_OF_B, REPLICA_OF_C])


def owner(rig: Rig, slot: int) -> str:
    node = rig.coordinator.topology.slots[slot]
    return node.id[0] if node else ""


def test_a_newer_claim_takes_slots_and_an_equal_one_does_not(rig: Rig) -> None:
    rig.says("d", Ping, slots=parse_ranges("10000-16383"), config_epoch=2)
    assert owner(rig, 10000) == "c"
    rig.says("d", Ping, slots=parse_ranges("10000-16383"), config_epoch=4)
    assert owner(rig, 10000) == "d"
    assert rig.node("c").slots == parse_ranges("5001-9999")
    assert fx.SlotsChanged(1 << 10000) in rig.effects


def test_an_unowned_slot_goes_to_whoever_claims_it(rig: Rig) -> None:
    rig.command("del_slots", [7])
    rig.says("c", Ping, slots=parse_ranges("7 5001-10000"))
    assert owner(rig, 7) == "c"


def test_an_old_claim_is_answered_with_an_update(rig: Rig) -> None:
    rig.says("c", Ping, slots=parse_ranges("5001-10001"))
    assert rig.receivers(Update) == {"c"}
    (update,) = rig.sent(Update)
    assert (update.id, update.config_epoch, update.slots) == (D.id, 3, parse_ranges(D.slots))


def test_an_update_about_a_replica_makes_it_primary(rig: Rig) -> None:
    rig.says("d", Update, 9, REPLICA_OF_C.id, parse_ranges(C.slots))
    assert rig.node("2").is_primary
    assert rig.node("2").slots == parse_ranges(C.slots)
    assert rig.node("2").config_epoch == 9


def test_an_update_that_is_not_newer_is_ignored(rig: Rig) -> None:
    rig.says("d", Update, 2, C.id, parse_ranges("0-10000"))
    assert owner(rig, 0) == "b"


def test_a_slot_its_owner_no_longer_claims_stays_but_is_not_defended(rig: Rig) -> None:
    rig.says("d", Ping, slots=parse_ranges("10002-16383"))
    assert owner(rig, 10001) == "d"
    rig.says("c", Ping, slots=parse_ranges("5001-10001"))
    assert owner(rig, 10001) == "c", "although its epoch is smaller"
    assert not rig.sent(Update)


def test_losing_some_slots_deletes_their_keys(rig: Rig) -> None:
    rig.facts.keys = {5: 1, 6: 1}
    rig.says("c", Ping, slots=parse_ranges("5 5001-10000"), config_epoch=9)
    assert rig.happened(fx.DeleteKeys) == [fx.DeleteKeys(1 << 5)]
    assert rig.me.is_primary


def test_losing_the_last_slot_makes_a_replica(rig: Rig) -> None:
    rig.facts.keys = {5: 1}
    rig.says("1", Ping, replica_of=None, slots=parse_ranges(B.slots), config_epoch=9)
    assert rig.me.is_replica
    assert rig.me.primary is rig.node("1")
    assert rig.happened(fx.BecomeReplicaOf) == [fx.BecomeReplicaOf(REPLICA_OF_B.id, "127.0.0.1", 7001)]
    assert not rig.happened(fx.DeleteKeys), "the new primary's data replaces ours"
    assert "2" in rig.receivers(Pong)


def test_without_replica_migration_an_emptied_primary_stays_one_unless_it_was_replaced(rig: Rig) -> None:
    rig.settings.allow_replica_migration = False
    rig.says("c", Ping, slots=parse_ranges("0-10000"), config_epoch=9)
    assert rig.me.is_primary
    assert not rig.me.slots


def test_a_replica_follows_its_shard(rig: Rig) -> None:
    rig = Rig(REPLICA_OF_C, [B, C, D, Peer("3", of="c")])
    rig.says("3", Ping, replica_of=None, slots=parse_ranges(C.slots), config_epoch=9)
    assert rig.me.primary is rig.node("3")


def test_a_primary_that_turned_replica_hands_its_slots_to_its_shards_new_primary(rig: Rig) -> None:
    rig.says("c", Ping, replica_of=REPLICA_OF_C.id, slots=parse_ranges(C.slots), config_epoch=9)
    assert rig.node("c").primary is rig.node("2")
    assert owner(rig, 5001) == "2"
    assert rig.node("2").config_epoch == 9


def test_a_primary_that_joined_another_shard_leaves_its_slots(rig: Rig) -> None:
    rig.says("c", Ping, replica_of=D.id, slots=parse_ranges(D.slots), config_epoch=3)
    assert rig.node("c").primary is rig.node("d")
    assert owner(rig, 5001) == ""
    assert rig.node("c").shard_id == rig.node("d").shard_id


def test_a_sub_replica_moves_up(rig: Rig) -> None:
    rig = Rig(REPLICA_OF_C, [B, C, D, Peer("3", of="c")])
    rig.says("c", Ping, replica_of="3" * 40, slots=parse_ranges(C.slots), config_epoch=9)
    assert rig.me.primary is rig.node("3")


def test_nobody_but_a_vote_makes_us_primary(rig: Rig) -> None:
    rig = Rig(REPLICA_OF_C, [B, C, D])
    rig.says("c", Ping, replica_of=REPLICA_OF_C.id, slots=0, config_epoch=9)
    assert rig.me.is_replica
    assert not rig.me.slots


def test_an_update_about_ourselves_makes_no_replica_a_primary(rig: Rig) -> None:
    rig = Rig(REPLICA_OF_C, [B, C, D])
    rig.says("d", Update, 9, REPLICA_OF_C.id, parse_ranges(C.slots))
    assert rig.me.is_replica
    assert not rig.me.slots


# --- importing


def test_importing_slots_change_hands_only_by_command(rig: Rig) -> None:
    rig.command("set_slot", "importing", 10001, D.id)
    rig.says("c", Ping, slots=parse_ranges("5001-10001"), config_epoch=9)
    assert owner(rig, 10001) == "d"


def test_importing_goes_on_with_the_sources_successor(rig: Rig) -> None:
    rig.command("set_slot", "importing", 5001, C.id)
    rig.says("d", Fail, C.id)
    rig.says("2", Ping, replica_of=None, slots=parse_ranges(C.slots), config_epoch=9)
    assert rig.coordinator.topology.importing == {5001: rig.node("2")}
    assert owner(rig, 5001) == "2"


def test_a_lost_slot_is_not_migrating_any_more(rig: Rig) -> None:
    rig.command("set_slot", "migrating", 5, C.id)
    rig.says("c", Ping, slots=parse_ranges("5 5001-10000"), config_epoch=9)
    assert not rig.coordinator.topology.migrating


# --- epochs


@pytest.mark.parametrize(("mine", "moves"), [("b", True), ("d", False)])
def test_of_two_with_one_epoch_the_smaller_id_moves(mine: str, moves: bool) -> None:
    rig = Rig(Peer(mine, "0-99", 4), [Peer("c", "100-16383", 3)])
    rig.says("c", Ping, config_epoch=4)
    assert rig.me.config_epoch == (5 if moves else 4)
    if moves:
        (save, *_) = rig.happened(fx.SaveConfig)
        assert save.sync
        assert rig.sent(Pong)[-1].header.config_epoch == 5


def test_the_current_epoch_follows_the_greatest(rig: Rig) -> None:
    rig.says("c", Ping, current_epoch=30)
    rig.says("d", Ping, current_epoch=20)
    assert rig.coordinator.topology.current_epoch == 30


def test_bump_takes_the_next_epoch_once(rig: Rig) -> None:
    reply, _ = rig.coordinator.bump_epoch(rig.now)
    assert reply == "BUMPED 4"
    reply, _ = rig.coordinator.bump_epoch(rig.now)
    assert reply == "STILL 4"


def test_finishing_an_import_bumps_the_epoch_and_tells_all(rig: Rig) -> None:
    rig.command("set_slot", "importing", 5001, C.id)
    rig.command("set_slot", "node", 5001, B.id)
    assert rig.me.config_epoch == 4
    assert rig.sent(Pong)[-1].header.slots == from_range(0, 5001)
    assert not rig.coordinator.topology.importing


def test_giving_away_the_last_slot_by_command_makes_a_replica() -> None:
    rig = Rig(Peer("b", "7", 1), [C, D])
    rig.command("set_slot", "node", 7, C.id)
    assert rig.me.primary is rig.node("c")


def test_what_a_new_primary_said_as_a_replica_is_out_of_date() -> None:
    heir = Peer("2", C.slots, 9)
    rig = Rig(Peer("1", of="2"), [B, Peer("c"), D, heir])
    rig.says("c", Ping, replica_of="2" * 40, slots=parse_ranges(C.slots), config_epoch=9, flags=flag.REPLICA)
    rig.says("2", Ping, replica_of="c" * 40, config_epoch=2, flags=flag.REPLICA)
    assert rig.logged("Ignore stale message")
    assert rig.node("2").is_primary
    assert rig.me.primary is rig.node("2")
    assert owner(rig, 5001) == "2"
