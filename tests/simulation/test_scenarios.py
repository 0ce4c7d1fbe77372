"""The cluster's promises, each as a short story in virtual time."""

from __future__ import annotations

import pytest

from cluster.slots import contains
from tests.simulation.world import NODE_TIMEOUT, World

FAILOVER = NODE_TIMEOUT / 1000 + 2
"""Seconds from a primary's death, noticed by its connections, to the promotion of its replica, at most."""
SILENT_FAILOVER = 1.5 * NODE_TIMEOUT / 1000 + 2
"""The same if its machine falls silent: the next ping is sent up to half a node timeout later."""


@pytest.fixture(params=[1, 2, 3])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


def three_and_three(world: World) -> World:
    world.form(3, 1)
    return world


def test_three_primaries_with_three_replicas_form(world: World) -> None:
    three_and_three(world)
    coordinator = world["p0r0"].coordinator
    assert coordinator.size == 3
    assert coordinator.info()["cluster_slots_ok"] == 16384
    assert world.follows("p1r0", "p1")


@pytest.mark.parametrize("power_cut", [False, True])
def test_a_killed_primary_is_replaced_by_its_replica(world: World, power_cut: bool) -> None:
    three_and_three(world)
    slots = world["p0"].coordinator.myself.slots
    world.kill("p0", power_cut=power_cut)
    within = SILENT_FAILOVER if power_cut else FAILOVER
    world.until(lambda: world.serves("p0r0"), "the replica serves", within)
    assert world["p0r0"].coordinator.myself.slots == slots


@pytest.mark.parametrize("seed", [6, 14, 23])
def test_many_primaries_that_die_at_once_are_replaced_at_once(seed: int) -> None:
    """Their replicas ask for votes within half a second, and with these seeds some in the same epoch."""
    world = World(seed)
    world.form(13, 1)
    for n in range(6):
        world.kill(f"p{n}", power_cut=True)
    heirs = [f"p{n}r0" for n in range(6)]
    world.until(lambda: all(map(world.serves, heirs)), "all are replaced", SILENT_FAILOVER + 1.5)


def test_the_old_primary_comes_back_as_replica(world: World) -> None:
    three_and_three(world)
    world.kill("p0")
    world.until(lambda: world.serves("p0r0"), "the replica serves", FAILOVER)
    world.run(5)
    world.restart("p0")
    world.settle(15)
    assert world.follows("p0", "p0r0")
    assert not world.owns_slots("p0")


def test_a_primary_that_returns_in_time_stays_primary(world: World) -> None:
    three_and_three(world)
    world.kill("p0")
    world.run(NODE_TIMEOUT / 1000 / 4)
    world.restart("p0")
    world.settle(15)
    assert world.owns_slots("p0")


def test_a_minority_stops_serving_and_yields_after_healing(world: World) -> None:
    three_and_three(world)
    world.partition("p0 p1r0", "p1 p2 p0r0 p2r0")
    world.until(lambda: not world.serves("p0"), "the minority stops", 2 * FAILOVER)
    world.until(lambda: world.serves("p0r0"), "the majority heals itself", 2 * FAILOVER)
    assert not world.serves("p0")
    world.run(10)
    world.heal()
    world.settle(15)
    assert world.follows("p0", "p0r0")


def test_an_old_primary_learns_of_its_successor_from_others(world: World) -> None:
    three_and_three(world)
    world.kill("p0")
    world.until(lambda: world.serves("p0r0"), "the replica serves", FAILOVER)
    world.cut("p0 p0r0")
    world.restart("p0")
    world.until(lambda: world.follows("p0", "p0r0"), "the old primary yields", 10)
    world.heal()
    world.settle(10)


def test_without_a_majority_nobody_is_promoted(world: World) -> None:
    three_and_three(world)
    world.partition("p0 p0r0 p1r0 p2r0", "p1", "p2")
    world.run(15)
    assert not any(world.is_primary(name) for name in ("p0r0", "p1r0", "p2r0"))
    assert not any(world.serves(name) for name in world.members)
    world.heal()
    world.settle(20)


def test_a_crash_is_agreed_on_without_waiting_for_heartbeats(world: World) -> None:
    three_and_three(world)
    world.run(3)
    dead = world["p1"].coordinator.myself.id
    world.kill("p1")

    def is_agreed() -> bool:
        return all(world[name].coordinator.topology.nodes[dead].failed for name in ("p0", "p2", "p1r0"))

    # A tick each until the link is found broken, and until the silence is found too long; and the messages.
    world.until(is_agreed, "all know of the crash", NODE_TIMEOUT / 1000 + 0.25)


