"""A coordinator among invented peers: tests say what a peer sends and look at what comes of it.

    rig = Rig(me=Peer("b", slots="0-99", epoch=1), others=[Peer("c", slots="100-16383", epoch=2)])
    rig.says("c", Ping, config_epoch=7)
    assert rig.sent(Pong)

Peers are named by one hex digit, their ids are it forty times. The coordinator starts from a nodes.conf that
knows them all, with links up in both directions.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from cluster.coordinator import effects as fx
from cluster.coordinator.coordinator import Coordinator, LinkInfo
from cluster.coordinator.messages import EXT_DATA, Gossip, Header, Pong
from cluster.coordinator.surroundings import Settings
from cluster.slots import parse_ranges
from cluster.topology import flags as flag
from cluster.topology.node import Node

START = 1_700_000_000_000
TIMEOUT = 2000
M = TypeVar("M")
E = TypeVar("E")


@dataclass
class Peer:
    name: str
    slots: str = ""
    epoch: int = 0
    of: str = ""
    """Name of its primary, for a replica."""
    was: str = ""
    """Name of the primary that has succeeded it."""

    @property
    def id(self) -> str:
        return self.name * 40

    @property
    def number(self) -> int:
        return int(self.name, 16)

    @property
    def flags(self) -> int:
        return flag.REPLICA if self.of else flag.PRIMARY

    def line(self, myself: bool) -> str:
        port = 7000 + self.number
        role = "slave" if self.of else "master"
        shard = (self.of or self.was or self.name) + "0" * 39
        flags = f"myself,{role}" if myself else role
        return (
            f"{self.id} 127.0.0.1:{port}@{port + 10000},,tls-port=0,shard-id={shard} "
            f"{flags} {self.of * 40 or '-'} 0 1 {self.epoch} connected {self.slots}"
        )


class Facts:
    """The worker's facts, as the test sets them."""

    def __init__(self, *, kept_everything: bool = True) -> None:
        self.kept_everything = kept_everything
        self.offset = 0
        self.last_seen = START
        self.link_up = False
        self.whole_copy = True
        self.keys: dict[int, int] = {}

    def primary_link_up(self) -> bool:
        return self.link_up

    def has_whole_copy(self) -> bool:
        return self.whole_copy

    def replication_offset(self) -> int:
        return self.offset

    def primary_last_seen(self) -> int:
        return self.last_seen

    def kept_every_write(self) -> bool:
        return self.kept_everything

    def keys_in_slot(self, slot: int) -> int:
        return self.keys.get(slot, 0)

    def is_empty(self) -> bool:
        return not self.keys


class Rig:
    def __init__(
        self,
        me: Peer,
        others: list[Peer],
        epoch: int | None = None,
        kept_everything: bool = True,
        silent: str = "",
        **settings: Any,
    ) -> None:
        """`silent`: names of those that are not heard at the start."""
        self.now = START
        self.facts = Facts(kept_everything=kept_everything)
        self.peers = {peer.name: peer for peer in [me, *others]}
        current = max(peer.epoch for peer in self.peers.values()) if epoch is None else epoch
        text = "\n".join(peer.line(peer is me) for peer in self.peers.values())
        text += f"\nvars currentEpoch {current} lastVoteEpoch 0\n"
        port = 7000 + me.number
        self.settings = Settings(port=port, bus_port=port + 10000, node_timeout=TIMEOUT, **settings)
        self.coordinator = Coordinator(self.settings, self.facts, random.Random(1), self.now, text)
        self.effects: list[fx.Effect] = []
        self.do(self.coordinator.start(self.now))
        self.tick()
        for node in list(self.coordinator.topology.nodes.values()):
            if node.link is not None:
                self.do(self.coordinator.link_up(node.link, self.now))
        for peer in others:
            if peer.name not in silent:
                self.answers(peer.name)
        self.effects.clear()

    def do(self, effects: list[fx.Effect]) -> list[fx.Effect]:
        self.effects += effects
        return effects

    def command(self, name: str, *args: Any) -> list[fx.Effect]:
        return self.do(getattr(self.coordinator, name)(*args, self.now))

    def tick(self, ms: int = 0) -> None:
        """Let `ms` pass, then call `tick` once."""
        self.now += ms
        self.do(self.coordinator.tick(self.now))

    def pass_time(self, ms: int, answering: str = "") -> None:
        """Let time pass with a tick every 100 ms; peers named in `answering` answer pings."""
        for _ in range(ms // 100):
            self.tick(100)
            for name in answering:
                self.answers(name)

    # --- peers

    def node(self, name: str) -> Node:
        return self.coordinator.topology.nodes[name * 40]

    @property
    def me(self) -> Node:
        return self.coordinator.myself

    def header(self, name: str, **fields: Any) -> Header:
        """What this peer would say of itself; `fields` to make it say something else."""
        peer = self.peers[name]
        speaks_for = self.peers[peer.of] if peer.of else peer
        header = Header(
            sender=peer.id,
            current_epoch=self.coordinator.topology.current_epoch,
            config_epoch=speaks_for.epoch,
            offset=0,
            slots=parse_ranges(speaks_for.slots),
            replica_of=peer.of * 40 or None,
            ip="",
            port=7000 + peer.number,
            other_port=0,
            bus_port=17000 + peer.number,
            flags=peer.flags,
            cluster_ok=True,
            message_flags=EXT_DATA,
        )
        return replace(header, **fields)

    def says(
        self, name: str, kind: Any, *body: Any, outbound: bool = False, **fields: Any
    ) -> list[fx.Effect]:
        """The peer sends a message over its link to us, or (`outbound`) over ours to it."""
        link = -self.peers[name].number
        if outbound:
            own = self.node(name).link
            assert own is not None
            link = own
        info = LinkInfo(link, "127.0.0.1", "127.0.0.1")
        return self.do(self.coordinator.step(kind(self.header(name, **fields), *body), info, self.now))

    def answers(self, name: str, **fields: Any) -> list[fx.Effect]:
        """The peer's pong to our ping."""
        return self.says(name, Pong, outbound=True, **fields)

    def gossip(self, name: str, flags: int = 0, **fields: Any) -> Gossip:
        """An entry about that peer."""
        peer = self.peers[name]
        port = 7000 + peer.number
        entry = Gossip(peer.id, 0, self.now // 1000, "127.0.0.1", port, port + 10000, peer.flags | flags, 0)
        return entry._replace(**fields)

    # --- what came of it

    def sent(self, kind: type[M]) -> list[M]:
        """Messages of this kind sent since the last look, each once however many links it went over."""
        found = [e.message for e in self.effects if isinstance(e, fx.Send) and isinstance(e.message, kind)]
        self.effects = [e for e in self.effects if not (isinstance(e, fx.Send) and e.message in found)]
        return found

    def receivers(self, kind: type[Any]) -> set[str]:
        """Names of those to whom such messages were sent since the last look at `effects`."""
        links = {node.link: node.id[0] for node in self.coordinator.topology.nodes.values()}
        return {
            links[link]
            for effect in self.effects
            if isinstance(effect, fx.Send) and isinstance(effect.message, kind)
            for link in effect.links
            if link in links
        }

    def happened(self, kind: type[E]) -> list[E]:
        """Effects of this kind since the last look."""
        found = [effect for effect in self.effects if isinstance(effect, kind)]
        self.effects = [effect for effect in self.effects if not isinstance(effect, kind)]
        return found

    def logged(self, words: str) -> bool:
        return any(isinstance(effect, fx.Log) and words in effect.text for effect in self.effects)
