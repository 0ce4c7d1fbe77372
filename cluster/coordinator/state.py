"""Everything a coordinator remembers, and the few verbs its rules are written in.

The rules live in the files beside this one, by concept, as functions of a `State`. They change the
topology at once, but only *ask* for what should happen once per call however often it is asked for:
saving the configuration, judging the cluster's state anew, telling everybody (`Todo`). The coordinator
does these at the end of each call, and `take_effects` puts the saving first, so that nothing leaves
this node before what it rests on is on disk.

What must not be forgotten (a vote, an own epoch, that slots changed hands) is saved with fsync in the call
that decided it, and so is what an operator asked for before the reply. What was merely heard, and
would be heard again, can wait: in a large cluster it changes all the time, and a file with a line per node
is written for it at most once in a while that grows with the number of nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cluster.coordinator.effects import (
    Connect,
    Disconnect,
    Effect,
    LinkId,
    Log,
    SaveConfig,
    Send,
    SlotsChanged,
)
from cluster.coordinator.messages import Header, Message, MessageType, Published
from cluster.coordinator.surroundings import LocalFacts, RandomSource, Settings
from cluster.coordinator.tenancy import Tenancy
from cluster.topology import flags as flag
from cluster.topology.node import Node
from cluster.topology.nodes_conf import format_config
from cluster.topology.topology import Topology

SAVE_PAUSE_PER_NODE = 1
"""Milliseconds between two savings of what is only hearsay: formatting the file takes some microseconds per
node, so this keeps it below one percent of the time."""


@dataclass(slots=True)
class Election:
    """This node's own candidature: as a replica, to take its primary's place."""

    starts_at: int = 0
    """When votes are, or were last, asked for."""
    voters: set[str] = field(default_factory=set)
    """Who voted for us in this election."""
    requested: bool = False
    fences: dict[str, int] = field(default_factory=dict)
    """Replicas that have left our primary for this election: id → their offset."""
    rank: int = 0
    """How many replicas of the same primary have more of its data."""
    epoch: int = 0
    """The epoch the votes are for."""
    asks_again_at: int = 0
    """When to ask in a new epoch, unless we have won; 0 while nobody else has asked in this one."""
    repetitions: int = 0
    """How often we have asked again so."""
    obstacle: str = ""
    """Why there is no failover yet: the text last logged."""
    logged_at: int = 0


@dataclass(slots=True)
class ManualFailover:
    """A failover that an operator asked for; on the replica that asks and on the primary that waits."""

    ends_at: int = 0
    """When it is given up; 0 while there is none."""
    replica: Node | None = None
    """On the primary: for whom the clients are paused."""
    paused: bool = False
    """On the primary: the worker has stopped writing, so its offset is final."""
    primary_offset: int | None = None
    """On the replica: how far the paused primary's stream goes."""
    can_start: bool = False
    """On the replica: all of it has been processed, votes may be asked for."""


@dataclass(slots=True)
class Copy:
    """What a synchronous replica knows of its own data."""

    target: int | None = None
    """How far the primary's stream went after we began to follow it with the data we have."""
    is_complete: bool = False
    """We have got so far."""


@dataclass(slots=True)
class Comeback:
    """On a synchronous primary that was started again: may it serve? The rules are in abdication.py."""

    began_at: int
    complete: dict[str, bool] = field(default_factory=dict)
    """What replicas have said since of their copies, by id."""
    gives_way: bool = False
    told_at: int = 0
    logged_at: int = 0


@dataclass(slots=True)
class Todo:
    """What was asked for during the current call."""

    save: bool = False
    """Save the configuration in this call."""
    update_state: bool = False
    broadcast_pong: bool = False
    failover: bool = False
    manual_failover: bool = False


HISTORY = ("failures_seen", "elections", "elections_won", "failovers", "votes")
"""What is counted. An election that was repeated counts again; a failover is also one without a vote."""


