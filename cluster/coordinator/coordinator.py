"""The cluster's brain as seen from outside: messages, time and commands in, effects out.

One coordinator lives in each worker. It has no leader above it and touches nothing: `step` takes a
message of the bus, `tick` the time, the command methods what an operator asked; all return the list of
effects (`effects.py`) that the shell then performs. The decisions themselves are in the files beside
this one, by concept; this one only leads to them.

Call `start` once and `tick` every 100 ms. `now` is in ms everywhere, of a clock that never goes back and
does not jump when somebody sets the time (`node/core/steady_clock`): only differences count. It starts at
Unix time, so that members can believe each other's gossip of answers, and save pings; where their clocks
differ, they ping. Commands raise `ReplyError` with Redis' words, and then have changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cluster.coordinator import node_commands, slot_commands, witness
from cluster.coordinator.abdication import come_back, decide_comeback
from cluster.coordinator.announce import apply_settings, build_header
from cluster.coordinator.cluster_state import judge
from cluster.coordinator.effects import Effect, LinkId
from cluster.coordinator.elections import run_election
from cluster.coordinator.epochs import bump_past_a_secret, bump_without_consensus
from cluster.coordinator.failure_detector import failure_report_count, share_suspicions, suspect_if_silent
from cluster.coordinator.heartbeat import (
    broadcast_pong,
    keep_links,
    link_established,
    needing_attention,
    ping_if_due,
    ping_someone,
    renew_silent_link,
)
from cluster.coordinator.lease import lapse, settle_lease
from cluster.coordinator.manual_failover import (
    advance_manual_failover,
    expire_manual_failover,
    tell_final_offset,
)
from cluster.coordinator.membership import follow_primary, remove_node
from cluster.coordinator.messages import Header, LightPublish, Message, Published
from cluster.coordinator.receive import receive
from cluster.coordinator.replica_migration import migrate_if_spare
from cluster.coordinator.report import cluster_info
from cluster.coordinator.state import State
from cluster.coordinator.surroundings import LocalFacts, RandomSource, Settings
from cluster.coordinator.voting import reconsider_vote
from cluster.slots import SLOT_COUNT
from cluster.topology import flags as flag
from cluster.topology.node import Node
from cluster.topology.nodes_conf import format_node, format_nodes, parse_config
from cluster.topology.topology import Topology

SECOND = 1000


@dataclass(frozen=True, slots=True)
class LinkInfo:
    """Where a message came from."""

    id: LinkId
    """Positive: a link the coordinator asked for (`Connect`). Negative: one that the shell accepted."""
    remote_ip: str
    """The peer's address as the socket shows it."""
    local_ip: str
    """Our own address on this link: how a new node learns its IP from a MEET."""


