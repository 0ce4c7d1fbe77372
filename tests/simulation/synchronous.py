"""Members with `synchronous-replicas`, whose data is followed closely enough to say what is lost.

Data is a place in a history: so many bytes of a stream that one primary wrote after another. A member that
is promoted begins a history of its own, at the place it had reached; what its predecessor writes after that
is in another one. So of any data it can be said whether a promise is in it.

A primary that serves *promises* at each tick what enough replicas have acknowledged, unless its lease has
lapsed, and each time it may look at its data at all (a client's read), all that was ever promised for its
slots must be there. That is what linearizability needs of a failover.

Who dies forgets a part of its data, in most worlds primaries, too; in the others they keep it, as with an
append-only file that is always synced. After a failover the new primary is the only one that has all for
sure, until others have copied it. What so many have forgotten that nobody is left who surely has it, is not
promised any more. Orders that break the rule by intention (FAILOVER FORCE), and witnesses who lie, are left
out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cluster.coordinator import effects as fx
from tests.simulation.network import LATENCY
from tests.simulation.simulated_member import SimulatedMember
from tests.simulation.world import World


@dataclass(eq=False)
class History:
    """What one primary wrote, after what it had when it became one."""

    parent: History | None = None
    begins: int = 0

    def has(self, reached: int, other: History, offset: int) -> bool:
        """Whether the data at `reached` of this history has what another has up to `offset`."""
        history: History | None = self
        while history is not None and history is not other:
            reached = min(reached, history.begins)
            history = history.parent
        return history is not None and offset <= reached


class SynchronousMember(SimulatedMember):
    world: SynchronousWorld

    def start(self) -> None:
        first = not hasattr(self, "history")
        history, had = (History(), 0) if first else (self.history, self.offset)
        forgets = not first and (self.coordinator.myself.is_replica or self.world.all_forget)
        kept = self.world.random.randint(0, had) if forgets else had
        self.history = History(history, kept) if forgets else history
        self.intact = not forgets
        """It surely has what it acknowledged."""
        self.whole = False
        self.away_until = 0
        self.acks: dict[str, int] = {}
        self.promised = 0
        self.settings.synchronous_replicas = self.world.wanted
        super().start()
        self.offset = kept
        self.world.forgot()

    # --- the shell

    def perform(self, effects: list[fx.Effect]) -> None:
        followed = self.following
        super().perform(effects)
        for effect in effects:
            match effect:
                case fx.BecomePrimary():
                    self.history = History(self.history, self.offset)
                    self.acks.clear()
                    self.promised = 0
                    self.world.read(self)
                    for other in self.world.others_of_shard(self):
                        other.intact = False  # its data is not asked for any more
                case fx.BecomeReplicaOf():
                    self.whole, self.away_until = False, 0
                    if self.following != followed:
                        self.intact = False
                        self.world.forgot()
                case fx.LeavePrimary(ms):
                    self.away_until, self.link_up = self.clock.now + ms, False

    # --- data

    def _replicate(self) -> None:
        if self.coordinator.myself.is_primary:
            self._write()
        else:
            self._copy()

    def _write(self) -> None:
        me = self.coordinator.myself
        if not (self.coordinator.ok and me.slots):
            return
        if self.clock.now >= self.writes_paused_until:
            self.offset += self.world.random.randint(0, 50)
        if not self.may_tell_clients:
            return
        self.intact = True
        self.world.read(self)
        acknowledged = sorted(self.acks.values(), reverse=True)[self.world.wanted - 1 :]
        if acknowledged and acknowledged[0] > self.promised:
            self.promised = acknowledged[0]
            self.world.promise(self)

    def _copy(self) -> None:
        source = self.world.by_port.get(self.following or 0)
        assert source is None or isinstance(source, SynchronousMember)
        self.link_up = (
            source is not None
            and source.alive
            and not source.paused
            and source.coordinator.may_feed_replicas
            and self.clock.now >= self.away_until
            and self.world.network.reachable(self, source)
        )
        if source is None or not self.link_up:
            return
        self.last_seen = self.clock.now
        self.history, self.offset, self.whole = source.history, source.offset, True
        self.intact = source.intact
        name, life, history, offset = self.name, source.life, source.history, source.offset
        self.world.after(
            self.world.random.randint(*LATENCY), lambda: source.take_ack(name, life, history, offset)
        )

    def take_ack(self, name: str, life: int, history: History, offset: int) -> None:
        if self.paused:
            self.backlog.append(lambda: self.take_ack(name, life, history, offset))
        elif self.alive and life == self.life and history is self.history:
            self.acks[name] = max(offset, self.acks.get(name, 0))

    def has_whole_copy(self) -> bool:
        return self.whole

    def kept_every_write(self) -> bool:
        return not self.world.all_forget


class SynchronousWorld(World):
    """`wanted`: synchronous-replicas."""

    def __init__(self, seed: int, wanted: int) -> None:
        super().__init__(seed)
        self.wanted = wanted
        self.promises: dict[int, tuple[History, int]] = {}
        """By the first slot of a shard: what was last promised."""
        self.promised = 0
        self.failovers = 0
        self.all_forget = self.random.random() < 0.7
        """Primaries, too, that is."""

    def make_member(self, name: str, port: int) -> SimulatedMember:
        return SynchronousMember(self, name, port, self.node_timeout)

    def others_of_shard(self, member: SynchronousMember) -> Iterator[SynchronousMember]:
        shard = member.coordinator.myself.shard_id
        for other in self.members.values():
            assert isinstance(other, SynchronousMember)
            if other is not member and other.coordinator.myself.shard_id == shard:
                yield other

    def read(self, member: SynchronousMember) -> None:
        """A client of `member` may see its data now."""
        promise = self.promises.get(_shard(member))
        if promise is not None:
            assert member.history.has(member.offset, *promise), (
                f"{member} serves, and lacks what was acknowledged"
            )

    def forgot(self) -> None:
        """Somebody did: see whether any has what was promised."""
        for shard, promise in list(self.promises.items()):
            members = [m for m in self.members.values() if isinstance(m, SynchronousMember) and m.intact]
            if not any(member.history.has(member.offset, *promise) for member in members):
                self.tell(f"--- nobody has what was promised for shard {shard}")
                del self.promises[shard]

    def promise(self, member: SynchronousMember) -> None:
        before = self.promises.get(_shard(member))
        self.failovers += before is not None and before[0] is not member.history
        self.promises[_shard(member)] = member.history, member.promised
        self.promised += 1


def _shard(member: SynchronousMember) -> int:
    slots = member.coordinator.myself.slots
    return (slots & -slots).bit_length()
