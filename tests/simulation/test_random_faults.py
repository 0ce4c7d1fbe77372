"""Any faults, in any order, and then peace: the cluster must come out whole.

Each seed makes a cluster, torments it for a while, heals everything and waits for agreement; the
invariants are checked all the while. A run is bounded to a few dozen seeds;
SHOAL_SIMULATION_SEEDS=1000-3000 goes through a range of them, SHOAL_SIMULATION_SEEDS=1234 repeats one.
"""

from __future__ import annotations

import os

import pytest

from tests.simulation.world import World

SEEDS = 30


def seeds() -> range:
    first, _, last = os.environ.get("SHOAL_SIMULATION_SEEDS", f"0-{SEEDS - 1}").partition("-")
    return range(int(first), int(last or first) + 1)


@pytest.mark.parametrize("seed", seeds())
def test_whatever_happens_the_cluster_heals(seed: int) -> None:
    world = World(seed)
    primaries = world.random.choice([3, 3, 5])
    world.form(primaries, world.random.choice([1, 1, 2]))
    faults = world.network.faults
    faults.loss = world.random.choice([0.0, 0.02, 0.2])
    faults.duplication = world.random.choice([0.0, 0.05])
    faults.delay = world.random.choice([0, 0, 50, 400])
    for _ in range(world.random.randint(4, 10)):
        torment(world)
        world.run(world.random.uniform(0.1, 6))
    faults.loss = faults.duplication = 0.0
    faults.delay = 0
    world.heal()
    for name, member in world.members.items():
        if member.paused:
            member.resume()
        if not member.alive:
            world.restart(name)
    world.settle(60)


def torment(world: World) -> None:
    """Do one bad, or at least unexpected, thing."""
    name = world.random.choice(list(world.members))
    member = world[name]
    match world.random.choice(
        [
            "kill",
            "witnessed kill",
            "false witness",
            "power cut",
            "restart",
            "pause",
            "partition",
            "cut",
            "heal",
            "failover",
        ]
    ):
        case "kill" if member.alive:
            world.kill(name)
        case "witnessed kill" if member.alive:
            world.kill(name)
            for other in world.random.sample(list(world.members), 2):
                world.witness_death(name, to=other)
        case "false witness" if member.alive:
            world.witness_death(name, to=world.random.choice(list(world.members)))
        case "power cut" if member.alive:
            world.kill(name, power_cut=True)
        case "restart" if not member.alive:
            world.restart(name)
        case "pause" if member.alive:
            if member.paused:
                member.resume()
            else:
                member.pause()
        case "partition":
            names = list(world.members)
            world.random.shuffle(names)
            cut = world.random.randint(1, len(names) - 1)
            world.partition(" ".join(names[:cut]), " ".join(names[cut:]))
        case "cut":
            others = [other for other in world.members if other != name]
            world.cut(*(f"{name} {other}" for other in world.random.sample(others, 2)))
        case "heal":
            world.heal()
        case "failover" if member.alive and can_fail_over(world, name):
            world.command(name, "failover", world.random.choice(["default", "force"]))
        case _:
            world.tell(f"--- {name} is left alone")


def can_fail_over(world: World, name: str) -> bool:
    me = world[name].coordinator.myself
    if me.is_primary or me.primary is None or world[name].paused:
        return False
    return not me.primary.failed and me.primary.link is not None
