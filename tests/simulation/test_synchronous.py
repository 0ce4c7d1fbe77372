"""Whatever happens, with `synchronous-replicas` nobody who serves lacks what was acknowledged.

As test_random_faults.py, with the data followed. SHOAL_SIMULATION_SEEDS widens the range here, too.
"""

from __future__ import annotations

import pytest

from tests.simulation import torments
from tests.simulation.synchronous import SynchronousWorld
from tests.simulation.test_random_faults import seeds


@pytest.mark.parametrize("seed", seeds(16))
def test_nothing_acknowledged_is_lost(seed: int) -> None:
    replicas, wanted = [(1, 1), (2, 1), (2, 2), (3, 2)][seed % 4]
    world = SynchronousWorld(seed, wanted)
    world.form(3, replicas)
    torments.choose_weather(world)
    for _ in range(world.random.randint(6, 14)):
        torments.torment(world, torments.HONEST)
        world.run(world.random.uniform(0.1, 6))
    torments.end(world)
    world.settle(90)
    before = world.promised
    world.run(5)
    assert world.promised > before, world.report("writes are acknowledged again")
