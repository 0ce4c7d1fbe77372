"""Bad, or at least unexpected, things that happen to a cluster, chosen by the seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.simulation.simulated_member import SimulatedMember
from tests.simulation.world import World

HOUR = 3_600_000
Torment = Callable[[World, str, SimulatedMember], None]
"""(world, name, member): what happens to this member."""


def choose_weather(world: World, *, real: bool = False) -> None:
    """Set the faults that last: of the network, as TCP has them or (not `real`) worse, and of the clocks."""
    faults, dice = world.network.faults, world.random
    match dice.choice(["fine", "tcp", "tcp"] if real else ["fine", "tcp", "tcp", "datagrams", "datagrams"]):
        case "tcp":
            faults.stalls = dice.choice([0.0, 0.02, 0.1])
            faults.stall = dice.choice([300, 3000])
            faults.breaks = dice.choice([0.0, 0.002, 0.01])
        case "datagrams":
            faults.loss = dice.choice([0.0, 0.02, 0.2])
            faults.duplication = dice.choice([0.0, 0.05])
            faults.delay = dice.choice([0, 50, 400])
    if dice.random() < 0.5:
        for member in world.members.values():
            member.clock.rate = dice.uniform(0.98, 1.02) if real else dice.uniform(0.95, 1.05)
    world.tell(f"--- {faults}")


def torment(world: World, kinds: Sequence[str] = ()) -> None:
    """Do one of these things, or one of `kinds`, to somebody."""
    name = world.random.choice(list(world.members))
    kind = world.random.choice(kinds or list(TORMENTS))
    TORMENTS[kind](world, name, world[name])


def end(world: World) -> list[str]:
    """Undo all that can be undone, and let an operator do the rest. Returns who begins anew."""
    world.network.faults = type(world.network.faults)()
    world.heal()
    for name, member in world.members.items():
        member.clock.rate = 1.0
        if member.paused:
            member.resume()
        member.end_long_command(member.life)
        if not member.alive:
            world.restart(name)
    newcomers = list(world.lost.values())
    replace_lost(world)
    return newcomers


def replace_lost(world: World) -> None:
    """The operator's part after disks were lost: their nodes are forgotten, and come in again as new ones."""
    for id, name in world.lost.items():
        if not world.comes(lambda id=id: not _owns_slots(world, id), 20):
            # No replica stands for election, as after a restart: it cannot know how old its data is.
            world.invariants.unvoted_epochs = True
            heir = next(member for member in world.living if _follows(member, id))
            world.command(heir.name, "failover", "takeover")
            world.until(lambda id=id: not _owns_slots(world, id), "the lost node is replaced", 20)
        for member in world.living:
            if id in member.coordinator.topology.nodes:
                world.command(member.name, "forget", id)
        friend = next(member for member in world.living if member.name != name)
        world.command(name, "meet", "10.0.0.1", friend.settings.port, friend.settings.bus_port)
    world.lost.clear()


def _owns_slots(world: World, id: str) -> bool:
    nodes = [member.coordinator.topology.nodes.get(id) for member in world.living]
    return any(node is not None and node.slots for node in nodes)


def _follows(member: SimulatedMember, id: str) -> bool:
    primary = member.coordinator.myself.primary
    return primary is not None and primary.id == id


# --- one by one


def _kill(world: World, name: str, member: SimulatedMember) -> None:
    if member.alive:
        world.kill(name)


def _kill_before_witnesses(world: World, name: str, member: SimulatedMember) -> None:
    if member.alive:
        world.kill(name)
        for other in world.random.sample(list(world.members), 2):
            world.witness_death(name, to=other)


def _lie_about_a_death(world: World, name: str, member: SimulatedMember) -> None:
    if member.alive:
        world.witness_death(name, to=world.random.choice(list(world.members)))


def _cut_power(world: World, name: str, member: SimulatedMember) -> None:
    if member.alive:
        world.kill(name, power_cut=True)


def _lose_disk(world: World, name: str, member: SimulatedMember) -> None:
    """Once in a world, and never the last that has the data."""
    id = member.coordinator.myself.id
    has_replica = any(_follows(other, id) for other in world.members.values())
    if member.alive and not world.lost and (has_replica or member.coordinator.myself.is_replica):
        world.kill(name, disk_lost=True)


def _restart(world: World, name: str, member: SimulatedMember) -> None:
    if not member.alive:
        world.restart(name)


def _pause_or_resume(world: World, name: str, member: SimulatedMember) -> None:
    if member.alive:
        world.tell(f"--- {name} {'goes on' if member.paused else 'stands still'}")
        if member.paused:
            member.resume()
        else:
            member.pause()


def _set_clock(world: World, name: str, member: SimulatedMember) -> None:
    member.clock.ahead += world.random.choice([-HOUR, HOUR])
    world.tell(f"--- the clock of {name} is set")


def _partition(world: World, name: str, member: SimulatedMember) -> None:
    names = list(world.members)
    world.random.shuffle(names)
    cut = world.random.randint(1, len(names) - 1)
    world.partition(" ".join(names[:cut]), " ".join(names[cut:]))


def _cut_pairs(world: World, name: str, member: SimulatedMember) -> None:
    world.cut(*(f"{name} {other}" for other in _others(world, name)))


def _cut_one_way(world: World, name: str, member: SimulatedMember) -> None:
    pairs = [(name, other) for other in _others(world, name)]
    if world.random.random() < 0.5:
        pairs = [(b, a) for a, b in pairs]
    world.silence(*map(" ".join, pairs))


def _others(world: World, name: str) -> list[str]:
    others = [other for other in world.members if other != name]
    return world.random.sample(others, world.random.randint(2, len(others)))


def _heal(world: World, name: str, member: SimulatedMember) -> None:
    world.heal()


def _hand_over(world: World, name: str, member: SimulatedMember) -> None:
    """As its primary agrees."""
    primary = member.coordinator.myself.primary
    if not member.alive or member.paused or primary is None or primary.failed or primary.link is None:
        return
    world.command(name, "failover", "default")


def _seize(world: World, name: str, member: SimulatedMember) -> None:
    """Without asking its primary."""
    if member.alive and not member.paused and member.coordinator.myself.primary is not None:
        world.command(name, "failover", "force")


def _run_long_command(world: World, name: str, member: SimulatedMember) -> None:
    if member.alive and member.put_off is None:
        world.tell(f"--- {name} runs a long command")
        member.begin_long_command()
        life = member.life
        world.after(world.random.randint(100, 8000), lambda: member.end_long_command(life))


def _vouch(world: World, name: str, member: SimulatedMember) -> None:
    """True or not."""
    others = [other for other in world.living if other is not member]
    witness = world.random.choice(others) if others else None
    id = member.coordinator.myself.id
    if witness is not None and id in witness.coordinator.topology.nodes:
        world.command(witness.name, "witness_busy", id, world.random.randint(100, 8000))


TORMENTS: dict[str, Torment] = {
    "kill": _kill,
    "witnessed kill": _kill_before_witnesses,
    "false witness": _lie_about_a_death,
    "vouching": _vouch,
    "long command": _run_long_command,
    "power cut": _cut_power,
    "disk lost": _lose_disk,
    "restart": _restart,
    "pause": _pause_or_resume,
    "clock": _set_clock,
    "partition": _partition,
    "cut": _cut_pairs,
    "one way": _cut_one_way,
    "heal": _heal,
    "handing over": _hand_over,
    "forced failover": _seize,
}

HONEST = [kind for kind in TORMENTS if kind not in ("forced failover", "false witness", "disk lost")]
"""Those that break no promise of synchronous replication by order or by a lie."""
