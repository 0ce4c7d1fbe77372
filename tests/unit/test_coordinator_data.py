"""At the start: what the configuration says against what the worker holds."""

from __future__ import annotations

import random

import pytest

from cluster.coordinator import effects as fx
from cluster.coordinator.coordinator import Coordinator
from cluster.coordinator.messages import Hostname, Ping
from cluster.coordinator.surroundings import Settings
from cluster.slots import parse_ranges
from cluster.topology.nodes_conf import ConfigError
from tests.unit.coordinator_rig import START, Facts, Peer, Rig

ME, OTHER = Peer("b", "0-10", 1), Peer("c", "11-20", 2)


def started(me: Peer, facts: Facts) -> tuple[Coordinator, list[fx.Effect]]:
    text = f"{me.line(True)}\n{OTHER.line(False)}\nvars currentEpoch 2 lastVoteEpoch 0\n"
    settings = Settings(port=7011, bus_port=17011)
    coordinator = Coordinator(settings, facts, random.Random(1), START, text)
    return coordinator, coordinator.start(START)


def test_keys_of_nobodys_slot_make_it_ours_and_of_anothers_importing() -> None:
    facts = Facts()
    facts.keys = {5: 1, 15: 1, 100: 1}
    coordinator, effects = started(ME, facts)
    topology = coordinator.topology
    assert topology.slots[100] is coordinator.myself
    assert topology.importing == {15: topology.nodes[OTHER.id]}
    assert isinstance(effects[0], fx.SaveConfig) and effects[0].sync


def test_a_replica_starts_to_follow_and_claims_nothing() -> None:
    facts = Facts()
    facts.keys = {100: 1}
    coordinator, effects = started(Peer("b", of="c"), facts)
    assert fx.BecomeReplicaOf(OTHER.id, "127.0.0.1", 7012) in effects
    assert coordinator.topology.slots[100] is None


def test_a_damaged_configuration_is_refused() -> None:
    with pytest.raises(ConfigError):
        Coordinator(Settings(port=1, bus_port=2), Facts(), random.Random(1), START, "rubbish\n")


def test_what_was_merely_heard_is_saved_together_soon() -> None:
    rig = Rig(ME, [OTHER])
    stranger = Peer("d")
    rig.peers["d"] = stranger
    rig.pass_time(500, answering="c")
    rig.happened(fx.SaveConfig)
    rig.says("c", Ping, (rig.gossip("d"),))
    assert len(rig.happened(fx.SaveConfig)) == 1
    for name in ("one.example", "two.example"):
        rig.says("c", Ping, (), (Hostname(name),))
    assert not rig.happened(fx.SaveConfig), "this can wait a while"
    rig.tick(100)
    (save,) = rig.happened(fx.SaveConfig)
    assert "two.example" in save.text
    assert not save.sync


def test_what_an_operator_wants_is_saved_at_once_and_so_is_all_else() -> None:
    rig = Rig(ME, [OTHER])
    rig.pass_time(500, answering="c")
    for name in ("one.example", "two.example"):
        rig.says("c", Ping, (), (Hostname(name),))
    rig.happened(fx.SaveConfig)
    rig.command("add_slots", [50])
    (save,) = rig.happened(fx.SaveConfig)
    assert " 50 " in save.text.replace("\n", " ")
    assert "two.example" in save.text


def test_a_change_of_owner_is_on_disk_before_anything_else_happens() -> None:
    rig = Rig(Peer("b", "0-10", 1), [Peer("c", "11-20", 2), Peer("d", "30-40", 3)])
    rig.effects.clear()
    effects = rig.says("d", Ping, slots=parse_ranges("20 30-40"))
    assert isinstance(effects[0], fx.SaveConfig) and effects[0].sync
