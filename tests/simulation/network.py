"""The bus between simulated members: connections that lose, delay, double and reorder what they carry.

A connection behaves like TCP as long as `Faults` are zero: in order, nothing lost, and an end that dies is
noticed by the other. Faults work on whole messages, which is harsher than TCP ever is: the coordinator must
not depend on more than the bus promises. A partition swallows everything between groups; a connection
attempt across it fails after a while.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.coordinator.messages import Message

if TYPE_CHECKING:
    from tests.simulation.simulated_member import SimulatedMember
    from tests.simulation.world import World

LATENCY = (1, 6)
CONNECT_FAILS_AFTER = (200, 1500)


@dataclass
class Faults:
    """Probabilities per message, and the greatest extra delay in ms (which reorders)."""

    loss: float = 0.0
    duplication: float = 0.0
    delay: int = 0


@dataclass(eq=False)
class End:
    """One end of a connection: whose, and under which link number. `life` tells restarts apart."""

    member: SimulatedMember
    life: int
    link: int

    @property
    def alive(self) -> bool:
        return self.member.alive and self.member.life == self.life and self.link in self.member.connections


@dataclass(eq=False)
class Connection:
    opener: End
    accepter: End
    clear_at: list[int]
    """Per direction: when the last message sent arrives; the next may not overtake it."""

    def other(self, member: SimulatedMember) -> End:
        return self.accepter if member is self.opener.member else self.opener


class Network:
    def __init__(self, world: World) -> None:
        self.world = world
        self.faults = Faults()
        self.groups: list[set[str]] = []
        """Names that can only reach each other; empty: everybody reaches everybody."""

        self.cuts: set[frozenset[str]] = set()
        """Pairs of names that cannot reach each other, whatever else they reach."""

    def reachable(self, a: SimulatedMember, b: SimulatedMember) -> bool:
        if frozenset((a.name, b.name)) in self.cuts:
            return False
        if not self.groups:
            return True
        return any(a.name in group and b.name in group for group in self.groups)

    def connect(self, opener: SimulatedMember, link: int, port: int) -> None:
        """Open a connection to the member that listens on bus port `port`, or fail."""
        world, life = self.world, opener.life
        peer = next((m for m in world.members.values() if m.bus_port == port), None)
        here = End(opener, life, link)
        if peer is None or not self.reachable(opener, peer) or not peer.alive:
            refused = peer is not None and self.reachable(opener, peer)
            delay = 1 if refused else world.random.randint(*CONNECT_FAILS_AFTER)
            world.after(delay, lambda: opener.run(life, lambda c, now: c.link_down(link, now)))
            return
        peer.last_accepted -= 1
        connection = Connection(here, End(peer, peer.life, peer.last_accepted), [0, 0])
        opener.connections[link] = connection
        peer.connections[peer.last_accepted] = connection
        world.after(
            world.random.randint(*LATENCY),
            lambda: here.alive and opener.run(life, lambda c, now: c.link_up(link, now)),
        )

    def send(self, sender: SimulatedMember, link: int, message: Message) -> None:
        connection = sender.connections.get(link)
        if connection is None:
            return
        world, faults, target = self.world, self.faults, connection.other(sender)
        if not self.reachable(sender, target.member) or world.random.random() < faults.loss:
            return
        copies = 2 if world.random.random() < faults.duplication else 1
        direction = 0 if target is connection.accepter else 1
        for _ in range(copies):
            arrival = world.now + world.random.randint(*LATENCY)
            if faults.delay:
                arrival += world.random.randint(0, faults.delay)
            else:
                arrival = connection.clear_at[direction] = max(arrival, connection.clear_at[direction])
            world.at(arrival, lambda: target.alive and target.member.take(message, target.link))

    def close(self, member: SimulatedMember, link: int) -> None:
        """`member` closes its end; the other notices, if it can be reached."""
        connection = member.connections.pop(link, None)
        if connection is None:
            return
        target = connection.other(member)
        if self.reachable(member, target.member):
            self.world.after(self.world.random.randint(*LATENCY), lambda: self._closed(target))

    def _closed(self, end: End) -> None:
        if end.alive:
            del end.member.connections[end.link]
            end.member.run(end.life, lambda c, now: c.link_down(end.link, now))
