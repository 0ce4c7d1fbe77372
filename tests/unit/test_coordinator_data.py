"""At the start: what the configuration says against what the worker holds."""

from __future__ import annotations

import random

import pytest

from cluster.coordinator import effects as fx
from cluster.coordinator.coordinator import Coordinator
from cluster.coordinator.surroundings import Settings
from cluster.topology.nodes_conf import ConfigError
from tests.unit.coordinator_rig import START, Facts, Peer

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
