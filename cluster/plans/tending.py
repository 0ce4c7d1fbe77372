"""Looking after a cluster: what is to be done next, if anything.

A member that came and has no role yet gets one, so that in the end there are as many primaries, with as many
replicas each, as if the cluster had been made of so many members at once. Who is lost for good is forgotten,
or gets a successor where the host can start one. All but giving roles is a matter of `Policy`.

One step at a time: whoever carries it out looks again before the next, so that nothing is decided by a
picture that is out of date. What may pass by itself (a process that is being started again, a replica
that moves to where it is needed) is given time first. Pure: nodes, the host's facts and the time come in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from cluster.plans.homes import homes, is_present, spares
from cluster.plans.membership import neediest_primary
from cluster.plans.model import NodeInfo

WITHOUT_REPLICA_SECONDS = 15.0
"""that a primary goes without replica before it is given another, ..."""
WITHOUT_KNOWN_REPLICA_SECONDS = 300.0
"""... and while one is known that is only down, perhaps with the machine it runs on."""
FORGET_SECONDS = 60.0
"""that a dead member is kept in mind for though there are enough without it."""


@dataclass(frozen=True)
class Policy:
    replicas: int = 0
    """that each primary is to have"""
    size: int = 0
    """Members that the cluster is to have: with so many alive, those that are dead are forgotten. 0: they are
    not, but for those of whom the host knows better."""
    add_replicas: bool = True
    replace_lost: bool = True
    rebalance: bool = True


@dataclass(frozen=True)
class Host:
    """What whoever looks after the cluster has at hand."""

    own: frozenset[str] | None = None
    """Ids of its workers that are to get roles; None: all members that were never seen to have one."""
    strangers: tuple[str, ...] = ()
    """Addresses of its workers that run, and are no members yet."""
    lost: frozenset[str] = frozenset()
    """Ids of its workers that cannot be started any more."""
    gone: frozenset[str] = frozenset()
    """Ids that are never to come back: another is there in their stead."""
    is_settling: bool = False
    """One of its workers is being started."""
    starts_workers: bool = False
    is_moving: bool = False
    """Slots are on their way already, or an operator made them pause."""
    declined: frozenset[str] = frozenset()
    """Ids of spares that an operator did not want to have slots."""


@dataclass(frozen=True)
class Introduce:
    address: str


@dataclass(frozen=True)
class Follow:
    """A spare becomes a replica."""

    spare: str
    primary: str


@dataclass(frozen=True)
class Fill:
    """Spares become primaries, with their share of the slots."""

    spares: tuple[str, ...]


@dataclass(frozen=True)
class Forget:
    node: str


@dataclass(frozen=True)
class Replace:
    """A worker that cannot be started makes room for a fresh one."""

    node: str


@dataclass(frozen=True)
class Add:
    """One more worker is started, because this primary has no replica."""

    primary: str


Step = Introduce | Follow | Fill | Forget | Replace | Add


class Tending:
    """What lasts is remembered from look to look; `now` is in seconds, of any clock that goes on."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._since: dict[tuple[str, str], float] = {}
        self._still: set[tuple[str, str]] = set()
        self._had_role: set[str] = set()

    def next_step(self, nodes: Mapping[str, NodeInfo], host: Host, now: float) -> Step | None:
        """`nodes`: all members by id, or those that one of them knows."""
        self._still = set()
        dead = self._forgettable(nodes, host, now)
        bereft = self._bereft(nodes, now)
        self._had_role |= {node.id for node in nodes.values() if node.slots or not node.is_primary}
        for what in self._since.keys() - self._still:
            if what[1] in nodes:  # of who is unknown here nothing is known
                del self._since[what]
        if host.strangers:
            return Introduce(host.strangers[0])
        step = self._give_role(nodes, host)
        if step is not None:
            return step
        if self.policy.replace_lost:
            for node_id in sorted(host.lost & nodes.keys()):
                if not nodes[node_id].slots:
                    return Replace(node_id)
            if dead:
                return Forget(dead[0])
        may_start = self.policy.add_replicas and host.starts_workers and not host.is_settling
        return Add(bereft[0]) if may_start and bereft else None

    # --- roles

    def _give_role(self, nodes: Mapping[str, NodeInfo], host: Host) -> Step | None:
        serving = [node for node in nodes.values() if node.slots]
        # Those that are to have slots are taken from the end: from zones with few primaries.
        crowd = Counter(node.zone for node in serving if node.zone)
        idle = [spare for spare in spares(nodes) if self._is_newcomer(spare, host)]
        idle.sort(key=lambda spare: -crowd[nodes[spare].zone])
        if not idle or not serving:
            return None
        # Who is being introduced is there twice, under a name that is made up as well.
        named = [node for node in nodes.values() if "handshake" not in node.flags]
        counted = [node for node in named if node.id not in host.gone]
        primaries = len(counted) // (self.policy.replicas + 1)
        number = min(max(0, primaries - len(serving)), len(idle))
        followers, heirs = idle[: len(idle) - number], idle[len(idle) - number :]
        wanted = tuple(spare for spare in heirs if spare not in host.declined)
        if followers:
            # Heirs have their replicas before slots: no write is ever taken that only one has.
            found = homes(nodes, followers, self.policy.replicas, wanted)
            spare = next(iter(found), followers[0])
            home = found.get(spare)
            return Follow(spare, home or neediest_primary(nodes, nodes[spare].place, set(spares(nodes))).id)
        all_well = not any(node.failed for node in serving)
        if wanted and self.policy.rebalance and all_well and not host.is_moving:
            return Fill(wanted)
        return None

    def _is_newcomer(self, spare: str, host: Host) -> bool:
        """Who serves nothing any more is left as an operator made it."""
        return spare not in self._had_role if host.own is None else spare in host.own

    # --- the dead, and those they leave behind

    def _forgettable(self, nodes: Mapping[str, NodeInfo], host: Host, now: float) -> list[str]:
        followed = {node.primary_id for node in nodes.values() if not node.failed}
        enough = bool(self.policy.size) and sum(map(is_present, nodes.values())) >= self.policy.size
        found = []
        for node in sorted(nodes.values(), key=lambda node: node.id):
            if is_present(node) or node.slots or node.id in followed:
                continue
            if node.id in host.gone:
                found.append(node.id)
            # Without address: another answers at the one it had.
            is_replaced = node.failed and (enough or "noaddr" in node.flags)
            if is_replaced and self._lasts(("dead", node.id), now, FORGET_SECONDS):
                found.append(node.id)
        return found

    def _bereft(self, nodes: Mapping[str, NodeInfo], now: float) -> list[str]:
        """Ids of primaries that go without replica for too long."""
        if not self.policy.replicas:
            return []
        living = Counter(node.primary_id for node in nodes.values() if not node.failed)
        known = Counter(node.primary_id for node in nodes.values())
        found = []
        for node in sorted(nodes.values(), key=lambda node: node.id):
            if node.slots and not node.failed and not living[node.id]:
                patience = WITHOUT_KNOWN_REPLICA_SECONDS if known[node.id] else WITHOUT_REPLICA_SECONDS
                if self._lasts(("bereft", node.id), now, patience):
                    found.append(node.id)
        return found

    def _lasts(self, what: tuple[str, str], now: float, seconds: float) -> bool:
        """`what`: how it stands, and with which node."""
        self._still.add(what)
        return now - self._since.setdefault(what, now) >= seconds
