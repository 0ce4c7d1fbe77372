"""What is wrong with a cluster, judged from the views of all its members.

A problem says what it is, where, and what the operator does next. Severity "error" means that clients suffer
or may soon; "warning" that something is unusual but served. The order is the order in which to repair.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from cluster.plans.advice import RUNNING, advice_on
from cluster.plans.model import NodeInfo, View
from cluster.slots import ALL_SLOTS, NO_SLOTS, count, format_ranges, from_iterable


@dataclass(frozen=True)
class Problem:
    kind: str
    """`unreachable`, `failed`, `uncovered`, `disagreement`, `contested`, `open-slot`, `unlinked`, `orphan`,
    `same-zone`, `epoch`, `stray`"""
    severity: str
    """`error` or `warning`"""
    text: str
    next_step: str


def check(views: Sequence[View], unreachable: Mapping[str, str] | None = None) -> list[Problem]:
    """Every problem visible in `views`; `unreachable` names the members that gave none: address -> reason."""
    problems = [
        Problem(
            "unreachable",
            "error",
            f"{address} does not answer: {reason}",
            _remedy_for_silence(address, reason),
        )
        for address, reason in (unreachable or {}).items()
    ]
    if not views:
        return problems
    for judge in _JUDGES:
        problems += judge(views)
    return problems


def stray_problems(views: Sequence[View], stray: Mapping[int, Mapping[str, int]]) -> list[Problem]:
    """About keys that lie where nobody looks for them. `stray`: slot -> id of a primary that does not own it
    -> how many of its keys that one has."""
    nodes = agreed_nodes(views)
    by_holder: dict[str, list[int]] = {}
    for slot, holders in stray.items():
        for holder in holders:
            by_holder.setdefault(holder, []).append(slot)
    problems = []
    for holder, slots in by_holder.items():
        keys = sum(stray[slot][holder] for slot in slots)
        ranges = format_ranges(from_iterable(slots))
        text = f"{nodes[holder].address} has {keys} keys of slots that others serve: {ranges}"
        remedy = "`shoal fix --search-multiple-owners` brings them to who serves them"
        problems.append(Problem("stray", "warning", text, remedy))
    return problems


def agreed_nodes(views: Sequence[View]) -> dict[str, NodeInfo]:
    """The members by id, each as it describes itself, or, where it gave no view, as the first view does."""
    nodes: dict[str, NodeInfo] = {}
    for view in views:
        for node in view.nodes.values():
            nodes.setdefault(node.id, node)
    for view in views:
        nodes[view.observer.id] = view.observer
    return nodes


def uncovered_slots(views: Sequence[View], lost: Collection[str] = ()) -> int:
    """Slots that no primary says it serves itself, and that no member assigns to one that gave no view. What
    `lost` (ids) served does not count as served."""
    covered = NO_SLOTS
    for node in agreed_nodes(views).values():
        if node.is_primary and not node.failed and node.id not in lost:
            covered |= node.slots
    return ALL_SLOTS & ~covered


def _failed(views: Sequence[View]) -> Iterator[Problem]:
    judged: dict[str, list[View]] = {}
    nodes: dict[str, NodeInfo] = {}
    for view in views:
        for node in view.nodes.values():
            if node.failed:
                judged.setdefault(node.id, []).append(view)
                nodes[node.id] = node
    for node_id, witnesses in judged.items():
        node = nodes[node_id]
        serving = f" and serves {format_ranges(node.slots)}" if node.slots else ""
        yield Problem(
            "failed",
            "error" if node.slots else "warning",
            f"{node.address} is marked FAIL by {len(witnesses)} of {len(views)} members{serving}",
            _remedy(node),
        )


def _remedy_for_silence(address: str, reason: str) -> str:
    """A member that only does not trust us, or we do not trust it, is nobody to be forgotten."""
    advice = advice_on(reason)
    return f"start it, or remove it with `shoal forget {address}`" if advice == RUNNING else advice


def _remedy(node: NodeInfo) -> str:
    """Who serves slots cannot be forgotten before others do."""
    if node.slots:
        return "restart it, `shoal failover` a replica of it, or give its keys up with `shoal fix --adopt`"
    return f"restart it, or remove it with `shoal forget {node.id}`"


def _uncovered(views: Sequence[View]) -> Iterator[Problem]:
    missing = uncovered_slots(views)
    if missing:
        yield Problem(
            "uncovered",
            "error",
            f"{count(missing)} slots are not served: {format_ranges(missing)}",
            "bring back their primary, or run `shoal fix --adopt` to hand them to others",
        )


def _disagreement(views: Sequence[View]) -> Iterator[Problem]:
    """Who owns what, by each view, compared with the first."""
    reference = views[0].owners()
    for view in views[1:]:
        owners = view.owners()
        differing = [
            slot for slot in reference.keys() | owners.keys() if reference.get(slot) != owners.get(slot)
        ]
        if differing:
            yield Problem(
                "disagreement",
                "error",
                f"{view.observer.address} and {views[0].observer.address} name different owners of"
                f" {format_ranges(from_iterable(differing))}",
                "wait some seconds for gossip and check again; if it stays, run `shoal fix`",
            )


def _contested(views: Sequence[View]) -> Iterator[Problem]:
    """Slots that more than one primary says it serves itself: the greater epoch will win by gossip."""
    claims = [view.observer for view in views if view.observer.is_primary and view.observer.slots]
    for i, one in enumerate(claims):
        for other in claims[i + 1 :]:
            both = one.slots & other.slots
            if both:
                yield Problem(
                    "contested",
                    "error",
                    f"both {one.address} and {other.address} claim {format_ranges(both)}",
                    "wait some seconds for gossip and check again; if it stays, run `shoal fix`",
                )


def _open_slots(views: Sequence[View]) -> Iterator[Problem]:
    nodes = agreed_nodes(views)
    for view in views:
        for word, states in (("migrating to", view.migrating), ("importing from", view.importing)):
            by_peer = sorted((peer, slot) for slot, peer in states.items())
            for peer, pairs in groupby(by_peer, key=lambda pair: pair[0]):
                slots = format_ranges(from_iterable(slot for _, slot in pairs))
                name = nodes[peer].address if peer in nodes else peer
                yield Problem(
                    "open-slot",
                    "warning",
                    f"{view.observer.address} has {slots} open, {word} {name}",
                    "if no reshard is running, run `shoal fix` to finish the move",
                )


def _unlinked(views: Sequence[View]) -> Iterator[Problem]:
    for view in views:
        for node in view.nodes.values():
            if not node.linked and not node.failed and node.id != view.observer.id:
                yield Problem(
                    "unlinked",
                    "warning",
                    f"{view.observer.address} has no bus link to {node.address}",
                    "check that it runs, and that its bus port (usually the port + 10000) is reachable",
                )


def _orphans(views: Sequence[View]) -> Iterator[Problem]:
    """Primaries without a working replica, in a cluster where others have one."""
    nodes = agreed_nodes(views).values()
    backed = {node.primary_id for node in nodes if node.primary_id and not node.failed}
    for node in nodes:
        if backed and node.is_primary and node.slots and node.id not in backed and not node.failed:
            yield Problem(
                "orphan",
                "warning",
                f"{node.address} has no replica while others have",
                f"`shoal add-node NEW --replica-of {node.address}` adds one",
            )


def _zones(views: Sequence[View]) -> Iterator[Problem]:
    """Shards with all their copies in one zone, in a cluster that has more than one."""
    nodes = agreed_nodes(views)
    if len({node.zone for node in nodes.values()} - {""}) < 2:
        return
    replicas: dict[str, list[NodeInfo]] = {}
    for node in nodes.values():
        if node.primary_id in nodes and not node.failed:
            replicas.setdefault(node.primary_id, []).append(node)
    for primary_id, family in replicas.items():
        primary = nodes[primary_id]
        if primary.slots and primary.zone and all(node.zone == primary.zone for node in family):
            names = ", ".join(node.address for node in family)
            yield Problem(
                "same-zone",
                "warning",
                f"{primary.address} and all its replicas ({names}) are in one zone, {primary.zone}: they go"
                " down together",
                f"`shoal add-node NEW --replica-of {primary.address}`, with NEW in another zone",
            )


def _epochs(views: Sequence[View]) -> Iterator[Problem]:
    """Two primaries in one configuration epoch: neither's claim can beat the other's until that is
    resolved."""
    owners: dict[int, NodeInfo] = {}
    for node in agreed_nodes(views).values():
        if not node.is_primary or not node.slots:
            continue
        other = owners.setdefault(node.epoch, node)
        if other is not node:
            yield Problem(
                "epoch",
                "warning",
                f"{other.address} and {node.address} share configuration epoch {node.epoch}",
                "the cluster resolves this by itself within seconds; check again",
            )


_JUDGES: tuple[Callable[[Sequence[View]], Iterator[Problem]], ...] = (
    _failed,
    _uncovered,
    _disagreement,
    _contested,
    _open_slots,
    _unlinked,
    _orphans,
    _zones,
    _epochs,
)