class Coordinator:
    """One member's part in the cluster."""

    def __init__(
        self,
        settings: Settings,
        facts: LocalFacts,
        random: RandomSource,
        now: int,
        config_text: str | None = None,
    ) -> None:
        """`config_text` is the saved nodes.conf, None or empty for a new node, which gets a random id.

        Raises `ConfigError` (topology/nodes_conf.py) if it cannot be used.
        """

        def new_id() -> str:
            return f"{random.getrandbits(160):040x}"

        self._is_new = not config_text
        if config_text:
            topology = parse_config(config_text, now, new_id, tls=settings.tls_cluster)
        else:
            topology = Topology(Node(new_id(), flag.PRIMARY, new_id()))
        self._state = State(settings, facts, random, topology, now)
        if config_text:
            self._state.tenancy.is_of_old = True
            come_back(self._state)

    # --- what the shell may look at, but not change

    @property
    def topology(self) -> Topology:
        """Nodes, owners of slots, slots in motion, epochs."""
        return self._state.topology

    @property
    def myself(self) -> Node:
        return self._state.topology.myself

    @property
    def ok(self) -> bool:
        """cluster_state"""
        return self._state.ok

    @property
    def size(self) -> int:
        """Primaries that own slots."""
        return self._state.size

    @property
    def may_feed_replicas(self) -> bool:
        """Replicas lose nothing by copying what this node has."""
        return self._state.comeback is None

    def header(self) -> Header:
        """Of a message that leaves now, and is not the coordinator's own."""
        return build_header(self._state)

    @property
    def history(self) -> Mapping[str, int]:
        """How often what has happened, in the words of `State`."""
        return self._state.history

    def info(self) -> dict[str, int | str]:
        """The fields of CLUSTER INFO, in order."""
        return cluster_info(self._state)

    def nodes_text(self, *, tls: bool = False, outside: bool = False) -> str:
        """The answer of CLUSTER NODES, for a client that came over TLS, or from outside."""
        return format_nodes(self.topology, tls=tls, outside=outside)

    def node_line(self, node: Node, *, tls: bool = False, outside: bool = False) -> str:
        """One line of CLUSTER NODES, as CLUSTER REPLICAS lists them."""
        return format_node(node, self.topology, tls=tls, outside=outside)

    def failure_report_count(self, node: Node, now: int) -> int:
        """CLUSTER COUNT-FAILURE-REPORTS"""
        self._state.now = now
        return failure_report_count(self._state, node)

    @property
    def is_interrupted(self) -> bool:
        """The worker is in the middle of a command that runs long: it shall not become primary now."""
        return self._state.is_interrupted

    @is_interrupted.setter
    def is_interrupted(self, interrupted: bool) -> None:
        self._state.is_interrupted = interrupted

    # --- inputs

    def start(self, now: int) -> list[Effect]:
        """Begin. The worker's data is loaded: slots that hold keys here must be known to be somebody's."""

        def begin(state: State) -> None:
            apply_settings(state)
            if self._is_new:
                state.log("notice", f"No cluster configuration found, I'm {state.myself.id}")
                state.save_later(sync=True)
            else:
                state.log("notice", f"Node configuration loaded, I'm {state.myself.id}")
            _reconcile_with_data(state)
            follow_primary(state)
            state.topology.touch_all()

        return self._turn(now, begin)

    def step(self, message: Message | LightPublish, link: LinkInfo, now: int) -> list[Effect]:
        """A message arrived."""
        return self._turn(
            now, lambda state: receive(state, message, link.id, link.remote_ip, link.local_ip), prompt=False
        )

    def tick(self, now: int) -> list[Effect]:
        """100 ms have passed."""
        return self._turn(now, _tick, prompt=False)

    def wake(self, now: int) -> list[Effect]:
        """The time of a `Wake` has come, or the stream of this replica's primary has ended."""

        def run(state: State) -> None:
            state.todo.failover = state.myself.is_replica

        return self._turn(now, run)

    def link_up(self, link: LinkId, now: int) -> list[Effect]:
        """A link that was asked for by `Connect` is there."""

        def greet(state: State) -> None:
            node = state.links.get(link)
            if node is not None:
                link_established(state, node)

        return self._turn(now, greet)

    def link_down(self, link: LinkId, now: int) -> list[Effect]:
        """A link, of either kind, could not be opened or was lost. Unknown ones are ignored."""

        def note(state: State) -> None:
            node = state.links.pop(link, None)
            if node is None:
                return
            if node.link == link:
                node.link = None
                # Failure detection counts from a ping; one that could not even be sent counts, too.
                node.ping_sent = node.ping_sent or state.now
            elif node.inbound_link == link:
                node.inbound_link = None

        return self._turn(now, note)

    def bytes_received(self, link: LinkId, now: int) -> None:
        """Some data came over a link, perhaps only part of a long message: its node is alive."""
        node = self._state.links.get(link)
        if node is not None:
            node.data_received = now

    def writes_paused(self, now: int) -> list[Effect]:
        """`PauseWrites` has been carried out: the replication offset is final."""
        return self._turn(now, tell_final_offset)

    def lapsed(self, now: int) -> list[Effect]:
        """The time of a `Lease` was over before the next came: this worker stood still."""
        return self._turn(now, lapse)

    def settings_changed(self, now: int) -> list[Effect]:
        """`Settings` was modified."""

        def apply(state: State) -> None:
            apply_settings(state)
            state.todo.update_state = True

        return self._turn(now, apply)

    # --- commands

    def meet(self, ip: str, port: int, bus_port: int, now: int) -> list[Effect]:
        return self._turn(now, lambda state: node_commands.meet(state, ip, port, bus_port))

    def forget(self, node_id: str, now: int) -> list[Effect]:
        return self._turn(now, lambda state: node_commands.forget_node(state, node_id))

    def replicate(self, node_id: str, now: int) -> list[Effect]:
        return self._turn(now, lambda state: node_commands.replicate(state, node_id))

    def replicate_no_one(self, now: int) -> list[Effect]:
        return self._turn(now, node_commands.replicate_no_one)

    def failover(self, mode: str, now: int, asked_by: str = "user") -> list[Effect]:
        """`mode`: "default", "force" or "takeover". `asked_by`: for the log."""
        return self._turn(now, lambda state: node_commands.failover(state, mode, asked_by))

    def witness_dead(self, node_id: str, now: int) -> list[Effect]:
        """The process of that node has ended."""
        return self._turn(now, lambda state: witness.announce_death(state, node_id))

    def witness_busy(self, node_id: str, ms: int, now: int) -> list[Effect]:
        """That node is at work, though it does not answer."""
        return self._turn(now, lambda state: witness.announce_busy(state, node_id, ms))

    def reset(self, hard: bool, now: int) -> list[Effect]:
        return self._turn(now, lambda state: node_commands.reset(state, hard))

    def set_config_epoch(self, epoch: int, now: int) -> list[Effect]:
        return self._turn(now, lambda state: node_commands.set_config_epoch(state, epoch))

    def bump_epoch(self, now: int) -> tuple[str, list[Effect]]:
        """Returns the reply, too: `BUMPED <epoch>`, or `STILL <epoch>` if ours is the greatest already."""
        bumped = False

        def bump(state: State) -> None:
            nonlocal bumped
            bumped = bump_without_consensus(state)

        effects = self._turn(now, bump)
        return f"{'BUMPED' if bumped else 'STILL'} {self.myself.config_epoch}", effects

    def add_slots(self, slots: Sequence[int], now: int) -> list[Effect]:
        """Slots in the order they were given: the errors name the first at fault."""
        return self._turn(now, lambda state: slot_commands.add_slots(state, slots))

    def del_slots(self, slots: Sequence[int], now: int) -> list[Effect]:
        return self._turn(now, lambda state: slot_commands.delete_slots(state, slots))

    def flush_slots(self, now: int) -> list[Effect]:
        return self._turn(now, slot_commands.flush_slots)

    def check_set_slot(self, action: str, slot: int, node_id: str) -> None:
        """Raises ReplyError if `set_slot` is impossible."""
        slot_commands.check_set_slot(self._state, action, slot, node_id)

    def set_slot(
        self, action: str, slot: int, node_id: str, now: int, by_primary: bool = False
    ) -> list[Effect]:
        """`action`: "migrating", "importing", "node" or "stable"; `node_id` is empty for the last.
        `by_primary`: our primary says so, and has checked it."""

        def change(state: State) -> None:
            if not by_primary:
                slot_commands.check_set_slot(state, action, slot, node_id)
            slot_commands.set_slot(state, action, slot, node_id)

        return self._turn(now, change)

    def take_slots(self, slots: int, now: int) -> list[Effect]:
        """A whole migration ends: this node owns the slots of this bitmap."""
        return self._turn(now, lambda state: slot_commands.take_slots(state, slots))

    def outbid(self, now: int) -> list[Effect]:
        """A node that is gone may have claimed slots of ours, and told nobody: make our claim the greater."""
        return self._turn(now, bump_past_a_secret)

    def save_config(self, now: int) -> list[Effect]:
        """CLUSTER SAVECONFIG, and the last call before the worker ends."""
        return self._turn(now, lambda state: state.save_later(sync=True))

    def publish(self, messages: tuple[tuple[bytes, bytes], ...], sharded: bool, now: int) -> list[Effect]:
        """Send published messages, (channel, message), to all nodes, or (`sharded`) to those of this node's
        shard."""

        def change(state: State) -> None:
            nodes = state.topology.shard_members(state.myself) if sharded else state.peers()
            header = build_header(state)
            for light in (False, True):
                links = [
                    node.link
                    for node in nodes
                    if not node.in_handshake and bool(node.flags & flag.LIGHT) is light
                ]
                state.send(Published(header, messages, sharded, light), *links)

        return self._turn(now, change)

    # --- the turn

    def _turn(self, now: int, change: Callable[[State], None], *, prompt: bool = True) -> list[Effect]:
        """`prompt`: whatever changes, nodes.conf is saved at once."""
        state = self._state
        state.now = now
        change(state)
        _settle(state)
        return state.take_effects(prompt=prompt)


