"""How fast a cluster of a given size agrees, and what its agreement costs: one run, in virtual time.

Half of the members are primaries, each with a replica. They are introduced in a chain, each to the one before
it; then nothing happens for a while; then a tenth of the primaries, at least one, die at once. Times are of
the simulated world, where a message takes 1 to 6 ms. CPU is real, of all coordinators and the bus' codec
together, and includes what the simulation itself costs: an upper bound.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.simulation.simulated_member import SimulatedMember
from tests.simulation.world import World

QUIET = 3
"""How many node timeouts long the costs are measured, after one has passed."""


@dataclass(frozen=True, slots=True)
class Run:
    known: float
    """Seconds until everybody knew everybody."""
    failed: float
    """Seconds from the death of primaries until all others hold them for FAIL."""
    replaced: float
    """Seconds from it until all know the new owners of their slots."""
    messages: float
    """Sent per member and second, while nothing happens."""
    kilobytes: float
    """Sent per member and second, while nothing happens."""
    cpu: float
    """ms per member and second, while nothing happens."""


def run_once(size: int, seed: int, node_timeout: int, *, silently: bool) -> Run:
    """`silently`: the machines of those who die fall silent; else their processes end, and connections with
    them. Fails if an invariant does, or if it takes far too long."""
    world = World(seed, node_timeout)
    known = world.form(size // 2, 1, chain=True)
    timeout = node_timeout / 1000
    world.run(timeout)
    messages, kilobytes, cpu = _costs(world, QUIET * timeout)
    world.run(world.random.uniform(0, timeout))
    victims = world.random.sample(range(size // 2), max(1, size // 20))
    dead = [world.id_of(f"p{n}") for n in victims]
    heirs = [world.id_of(f"p{n}r0") for n in victims]

    def holds_for_failed(member: SimulatedMember) -> bool:
        nodes = member.coordinator.topology.nodes
        return all(nodes[id].failed or not nodes[id].slots for id in dead)

    def knows_heirs(member: SimulatedMember) -> bool:
        nodes = member.coordinator.topology.nodes
        return all(nodes[id].slots for id in heirs)

    for n in victims:
        world.kill(f"p{n}", power_cut=silently)
    failed = world.until(lambda: world.all_living(holds_for_failed), "all know of the failure", 10 * timeout)
    more = world.until(lambda: world.all_living(knows_heirs), "all know the new owners", 10 * timeout)
    return Run(known, failed, failed + more, messages, kilobytes, cpu)


def costs_at_rest(size: int, node_timeout: int, seed: int = 1) -> tuple[float, float, float]:
    """Messages, kilobytes and ms of CPU per member and second, of a cluster that was formed a while ago."""
    world = World(seed, node_timeout)
    world.form(size // 2, 1)
    world.run(2 * node_timeout / 1000)
    return _costs(world, QUIET * node_timeout / 1000)


def _costs(world: World, seconds: float) -> tuple[float, float, float]:
    network = world.network
    network.coded, network.messages, network.bytes = True, 0, 0
    start = time.process_time()
    world.run(seconds)
    cpu = time.process_time() - start
    network.coded = False
    per = len(world.members) * seconds
    return network.messages / per, network.bytes / per / 1000, cpu / per * 1000