WITNESSED_FAILOVER = 0.5
"""Seconds from a death that was seen to the promotion of a replica, at most: replication notices its end at
the next tick, in this world."""


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_a_death_that_was_witnessed_needs_no_silence(world: World, replicas: int) -> None:
    world.form(3, replicas)
    world.run(3)
    heirs = [f"p0r{n}" for n in range(replicas)]
    world.kill("p0")
    world.witness_death("p0", to="p1r0")
    world.until(lambda: any(map(world.serves, heirs)), "a replica serves", WITNESSED_FAILOVER)
    assert len([heir for heir in heirs if world.is_primary(heir)]) == 1
    world.restart("p0")
    world.settle(10)
    assert not world.owns_slots("p0")


def test_of_a_witnessed_dead_the_replica_with_most_data_takes_the_place(world: World) -> None:
    world.form(3, 2)
    world.run(3)
    world["p0r0"].following = None
    world.run(0.5)
    assert world["p0r0"].offset < world["p0r1"].offset
    world.kill("p0")
    world.witness_death("p0", to="p0r0")
    world.until(lambda: world.serves("p0r1"), "the better replica serves", WITNESSED_FAILOVER)


def test_who_is_called_dead_and_lives_does_not_lose_its_slots_for_long(world: World) -> None:
    three_and_three(world)
    world.run(3)
    world.witness_death("p0", to="p1")
    world.settle(10)
    assert world.owns_slots("p0") != world.owns_slots("p0r0")
    world.witness_death("p1", to="p1r0")
    world.settle(10)
    assert world.owns_slots("p1") != world.owns_slots("p1r0")


def test_a_dead_primary_without_heirs_is_back_as_soon_as_it_runs(world: World) -> None:
    world.form(3, 0)
    world.kill("p0")
    world.witness_death("p0", to="p1")
    world.run(0.5)
    world.restart("p0")
    world.settle(5)
    assert world.owns_slots("p0")


def test_who_is_vouched_for_is_not_replaced(world: World) -> None:
    three_and_three(world)
    world["p0"].pause()
    for _ in range(20):
        world.command("p1", "witness_busy", world.id_of("p0"), 1000)
        world.run(0.5)
    assert not any(
        world[name].coordinator.topology.nodes[world.id_of("p0")].timed_out for name in ("p1", "p2")
    )
    world["p0"].resume()
    world.settle(5)
    assert world.owns_slots("p0")


def test_who_is_vouched_for_in_vain_is_replaced_after_the_limit(world: World) -> None:
    three_and_three(world)
    for member in world.members.values():
        member.settings.witness_limit = 5000
    world["p0"].pause()
    for _ in range(9):
        world.command("p1", "witness_busy", world.id_of("p0"), 60_000)
        world.run(0.5)
    assert not world.is_primary("p0r0")
    world.until(lambda: world.serves("p0r0"), "the replica serves", SILENT_FAILOVER)
    world["p0"].resume()
    world.settle(10)


def test_who_runs_a_long_command_takes_part_and_does_not_change(world: World) -> None:
    three_and_three(world)
    busy = world["p0"]
    routes = list(busy.routes)
    busy.begin_long_command()
    world.run(10)
    assert world.serves("p0")
    world.command("p0r0", "failover", "default")
    world.run(3)
    assert not world.is_primary("p0r0"), "its primary cannot pause"
    world.kill("p1")
    world.until(lambda: world.serves("p1r0"), "the busy one votes", FAILOVER)
    world.run(0.5)
    assert busy.routes == routes
    busy.end_long_command(busy.life)
    assert busy.routes != routes
    world.restart("p1")
    world.settle(10)


def test_a_replica_in_the_middle_of_a_long_command_does_not_take_over(world: World) -> None:
    world.form(3, 2)
    busy = world["p0r0"]
    busy.begin_long_command()
    world.kill("p0")
    world.witness_death("p0", to="p1")
    world.until(lambda: world.serves("p0r1"), "the other one does", WITNESSED_FAILOVER)
    busy.end_long_command(busy.life)
    world.restart("p0")
    world.settle(10)


def test_twenty_percent_loss_delays_but_does_not_prevent_a_failover(world: World) -> None:
    three_and_three(world)
    world.network.faults.loss = 0.2
    world["p1r0"].settings.replica_validity_factor = 0  # However many elections it takes.
    world.run(5)
    world.kill("p1")
    # Half of all elections lose a vote on the way; one story in forty takes longer than a minute.
    world.until(lambda: world.serves("p1r0"), "the replica serves", 120)
    world.restart("p1")
    world.network.faults.loss = 0.0
    world.settle(30)
    assert world.follows("p1", "p1r0") or world.follows("p1r0", "p1")


