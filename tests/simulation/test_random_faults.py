"""Any faults, in any order, and then peace: the cluster must come out whole.

Each seed makes a cluster, torments it for a while, heals everything and waits for agreement; the
invariants are checked all the while. A run is bounded to a few dozen seeds;
SHOAL_SIMULATION_SEEDS=1000-3000 goes through a range of them, SHOAL_SIMULATION_SEEDS=1234 repeats one.
"""

from __future__ import annotations

import os

import pytest

from tests.simulation import torments
from tests.simulation.world import World

SEEDS = 30


def seeds(number: int = SEEDS) -> range:
    first, _, last = os.environ.get("SHOAL_SIMULATION_SEEDS", f"0-{number - 1}").partition("-")
    return range(int(first), int(last or first) + 1)


@pytest.mark.parametrize("seed", seeds())
def test_whatever_happens_the_cluster_heals(seed: int) -> None:
    world = World(seed)
    world.form(world.random.choice([3, 3, 3, 5, 5, 8]), world.random.choice([1, 1, 2]))
    torments.choose_weather(world)
    for _ in range(world.random.randint(4, 12)):
        torments.torment(world)
        world.run(world.random.uniform(0.1, 6))
    replaced = set(torments.end(world))
    world.settle(60)
    for name in world.members:
        newcomer = name in replaced
        assert newcomer or world.owns_slots(name) or not world.is_primary(name), f"{name} has no part"