def _settle(state: State) -> None:
    """Do once, at the end of a turn, what was asked for during it."""
    todo = state.todo
    if todo.manual_failover:
        advance_manual_failover(state)
    while todo.failover:
        todo.failover = False
        run_election(state)
    if todo.update_state:
        judge(state)
        settle_lease(state)
    if todo.broadcast_pong:
        broadcast_pong(state)


def _tick(state: State) -> None:
    state.ticks += 1
    state.suspects = [node for node in state.topology.members if node.flags & flag.PFAIL]
    for node in keep_links(state):
        remove_node(state, node)
    if state.ticks % (SECOND // state.settings.tick_period) == 0:
        ping_someone(state)
    urgent = False
    for node in needing_attention(state):
        renew_silent_link(state, node)
        if not ping_if_due(state, node):
            urgent |= suspect_if_silent(state, node)
    if urgent:
        share_suspicions(state)
    if state.myself.primary is not None and not state.following:
        follow_primary(state)
    expire_manual_failover(state)
    reconsider_vote(state)
    decide_comeback(state)
    settle_lease(state)
    if state.myself.is_replica:
        advance_manual_failover(state)
        run_election(state)
        if state.ticks % (SECOND // state.settings.tick_period) == 0:
            migrate_if_spare(state)
    if not state.ok or 0 < state.judge_again_at <= state.now:
        state.judge_again_at = 0
        state.todo.update_state = True


def _reconcile_with_data(state: State) -> None:
    """A primary that holds keys of a slot takes it if it is nobody's, and else marks it as importing.

    The latter happens if keys were left behind by an interrupted move; an operator's `fix` then finds them.
    """
    topology, myself = state.topology, state.myself
    if not myself.is_primary or state.facts.is_empty():
        return
    for slot in range(SLOT_COUNT):
        owner = topology.slots[slot]
        if owner is myself or slot in topology.importing or not state.facts.keys_in_slot(slot):
            continue
        if owner is None:
            state.log("notice", f"I have keys for unassigned slot {slot}. Taking responsibility for it.")
            topology.assign_slots(myself, 1 << slot)
        else:
            state.log(
                "notice",
                f"I have keys for slot {slot}, but the slot is assigned to another node. "
                "Setting it to importing state.",
            )
            topology.importing[slot] = owner
        state.save_later(sync=True)