def test_the_replica_with_more_data_wins(world: World) -> None:
    world.form(3, 2)
    world.run(3)
    behind = world["p0r0"]
    behind.following = None
    world.run(NODE_TIMEOUT / 1000 * 2)
    assert behind.offset < world["p0r1"].offset
    world.kill("p0")
    world.until(lambda: world.serves("p0r1"), "the better replica serves", FAILOVER + 1)
    world.until(lambda: world.follows("p0r0", "p0r1"), "the other one follows it", 5)


def test_manual_failover_loses_nothing(world: World) -> None:
    three_and_three(world)
    world.run(2)
    world.command("p2r0", "failover", "default")
    world.until(lambda: world.serves("p2r0"), "the replica serves", 3)
    paused_at = world["p2"].paused_at
    assert paused_at is not None, "the primary paused its clients"
    assert world["p2r0"].offset >= paused_at
    world.settle(5)
    assert world.follows("p2", "p2r0")
    assert world["p2"].writes_paused_until == 0


def test_manual_failover_and_back_again(world: World) -> None:
    three_and_three(world)
    for replica, primary in (("p0r0", "p0"), ("p0", "p0r0"), ("p0r0", "p0")):
        world.run(2 * NODE_TIMEOUT / 1000)
        world.command(replica, "failover", "default")
        world.until(lambda name=replica: world.serves(name), f"{replica} serves", 5)
        world.settle(5)
        assert world.follows(primary, replica)


def test_manual_failover_is_given_up_when_the_primary_is_silent(world: World) -> None:
    three_and_three(world)
    world["p2"].pause()
    world.command("p2r0", "failover", "default")
    world.run(NODE_TIMEOUT / 1000 / 2)
    world["p2"].resume()
    world.partition("p2", "p0 p1 p0r0 p1r0 p2r0")
    world.run(0.5)
    world.heal()
    world.run(8)
    assert world["p2"].writes_paused_until == 0
    world.settle(10)


def test_forced_failover_needs_no_primary(world: World) -> None:
    three_and_three(world)
    world["p2"].pause()
    world.command("p2r0", "failover", "force")
    world.until(lambda: world.serves("p2r0"), "the replica serves", 2)
    world["p2"].resume()
    world.settle(10)
    assert world.follows("p2", "p2r0")


def test_takeover_needs_no_votes(world: World) -> None:
    three_and_three(world)
    world.kill("p1")
    world.kill("p2")
    world.invariants.unvoted_epochs = True
    world.run(FAILOVER)
    world.command("p1r0", "failover", "takeover")
    world.command("p2r0", "failover", "takeover")
    world.until(lambda: world.serves("p1r0") and world.serves("p2r0"), "both replicas serve", 10)
    for name in ("p1", "p2"):
        world.restart(name)
    world.settle(20)
    assert world.follows("p1", "p1r0")
    assert world.follows("p2", "p2r0")


def test_a_slot_moves(world: World) -> None:
    three_and_three(world)
    source, target, slot = "p0", "p1", 42
    world[source].keys = {slot: 3}
    world.invariants.unvoted_epochs = True
    world.command(target, "set_slot", "importing", slot, world.id_of(source))
    world.command(source, "set_slot", "migrating", slot, world.id_of(target))
    world.run(3)
    assert slot in world[source].coordinator.topology.migrating
    assert slot in world[target].coordinator.topology.importing
    world[target].keys, world[source].keys = world[source].keys, {}
    world.command(target, "set_slot", "node", slot, world.id_of(target))
    world.command(source, "set_slot", "node", slot, world.id_of(target))
    world.settle(5)
    for member in world.living:
        owner = member.coordinator.topology.slots[slot]
        assert owner is not None and owner.id == world.id_of(target)
    assert not world[source].coordinator.topology.migrating
    assert not world[target].coordinator.topology.importing
    assert contains(world[target].coordinator.myself.slots, slot)


def test_a_replica_that_was_away_when_a_slot_arrived_hears_of_it(world: World) -> None:
    """It has the slot for importing yet: SETSLOT NODE reached all but it."""
    three_and_three(world)
    replica, target, slot = "p1r0", "p1", 42
    topology = world[replica].coordinator.topology
    topology.importing[slot] = topology.nodes[world.id_of("p0")]
    world.command(target, "set_slot", "importing", slot, world.id_of("p0"))
    world.command(target, "set_slot", "node", slot, world.id_of(target))
    world.settle(5)
    assert not topology.importing
    assert topology.slots[slot] is topology.nodes[world.id_of(target)]