@dataclass(slots=True)
class State:
    settings: Settings
    facts: LocalFacts
    random: RandomSource
    topology: Topology
    now: int
    """Unix ms of the current call."""
    ok: bool = False
    """The cluster's state as this node sees it."""
    size: int = 0
    """Primaries with slots: those who vote."""
    judged_first_at: int = 0
    """When the cluster's state was first looked at after the start; 0 before that."""
    judge_again_at: int = 0
    """When the cluster's state may change by itself; 0: it does not."""
    minority_at: int = 0
    """When this node last saw only a minority of the primaries."""
    election: Election = field(default_factory=Election)
    manual: ManualFailover = field(default_factory=ManualFailover)
    tenancy: Tenancy = field(default_factory=Tenancy)
    copy: Copy = field(default_factory=Copy)
    comeback: Comeback | None = None
    """None once it is decided."""
    postponed: tuple[Node, Header] | None = None
    """A request for our vote that comes too early."""
    left_at: int = 0
    """When we last left our primary in order to move to an orphaned one."""
    forgotten: dict[str, int] = field(default_factory=dict)
    """Nodes not to be added again from gossip: id → until when."""
    unsaved: bool = False
    """nodes.conf does not say all it should."""
    unsynced: bool = False
    """What it does not say must outlive a power cut."""
    save_at: int = 0
    """No sooner than this is it saved again, unless it is urgent."""
    todo: Todo = field(default_factory=Todo)
    links: dict[LinkId, Node] = field(default_factory=dict)
    """Which node a link leads to or comes from; accepted links are entered when their sender is known."""
    announced_ip: str = ""
    """The address this node was last told to present itself with; empty if it finds out by itself."""
    following: str = ""
    """The primary this node was last told to replicate."""
    suspects: list[Node] = field(default_factory=list)
    """Nodes that were PFAIL at the last tick, or have become so since: all heartbeats tell of them."""
    sent: list[int] = field(default_factory=lambda: [0] * len(MessageType))
    received: list[int] = field(default_factory=lambda: [0] * len(MessageType))
    history: dict[str, int] = field(default_factory=lambda: dict.fromkeys(HISTORY, 0))
    is_interrupted: bool = False
    """This worker is in the middle of a command that runs long."""
    ticks: int = 0
    last_link: LinkId = 0
    effects: list[Effect] = field(default_factory=list)

    @property
    def myself(self) -> Node:
        return self.topology.myself

    @property
    def quorum(self) -> int:
        """A majority of the primaries that vote."""
        return self.size // 2 + 1

    def trust_own_slots(self) -> None:
        """What this node owns, it owns by now: after a start it need not wait for anybody to object."""
        self.judged_first_at = 1

    def log(self, level: str, text: str) -> None:
        self.effects.append(Log(level, text))

    def emit(self, effect: Effect) -> None:
        self.effects.append(effect)

    def save_later(self, *, sync: bool = False, soon: bool = False) -> None:
        """Write nodes.conf; `sync`: by fsync, before the other effects of this call are performed, or else
        `soon`."""
        self.unsaved = True
        self.unsynced |= sync
        self.todo.save |= sync and not soon

    def new_id(self) -> str:
        """40 random hex characters: a node or shard id."""
        return f"{self.random.getrandbits(160):040x}"

    # --- links

    def open_link(self, node: Node) -> None:
        self.last_link += 1
        node.link = self.last_link
        node.link_created_at = self.now
        node.flags &= ~flag.LIGHT
        self.links[node.link] = node
        self.emit(Connect(node.link, node.ip, node.bus_port))

    def drop_link(self, node: Node) -> None:
        """Close our link to `node`, if there is one; the next tick opens a new one."""
        if node.link is not None:
            self.links.pop(node.link, None)
            self.emit(Disconnect(node.link))
            node.link = None

    def bind_inbound(self, node: Node, link: LinkId) -> None:
        """This accepted link comes from `node`; an older one of the same node is closed."""
        if node.inbound_link == link:
            return
        self.drop_inbound(node)
        node.inbound_link = link
        self.links[link] = node

    def drop_inbound(self, node: Node) -> None:
        if node.inbound_link is not None:
            self.links.pop(node.inbound_link, None)
            self.emit(Disconnect(node.inbound_link))
            node.inbound_link = None

    def send(self, message: Message | Published, *links: LinkId | None) -> None:
        """Send over those of `links` that exist."""
        targets = tuple(link for link in links if link is not None)
        if targets:
            count = len(message.messages) if isinstance(message, Published) else 1
            self.sent[message.type] += count * len(targets)
            self.emit(Send(targets, message))

    def broadcast(self, message: Message) -> None:
        """Send to every node that is known by name and has a link."""
        self.send(message, *(node.link for node in self.peers()))

    def peers(self) -> list[Node]:
        """All nodes but this one and those in handshake."""
        return [node for node in self.topology.members if not node.flags & (flag.MYSELF | flag.HANDSHAKE)]

    def take_effects(self, *, prompt: bool) -> list[Effect]:
        """The effects of this call, saving first; empties the list. `prompt`: save whatever is unsaved."""
        effects = self.effects
        self.effects = []
        if self.topology.touched:
            effects.append(SlotsChanged(self.topology.touched))
            self.topology.touched = 0
        if self.unsaved and (prompt or self.todo.save or self.now >= self.save_at):
            text = format_config(self.topology, tls=self.settings.tls_cluster)
            effects.insert(0, SaveConfig(text, self.unsynced))
            self.unsaved = self.unsynced = False
            self.save_at = self.now + len(self.topology.nodes) * SAVE_PAUSE_PER_NODE
        self.todo = Todo()
        return effects
