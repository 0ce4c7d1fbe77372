"""Coming, going and coming back: MEET in every form, FORGET, lost disks, clocks that were set."""

from __future__ import annotations

from itertools import pairwise

import pytest

from node.errors import ReplyError
from tests.simulation.torments import HOUR
from tests.simulation.world import NODE_TIMEOUT, World

BAN = 60
"""Seconds for which a node that was forgotten is not taken back from gossip."""


@pytest.fixture
def world() -> World:
    return World(1)


def strangers(world: World, number: int) -> list[str]:
    names = [f"m{n}" for n in range(number)]
    for name in names:
        world.add_member(name)
    return names


def meet(world: World, name: str, other: str) -> None:
    port = world[other].settings.port
    world.command(name, "meet", "10.0.0.1", port, port + 10000)


# --- meeting


def test_a_chain_of_meetings_introduces_everybody(world: World) -> None:
    names = strangers(world, 30)
    for name, other in pairwise(names):
        meet(world, name, other)
    world.until(world.all_are_known, "all know all", 20)


def test_everybody_meets_everybody_at_once(world: World) -> None:
    names = strangers(world, 15)
    for name in names:
        for other in names:
            meet(world, name, other)
    world.until(world.all_are_known, "all know all", 10)
    world.run(5)
    assert world.all_are_known(), "nobody is known twice, or goes again"


def test_many_meet_the_same_at_once(world: World) -> None:
    names = strangers(world, 30)
    for name in names[1:]:
        meet(world, name, names[0])
        meet(world, names[0], name)
    world.until(world.all_are_known, "all know all", 10)


def test_who_meets_itself_stays_alone(world: World) -> None:
    world.add_member("a")
    meet(world, "a", "a")
    world.run(NODE_TIMEOUT / 1000 + 1)
    assert list(world["a"].coordinator.topology.nodes) == [world.id_of("a")]


def test_hundreds_of_meetings_with_nobody_come_to_nothing(world: World) -> None:
    world.form(3, 0)
    for n in range(500):
        world.command("p0", "meet", "10.0.0.1", 9000 + n, 19000 + n)
    world.command("p0", "meet", "10.0.0.1", 7002, 7002)  # A client port in place of the bus port.
    world.run(NODE_TIMEOUT / 1000 + 1)
    assert world.all_are_known()
    assert not world.disagreement()


def test_a_member_is_met_again_without_harm(world: World) -> None:
    world.form(3, 1)
    for name in ("p0", "p1", "p0r0"):
        meet(world, name, "p2")
    world.run(NODE_TIMEOUT / 1000 + 1)
    assert not world.disagreement()


# --- forgetting


def test_who_is_met_again_may_stay_though_it_was_forgotten(world: World) -> None:
    world.form(3, 0)
    world.add_member("guest")
    meet(world, "guest", "p0")
    world.until(world.all_are_known, "the guest is known", 10)
    guest = world.id_of("guest")
    world.command("p0", "forget", guest)
    hosts = [world[name].coordinator.topology.nodes for name in ("p0", "p1", "p2")]
    world.until(lambda: not any(guest in nodes for nodes in hosts), "all forget it", 10)
    world.run(5)
    meet(world, "p0", "guest")
    world.until(lambda: guest in hosts[0], "it is met again", 5)
    world.run(10)
    assert guest in hosts[0], "that others were told to forget it before does not count"
    world.until(world.all_are_known, "the others take it back", BAN)


def test_nobody_forgets_itself_or_its_primary(world: World) -> None:
    world.form(3, 1)
    for name in ("p0", "p0r0"):
        with pytest.raises(ReplyError, match=r"can't forget myself|Can't forget my master"):
            world.command(name, "forget", world.id_of("p0"))


# --- coming back


@pytest.mark.parametrize("away", [0.2, 20])
def test_a_primary_that_comes_back_without_its_disk_is_replaced(world: World, away: float) -> None:
    world.form(3, 1)
    old = world.id_of("p0")
    world.kill("p0", disk_lost=True)
    world.run(away)
    world.restart("p0")
    world.until(lambda: world.serves("p0r0"), "the replica serves", 2 * NODE_TIMEOUT / 1000 + 2)
    assert world.id_of("p0") != old
    for name in ("p1", "p2", "p0r0", "p1r0", "p2r0"):
        world.command(name, "forget", old)
    meet(world, "p0", "p1")
    world.settle(10)


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_a_clock_that_was_set_disturbs_nobody(world: World, jump: int) -> None:
    world.form(3, 1)
    for name in ("p0", "p1r0"):
        world[name].clock.ahead += jump
    world.run(5)
    assert not world.disagreement()
    for name in ("p0", "p1r0"):
        world.kill(name)
        world.restart(name)
    world.settle(10)
    assert all(world.owns_slots(name) for name in ("p0", "p1", "p2"))
    world.kill("p1")
    world.until(lambda: world.serves("p1r0"), "the replica serves", 10)
    world.restart("p1")
    world.settle(10)


def test_a_cluster_that_was_asleep_wakes_up_as_it_was(world: World) -> None:
    world.form(3, 1)
    for member in world.members.values():
        member.pause()
    world.run(20)
    for member in world.members.values():
        member.resume()
    world.settle(10)
    assert all(world.owns_slots(name) for name in ("p0", "p1", "p2")), "nobody took anybody's place"
