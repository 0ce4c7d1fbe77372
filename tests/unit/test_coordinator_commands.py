"""What commands refuse, in Redis' words, and that a refusal changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.coordinator import effects as fx
from cluster.coordinator.messages import PAUSED, Fail, FailoverAuthRequest, MFStart, Ping, Pong
from node.errors import ReplyError
from tests.unit.coordinator_rig import Peer, Rig

B = Peer("b", "0-5000", 1)
C = Peer("c", "5001-10000", 2)
D = Peer("d", "10001-16000", 3)
REPLICA = Peer("1", of="c")
NOBODY = "9" * 40


@pytest.fixture
def rig() -> Rig:
    return Rig(B, [C, D, REPLICA])


@pytest.fixture
def replica() -> Rig:
    return Rig(REPLICA, [B, C, D])


def refuses(rig: Rig, text: str, command: str, *args: Any) -> None:
    before = rig.coordinator.nodes_text()
    with pytest.raises(ReplyError) as error:
        rig.command(command, *args)
    assert error.value.text == "ERR " + text
    assert rig.coordinator.nodes_text() == before


def test_slots(rig: Rig) -> None:
    refuses(rig, "Slot 5 is already busy", "add_slots", [16001, 5])
    refuses(rig, "Slot 16001 specified multiple times", "add_slots", [16001, 16001])
    refuses(rig, "Slot 16001 is already unassigned", "del_slots", [5, 16001])
    refuses(rig, "Slot 5 specified multiple times", "del_slots", [5, 5])
    rig.facts.keys = {1: 1}
    refuses(rig, "DB must be empty to perform CLUSTER FLUSHSLOTS.", "flush_slots")
    rig.facts.keys = {}
    rig.command("flush_slots")
    assert not rig.me.slots


def test_setslot(rig: Rig, replica: Rig) -> None:
    refuses(replica, "Please use SETSLOT only with masters.", "set_slot", "stable", 1, "")
    refuses(rig, "I'm not the owner of hash slot 6000", "set_slot", "migrating", 6000, C.id)
    refuses(rig, "I'm already the owner of hash slot 5", "set_slot", "importing", 5, C.id)
    for action, slot in (("migrating", 5), ("importing", 6000)):
        refuses(rig, f"I don't know about node {NOBODY}", "set_slot", action, slot, NOBODY)
        refuses(rig, "Target node is not a master", "set_slot", action, slot, REPLICA.id)
    refuses(rig, f"Unknown node {NOBODY}", "set_slot", "node", 5, NOBODY)
    refuses(rig, "Target node is not a master", "set_slot", "node", 5, REPLICA.id)
    rig.facts.keys = {5: 1}
    words = "Can't assign hashslot 5 to a different node while I still hold keys for this hash slot."
    refuses(rig, words, "set_slot", "node", 5, C.id)


def test_setslot_stable_ends_what_was_begun(rig: Rig) -> None:
    rig.command("set_slot", "migrating", 5, C.id)
    rig.command("set_slot", "importing", 6000, C.id)
    assert f"[5->-{C.id}] [6000-<-{C.id}]" in rig.coordinator.nodes_text()
    rig.command("set_slot", "stable", 5, "")
    rig.command("set_slot", "stable", 6000, "")
    assert "[" not in rig.coordinator.nodes_text()


@pytest.mark.parametrize("address", [("nowhere", 7000, 17000), ("127.0.0.1", 0, 10000), ("::g", 1, 1)])
def test_meet(rig: Rig, address: tuple[str, int, int]) -> None:
    refuses(rig, f"Invalid node address specified: {address[0]}:{address[1]}", "meet", *address)


def test_forget(rig: Rig, replica: Rig) -> None:
    refuses(rig, f"Unknown node {NOBODY}", "forget", NOBODY)
    refuses(rig, "I tried hard but I can't forget myself...", "forget", B.id)
    refuses(replica, "Can't forget my master!", "forget", C.id)


def test_replicate(rig: Rig, replica: Rig) -> None:
    refuses(rig, f"Unknown node {NOBODY}", "replicate", NOBODY)
    refuses(rig, "Can't replicate myself", "replicate", B.id)
    refuses(rig, "I can only replicate a master, not a replica.", "replicate", REPLICA.id)
    refuses(rig, "To set a master the node must be empty and without assigned slots.", "replicate", C.id)
    replica.command("replicate", B.id)
    assert replica.me.primary is replica.node("b")
    assert not replica.node("c").replicas


def test_replicate_no_one(rig: Rig, replica: Rig) -> None:
    shard = replica.me.shard_id
    replica.command("replicate_no_one")
    assert replica.me.is_primary and not replica.me.slots
    assert replica.me.shard_id != shard
    assert not replica.node("c").replicas and replica.node("c").slots
    shard = rig.me.shard_id
    rig.command("replicate_no_one")
    assert rig.me.slots and rig.me.shard_id == shard, "a primary stays what it is"


def test_failover(rig: Rig, replica: Rig) -> None:
    refuses(rig, "You should send CLUSTER FAILOVER to a replica", "failover", "default")
    refuses(replica, "syntax error", "failover", "now")
    replica.says("b", Fail, C.id)
    words = "Master is down or failed, please use CLUSTER FAILOVER FORCE"
    refuses(replica, words, "failover", "default")
    replica.command("failover", "force")
    assert replica.receivers(FailoverAuthRequest) == {"b", "c", "d"}


def test_takeover_takes_an_epoch_and_the_slots_at_once(replica: Rig) -> None:
    replica.command("failover", "takeover")
    assert replica.me.is_primary
    assert replica.me.config_epoch == 4
    assert replica.me.slots and not replica.node("c").slots
    assert replica.receivers(Pong) == {"b", "c", "d"}


def test_the_steps_of_a_manual_failover_on_the_replica(replica: Rig) -> None:
    replica.command("failover", "default")
    assert replica.receivers(MFStart) == {"c"}
    replica.says("c", Ping, offset=500)
    replica.says("c", Ping, offset=500, message_flags=5)
    assert not replica.sent(FailoverAuthRequest), "the stream has not been processed yet"
    replica.facts.offset = 500
    replica.tick(100)
    (request,) = replica.sent(FailoverAuthRequest)
    assert request.header.message_flags & 2, "voters shall not mind that the primary is alive"


def test_the_steps_of_a_manual_failover_on_the_primary() -> None:
    rig = Rig(C, [B, D, REPLICA])
    rig.says("b", MFStart)
    assert not rig.happened(fx.PauseWrites), "only its replicas may ask"
    rig.says("1", MFStart)
    assert rig.happened(fx.PauseWrites) == [fx.PauseWrites(rig.now + 10_000)]
    assert not any(ping.header.message_flags & PAUSED for ping in [*rig.sent(Ping), *rig.sent(Pong)])
    rig.facts.offset = 700  # The worker had to write something before it could pause.
    rig.command("writes_paused")
    (ping,) = rig.sent(Ping)
    assert ping.header.message_flags & PAUSED
    assert ping.header.offset == 700
    rig.now += 5001
    rig.tick()
    assert rig.happened(fx.ResumeWrites)
    assert rig.logged("Manual failover timed out.")


def test_set_config_epoch(rig: Rig) -> None:
    words = "The user can assign a config epoch only when the node does not know any other node."
    refuses(rig, words, "set_config_epoch", 5)
    alone = Rig(Peer("b"), [])
    refuses(alone, "Invalid config epoch specified: -1", "set_config_epoch", -1)
    alone.command("set_config_epoch", 5)
    assert (alone.me.config_epoch, alone.coordinator.topology.current_epoch) == (5, 5)
    refuses(alone, "Node config epoch is already non-zero", "set_config_epoch", 6)


def test_reset(rig: Rig, replica: Rig) -> None:
    rig.facts.keys = {1: 1}
    words = "CLUSTER RESET can't be called with master nodes containing keys"
    refuses(rig, words, "reset", False)
    old = replica.me.id
    replica.command("reset", False)
    assert replica.me.is_primary and replica.me.id == old
    assert list(replica.coordinator.topology.nodes) == [old]
    assert replica.happened(fx.EmptyDatabase) and replica.happened(fx.BecomePrimary)
    replica.command("reset", True)
    assert replica.me.id != old
    assert replica.coordinator.topology.current_epoch == 0


def test_info(rig: Rig) -> None:
    rig.says("d", Fail, C.id)
    info = rig.coordinator.info()
    assert list(info)[:9] == [
        "cluster_state",
        "cluster_slots_assigned",
        "cluster_slots_ok",
        "cluster_slots_pfail",
        "cluster_slots_fail",
        "cluster_known_nodes",
        "cluster_size",
        "cluster_current_epoch",
        "cluster_my_epoch",
    ]
    assert (info["cluster_slots_assigned"], info["cluster_slots_fail"]) == (16001, 5000)
    assert info["cluster_stats_messages_fail_received"] == 1
    assert info["cluster_stats_messages_received"] > 1


def test_forgetting_the_replica_that_wanted_to_take_over_lets_the_clients_go() -> None:
    rig = Rig(C, [B, D, REPLICA])
    rig.says("1", MFStart)
    rig.command("writes_paused")
    rig.command("forget", "1" * 40)
    assert rig.happened(fx.ResumeWrites)
    rig.says("b", Ping)
    assert not any(pong.header.message_flags & PAUSED for pong in rig.sent(Pong))
