"""A worker reduced to what the coordinator needs: a disk for nodes.conf, a replication stream, some keys.

It performs the coordinator's effects as the real shell must, and is itself strict about them: a vote that
leaves before its epoch is on disk fails the test. Replication is a counter: a primary that may write
grows its offset, a replica that reaches its primary copies it, at each tick.

It can die in three ways: as a process, which leaves its files; by a power cut, which leaves what was synced;
with its disk, after which it is a new and empty node. And it can stand still: what reaches it meanwhile,
its own timer included, comes late and all at once.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from cluster.coordinator import effects as fx
from cluster.coordinator.coordinator import Coordinator, LinkInfo
from cluster.coordinator.messages import FailoverAuthAck, Message
from cluster.coordinator.surroundings import Settings
from cluster.local_facts import BUS_PORT_OFFSET
from cluster.meanwhile import part
from cluster.slots import SLOT_COUNT, contains, ranges
from cluster.topology.node import Node
from tests.simulation.clock import Clock
from tests.simulation.network import LATENCY

if TYPE_CHECKING:
    from tests.simulation.world import World

TICK = 100
IP = "10.0.0.1"
Call = Callable[[Coordinator, int], list[fx.Effect]]


class SimulatedMember:
    """Also the `LocalFacts` of its coordinator."""

    def __init__(self, world: World, name: str, port: int, node_timeout: int) -> None:
        self.world = world
        self.name = name
        self.settings = Settings(port=port, bus_port=port + BUS_PORT_OFFSET, node_timeout=node_timeout)
        self.clock = Clock(world)
        self.life = 0
        self.alive = False
        self.paused = False
        self.backlog: list[Callable[[], None]] = []
        self.saved = ""
        """nodes.conf as a power cut leaves it: up to the last fsync."""
        self.written = ""
        """nodes.conf as a process that dies leaves it."""
        self.keys: dict[int, int] = {}
        self.start()

    def __repr__(self) -> str:
        return self.name

    # --- life

    def start(self) -> None:
        """Start, or start again from what is on disk; data is gone unless this member is a primary."""
        self.life += 1
        self.alive, self.paused = True, False
        self.clock.restart()
        self.backlog.clear()
        self.put_off: list[fx.Effect] | None = None
        """Effects that wait for the end of a long command; None while there is none."""
        self.connections: dict[int, object] = {}
        self.last_accepted = 0
        self.following: int | None = None
        self.offset = 0
        self.last_seen = 0
        self.link_up = False
        self.routes: list[Node | None] = [None] * SLOT_COUNT
        """Whom a worker would send clients to, kept up to date by nothing but `SlotsChanged`."""
        self.writes_paused_until = 0
        self.paused_at: int | None = None
        """Offset at which writes were last paused for a manual failover."""
        self.leased_until: int | None = None
        """By its own clock: how long it may tell clients of its data; None: without limit."""
        self.lapsed = False
        dice = random.Random(f"{self.world.seed}/{self.name}/{self.life}")
        self.coordinator = Coordinator(self.settings, self, dice, self.clock.now, self.written or None)
        life = self.life
        self.run(life, lambda c, now: c.start(now))
        self.world.after(dice.randrange(TICK), lambda: self._tick(life))

    def crash(self, *, power_cut: bool = False, disk_lost: bool = False) -> None:
        """The process dies and its connections with it.

        At a power cut nobody is told, and of nodes.conf what was not synced is lost; with the disk, all is.
        """
        if disk_lost:
            self.saved = ""
            self.keys.clear()
        if power_cut or disk_lost:
            self.written = self.saved
            self.connections.clear()
        else:
            for member in self.world.living:
                if member.following == self.settings.port and self.world.network.carries(self, member):
                    member.stream_ends()
        for link in list(self.connections):
            self.world.network.close(self, link)
        self.alive = False

    def stream_ends(self) -> None:
        """As a replica: the primary's process has ended, and the connection to it with it."""

        def note() -> None:
            self.link_up = False
            self.run(life, Coordinator.wake)

        life = self.life
        self.world.after(self.world.random.randint(*LATENCY), note)

    def pause(self) -> None:
        """Everything that reaches this member waits, as under SIGSTOP."""
        self.paused = True

    def resume(self) -> None:
        """All that waited comes at once, the timer first or last."""
        self.paused = False
        waiting, self.backlog = self.backlog, []
        timer_at = self.world.random.choice([0, len(waiting)])
        waiting.insert(timer_at, lambda: self.run(self.life, Coordinator.tick))
        for call in waiting:
            call()

    def begin_long_command(self) -> None:
        """The bus is served in the middle of it, and nothing may change under it: as cluster/meanwhile.py."""
        self.coordinator.is_interrupted = True
        self.put_off = []

    def end_long_command(self, life: int) -> None:
        if self.put_off is None or life != self.life or not self.alive:
            return
        if self.paused:
            self.backlog.append(lambda: self.end_long_command(life))
            return
        effects, self.put_off = self.put_off, None
        self.coordinator.is_interrupted = False
        self.perform(effects)

    # --- the coordinator's shell

    def run(self, life: int, call: Call) -> None:
        """Let the coordinator do something, and carry out what it wants."""
        if not self.alive or life != self.life:
            return
        if self.paused:
            self.backlog.append(lambda: self.run(life, call))
            return
        self._look_at_lease()
        self.perform(call(self.coordinator, self.clock.now))
        self.world.invariants.check(self)

    def take(self, message: Message, link: int) -> None:
        if self.paused:
            self.backlog.append(lambda: self.take(message, link))
        elif self.alive:
            self._look_at_lease()
            effects = self.coordinator.step(message, LinkInfo(link, IP, IP), self.clock.now)
            self.perform(effects)
            self.world.invariants.check(self, message.header.sender)

    @property
    def may_tell_clients(self) -> bool:
        """Whether it would answer a client that it has written, or what it has read."""
        in_time = self.leased_until is None or self.clock.now <= self.leased_until
        return self.alive and not self.paused and not self.lapsed and in_time

    def _look_at_lease(self) -> None:
        """Before anything else: a worker notices by itself that its time is over."""
        if not self.lapsed and self.leased_until is not None and self.clock.now > self.leased_until:
            self.lapsed = True
            self.perform(self.coordinator.lapsed(self.clock.now))

    def _tick(self, life: int) -> None:
        if not self.alive or life != self.life:
            return
        self.world.after(round(TICK / self.clock.rate), lambda: self._tick(life))
        if not self.paused:
            self._replicate()
            self.run(life, Coordinator.tick)

    def _wake(self, at: int, life: int) -> None:
        self.world.at(self.clock.world_time(at), lambda: self.run(life, Coordinator.wake))

    def _replicate(self) -> None:
        me, now = self.coordinator.myself, self.clock.now
        if me.is_primary:
            if self.coordinator.ok and me.slots and now >= self.writes_paused_until:
                self.offset += self.world.random.randint(0, 50)
            return
        source = self.world.by_port.get(self.following or 0)
        self.link_up = bool(
            source and source.alive and not source.paused and self.world.network.reachable(self, source)
        )
        if source is not None and self.link_up:
            self.offset = (
                max(self.offset, source.offset) if source.following == self.settings.port else source.offset
            )
            self.keys = dict(source.keys)
            self.last_seen = now

    def perform(self, effects: list[fx.Effect]) -> None:
        network = self.world.network
        if self.put_off is not None:
            effects, later = part(effects)
            self.put_off += [effect for effect in later if not isinstance(effect, fx.SaveConfig)]
        for number, effect in enumerate(effects):
            match effect:
                case fx.SaveConfig(text, sync):
                    assert number == 0, "the configuration must be saved before anything else happens"
                    self.written = text
                    if sync:
                        self.saved = text
                    self.world.invariants.saved(self, synced=sync)
                case fx.Connect(link, _, bus_port):
                    network.connect(self, link, bus_port)
                case fx.Disconnect(link):
                    network.close(self, link)
                case fx.Send(links, message):
                    # A replica that answers gives no vote: it says how much data it has (fences.py).
                    if isinstance(message, FailoverAuthAck) and message.header.replica_of is None:
                        self._check_vote(links, message)
                    for link in links:
                        network.send(self, link, message)
                case fx.BecomeReplicaOf(_, _, port):
                    self.following, self.link_up = port, False
                case fx.BecomePrimary():
                    self.following = None
                case fx.DeleteKeys(slots):
                    self.keys = {slot: n for slot, n in self.keys.items() if not contains(slots, slot)}
                case fx.SlotsChanged(slots):
                    for first, last in ranges(slots):
                        self.routes[first : last + 1] = self.coordinator.topology.slots[first : last + 1]
                case fx.EmptyDatabase():
                    self.keys.clear()
                case fx.PauseWrites(until):
                    self.offset += self.world.random.randint(0, 50)  # What pausing itself has to write.
                    self.writes_paused_until, self.paused_at = until, self.offset
                    self.run(self.life, Coordinator.writes_paused)
                case fx.ResumeWrites():
                    self.writes_paused_until = 0
                case fx.Lapse():
                    self.lapsed = True
                case fx.Lease(until, renewed):
                    if until is None or renewed or not self.lapsed:
                        self.leased_until = until
                        self.lapsed = False
                case fx.Wake(at):
                    self._wake(at, self.life)
                case fx.Log(level, text) if level != "debug":
                    self.world.tell(f"{self.name}: {text}")
                case _:
                    pass

    def _check_vote(self, links: tuple[int, ...], message: FailoverAuthAck) -> None:
        epoch = message.header.current_epoch
        assert f"lastVoteEpoch {epoch}\n" in self.saved, "a vote left before its epoch was on disk"
        (link,) = links
        node = next(n for n in self.coordinator.topology.nodes.values() if n.link == link)
        self.world.invariants.vote(self, epoch, node.id)

    # --- LocalFacts

    def replication_offset(self) -> int:
        return self.offset

    def primary_link_up(self) -> bool:
        return self.link_up

    def has_whole_copy(self) -> bool:
        return self.last_seen > 0

    def kept_every_write(self) -> bool:
        return True

    def primary_last_seen(self) -> int:
        return self.last_seen

    def keys_in_slot(self, slot: int) -> int:
        return self.keys.get(slot, 0)

    def is_empty(self) -> bool:
        return not self.keys
