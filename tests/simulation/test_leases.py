"""Where replication is synchronous, who has been replaced tells nobody anything any more.

As the random faults, with those left out that break the promise by order (a failover by force) or by a lie
(of a witness), and with a network that is no worse than TCP. SHOAL_SIMULATION_SEEDS chooses the seeds.
"""

from __future__ import annotations

import pytest

from tests.simulation import torments
from tests.simulation.test_random_faults import seeds
from tests.simulation.world import World


@pytest.mark.parametrize("seed", seeds(12))
def test_nobody_goes_on_after_its_successor_began(seed: int) -> None:
    world = World(seed)
    world.form(3, world.random.choice([1, 2]))
    for member in world.members.values():
        member.settings.synchronous_replicas = 1
        world.command(member.name, "settings_changed")
    world.run(3)
    world.invariants.leased = True
    torments.choose_weather(world, real=True)
    for _ in range(world.random.randint(4, 12)):
        torments.torment(world, torments.HONEST)
        world.run(world.random.uniform(0.1, 6))
    torments.end(world)
    world.settle(60)