def test_a_slot_in_motion_survives_the_failover_of_its_source(world: World) -> None:
    three_and_three(world)
    world.command("p1", "set_slot", "importing", 42, world.id_of("p0"))
    world.command("p0", "set_slot", "migrating", 42, world.id_of("p1"))
    world.kill("p0")
    world.until(lambda: world.serves("p0r0"), "the replica serves", FAILOVER)
    world.until(
        lambda: world["p1"].coordinator.topology.importing[42].id == world.id_of("p0r0"),
        "the target imports from the new primary",
        5,
    )
    owner = world["p1"].coordinator.topology.slots[42]
    assert owner is not None and owner.id == world.id_of("p0r0")


def test_equal_config_epochs_come_apart(world: World) -> None:
    world.invariants.unvoted_epochs = True
    for name in "abcd":
        world.add_member(name)
    for n, name in enumerate("abcd"):
        world.command(name, "add_slots", list(range(4096 * n, 4096 * (n + 1))))
    for name in "bcd":
        world.command(name, "meet", "10.0.0.1", 7001, 17001)
    world.settle(30)
    epochs = {world[name].coordinator.myself.config_epoch for name in "abcd"}
    assert len(epochs) == 4


def test_of_two_owners_of_a_slot_the_newer_epoch_wins(world: World) -> None:
    world.invariants.unvoted_epochs = True
    world.add_member("old")
    world.add_member("new")
    world["old"].keys = {100: 7, 9000: 1}
    world.command("old", "add_slots", list(range(16384)))
    world.command("old", "set_config_epoch", 1)
    world.command("new", "add_slots", list(range(1000)))
    world.command("new", "set_config_epoch", 2)
    world.command("old", "meet", "10.0.0.1", 7002, 17002)
    world.settle(15)
    assert world["new"].coordinator.myself.slots == (1 << 1000) - 1
    assert world["old"].keys == {9000: 1}, "the keys of the lost slot go, the others stay"


def test_a_forgotten_node_stays_away_for_a_minute(world: World) -> None:
    world.form(3, 0)
    world.add_member("guest")
    world.command("guest", "meet", "10.0.0.1", 7001, 17001)
    world.until(lambda: len(world["p2"].coordinator.topology.nodes) == 4, "the guest is known", 10)
    world.run(3)
    guest = world.id_of("guest")
    world.command("p0", "forget", guest)
    hosts = [world[name].coordinator.topology.nodes for name in ("p0", "p1", "p2")]
    world.until(lambda: not any(guest in nodes for nodes in hosts), "all forget it", 10)
    world.run(40)
    assert not any(guest in nodes for nodes in hosts)


def test_a_spare_replica_moves_to_an_orphan(world: World) -> None:
    world.form(3, 1)
    world.add_member("spare")
    world.command("spare", "meet", "10.0.0.1", 7001, 17001)
    world.until(lambda: len(world["p2"].coordinator.topology.nodes) == 7, "the spare is known", 10)
    world.run(3)
    world.command("spare", "replicate", world.id_of("p0"))
    world.settle(10)
    world.kill("p1r0")
    world.until(lambda: world.follows("spare", "p1") or world.follows("p0r0", "p1"), "p1 gets a replica", 30)


def test_a_replica_of_a_demoted_primary_follows_the_new_one(world: World) -> None:
    world.form(3, 2)
    world.command("p0r0", "failover", "default")
    world.until(lambda: world.serves("p0r0"), "the replica serves", 3)
    world.settle(10)
    assert world.follows("p0r1", "p0r0")
    assert world.follows("p0", "p0r0")


def test_a_member_that_moves_is_found(world: World) -> None:
    three_and_three(world)
    world.kill("p2r0")
    member = world["p2r0"]
    del world.by_port[member.settings.port]
    member.settings.port, member.settings.bus_port = 7999, 17999
    world.by_port[7999] = member
    world.run(5)
    world.restart("p2r0")
    world.settle(20)
    node = world["p0"].coordinator.topology.nodes[world.id_of("p2r0")]
    assert (node.tcp_port, node.bus_port) == (7999, 17999)


def test_a_node_that_was_reset_is_another(world: World) -> None:
    world.form(3, 1)
    old = world.id_of("p0r0")
    world.command("p0r0", "reset", True)
    assert world.id_of("p0r0") != old
    assert world.is_primary("p0r0")
    assert len(world["p0r0"].coordinator.topology.nodes) == 1
    world.run(5)
    assert len(world["p0r0"].coordinator.topology.nodes) == 1, "its old friends do not know it any more"


def test_a_paused_primary_is_replaced_and_wakes_up_as_replica(world: World) -> None:
    three_and_three(world)
    world["p0"].pause()
    world.until(lambda: world.serves("p0r0"), "the replica serves", SILENT_FAILOVER)
    world.run(3)
    world["p0"].resume()
    world.settle(10)
    assert world.follows("p0", "p0r0")
