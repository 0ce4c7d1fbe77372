"""The bus between simulated members: connections that do what networks do, and worse.

While `Faults` are zero a connection behaves like TCP on a good day: in order, nothing lost, and an end that
dies is noticed by the other. What a real network can do on top of that:

- a message is late, and with it all behind it (`stall`: retransmission, a full queue);
- the connection breaks, and what was under way is lost (`breaks`); each end notices in its own time;
- nothing passes between two members, or two groups, in both directions or in one; connection attempts fail
  after a while.

And what TCP never does: single messages get lost, doubled, or overtake each other (`loss`, `duplication`,
`delay`). The coordinator's promises must not depend on more than this. A partition is harsher than a real
one in the same way: what was sent into it is gone, where TCP would send it again after healing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.bus.wire import Decoder, encode
from cluster.coordinator.coordinator import Coordinator
from cluster.coordinator.effects import Effect
from cluster.coordinator.messages import Message
from cluster.local_facts import BUS_PORT_OFFSET

if TYPE_CHECKING:
    from tests.simulation.simulated_member import SimulatedMember
    from tests.simulation.world import World

LATENCY = (1, 6)
CONNECT_FAILS_AFTER = (200, 1500)
BREAK_NOTICED_AFTER = 3000


@dataclass
class Faults:
    """Probabilities per message, and the greatest extra delays in ms."""

    loss: float = 0.0
    duplication: float = 0.0
    delay: int = 0
    """Of single messages: reorders them."""
    stalls: float = 0.0
    stall: int = 0
    """Of everything behind a message, too: keeps the order."""
    breaks: float = 0.0

    @property
    def any(self) -> bool:
        return bool(self.loss or self.duplication or self.delay or self.stalls or self.breaks)


@dataclass(eq=False)
class End:
    """One end of a connection: whose, and under which link number. `life` tells restarts apart."""

    member: SimulatedMember
    life: int
    link: int
    clear_at: int = 0
    """When the last message to this end arrives; the next may not overtake it."""

    @property
    def alive(self) -> bool:
        return self.member.alive and self.member.life == self.life and self.link in self.member.connections


@dataclass(eq=False)
class Connection:
    opener: End
    accepter: End
    is_up: bool = False
    """The opener knows that it is; before that what it sends is dropped."""

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
        self.one_way: set[tuple[str, str]] = set()
        """(from, to): what the first sends does not reach the second."""
        self.coded = False
        """Messages go through the codec of the bus, and their bytes are counted."""
        self.messages = 0
        self.bytes = 0

    # --- who reaches whom

    def carries(self, a: SimulatedMember, b: SimulatedMember) -> bool:
        """Whether what `a` sends reaches `b`."""
        if self.one_way and (a.name, b.name) in self.one_way:
            return False
        if self.cuts and frozenset((a.name, b.name)) in self.cuts:
            return False
        if not self.groups:
            return True
        return any(a.name in group and b.name in group for group in self.groups)

    def reachable(self, a: SimulatedMember, b: SimulatedMember) -> bool:
        """Whether the two can talk: a connection needs both directions."""
        return self.carries(a, b) and self.carries(b, a)

    # --- connections

    def connect(self, opener: SimulatedMember, link: int, port: int) -> None:
        """Open a connection to the member that listens on bus port `port`, or fail."""
        world, life = self.world, opener.life
        peer = world.by_port.get(port - BUS_PORT_OFFSET)
        here = End(opener, life, link)
        if peer is None or not peer.alive or not self.reachable(opener, peer):
            refused = peer is not None and self.reachable(opener, peer)
            delay = 1 if refused else world.random.randint(*CONNECT_FAILS_AFTER)
            world.after(delay, lambda: opener.run(life, lambda c, now: c.link_down(link, now)))
            return
        peer.last_accepted -= 1
        connection = Connection(here, End(peer, peer.life, peer.last_accepted))
        opener.connections[link] = connection
        peer.connections[peer.last_accepted] = connection

        def come_up(coordinator: Coordinator, now: int) -> list[Effect]:
            connection.is_up = True
            return coordinator.link_up(link, now)

        world.after(world.random.randint(*LATENCY), lambda: here.alive and opener.run(life, come_up))

    def close(self, member: SimulatedMember, link: int) -> None:
        """`member` closes its end; the other notices, if it can be reached."""
        connection = member.connections.pop(link, None)
        if connection is None:
            return
        target = connection.other(member)
        if self.carries(member, target.member):
            self.world.after(self.world.random.randint(*LATENCY), lambda: self._closed(target))

    def _break(self, connection: Connection) -> None:
        for end in (connection.opener, connection.accepter):
            self.world.after(
                self.world.random.randint(1, BREAK_NOTICED_AFTER), lambda end=end: self._closed(end)
            )

    def _closed(self, end: End) -> None:
        if end.alive:
            del end.member.connections[end.link]
            end.member.run(end.life, lambda c, now: c.link_down(end.link, now))

    # --- messages

    def send(self, sender: SimulatedMember, link: int, message: Message) -> None:
        connection = sender.connections.get(link)
        if connection is None or not (connection.is_up or sender is connection.accepter.member):
            return
        self.messages += 1
        if self.coded:
            raw = encode(message)
            self.bytes += len(raw)
            (message,) = Decoder().feed(raw)
        target = connection.other(sender)
        if not self.carries(sender, target.member):
            return
        if self.faults.any:
            self._send_badly(connection, target, message)
        else:
            self._deliver(target, message, self.world.random.randint(*LATENCY))

    def _send_badly(self, connection: Connection, target: End, message: Message) -> None:
        faults, dice = self.faults, self.world.random
        if dice.random() < faults.loss:
            return
        if dice.random() < faults.breaks:
            self._break(connection)
            return
        for _ in range(2 if dice.random() < faults.duplication else 1):
            latency = dice.randint(*LATENCY)
            if dice.random() < faults.stalls:
                latency += dice.randint(0, faults.stall)
            if faults.delay:
                latency += dice.randint(0, faults.delay)
            self._deliver(target, message, latency, in_order=not faults.delay)

    def _deliver(self, target: End, message: Message, latency: int, *, in_order: bool = True) -> None:
        arrival = self.world.now + latency
        if in_order:
            arrival = target.clear_at = max(arrival, target.clear_at)
        self.world.at(arrival, lambda: target.alive and target.member.take(message, target.link))
