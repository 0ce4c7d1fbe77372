"""CLUSTER SLOT-STATS: what the slots of this node's shard hold, and what their keys' commands cost.

Keys are always known. Time and bytes are counted by the engine (`count_slot_use`), only while
`cluster-slot-stats-enabled` asks for it, and are shown only then. A request is put down to the slot of its
first key, EXEC to that of the first key it carries out; MULTI has none. Bytes are those of requests and of
replies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cluster.commands.common import cluster_command, misused, parse_slot
from cluster.slots import SLOT_COUNT, members
from node import errors
from node.errors import ReplyError
from node.handlers.arguments import as_int

if TYPE_CHECKING:
    from cluster.member import Member

METRICS = (b"key-count", b"cpu-usec", b"network-bytes-in", b"network-bytes-out")
"""In the order in which a slot's are shown; the first is always known."""

_BAD_METRIC = ReplyError("ERR Unrecognized sort metric for ORDERBY.")
_BAD_LIMIT = ReplyError(f"ERR Limit has to lie in between 1 and {SLOT_COUNT} (maximum number of slots).")
_REPEATED = ReplyError("ERR Multiple filters of the same type are disallowed.")


def follow_setting(worker: Any) -> None:
    """Let the engine count while the setting asks for it."""

    def apply(enabled: bool) -> None:
        worker.engine.count_slot_use(enabled)

    apply(worker.config.cluster_slot_stats_enabled)
    worker.config.on_change("cluster-slot-stats-enabled", apply)


def forget_lost(member: Member, engine: Any, slots: int) -> None:
    """Of these slots, which are not served any more: begin anew with those that have left this node."""
    topology = member.coordinator.topology
    for slot in members(slots):
        if topology.slots[slot] is not topology.myself:
            engine.forget_slot_use(slot, slot + 1)


@cluster_command("cluster|slot-stats")
def slot_stats(member: Member, ctx: Any, args: list[bytes]) -> list[Any]:
    """SLOTSRANGE first last | ORDERBY metric [LIMIT n] [ASC|DESC]"""
    what = args[0].upper()
    if what == b"SLOTSRANGE" and len(args) == 3:
        first, last = parse_slot(args[1]), parse_slot(args[2])
        if first > last:
            raise ReplyError(f"ERR Start slot number {first} is greater than end slot number {last}")
        return _shown(_figures(member, ctx, range(first, last + 1)))
    if what == b"ORDERBY" and len(args) > 1:
        metric, limit, ascending = _order(ctx, args[1:])
        figures = _figures(member, ctx, range(SLOT_COUNT))
        figures.sort(key=lambda found: found[1][metric], reverse=not ascending)
        return _shown(figures[:limit])
    raise misused(ctx)


def _order(ctx: Any, args: list[bytes]) -> tuple[int, int, bool]:
    """Number of the metric, limit, whether it is ascending."""
    metric = args[0].lower()
    if metric not in METRICS[: _known(ctx)]:
        raise _BAD_METRIC
    limit: int | None = None
    ascending: bool | None = None
    words = iter(args[1:])
    for word in words:
        option = word.upper()
        if option == b"LIMIT" and (value := next(words, None)) is not None:
            if limit is not None:
                raise _REPEATED
            limit = as_int(value)
            if limit is None or not 1 <= limit <= SLOT_COUNT:
                raise _BAD_LIMIT
        elif option in (b"ASC", b"DESC"):
            if ascending is not None:
                raise _REPEATED
            ascending = option == b"ASC"
        else:
            raise errors.SYNTAX
    return METRICS.index(metric), limit or SLOT_COUNT, bool(ascending)


def _known(ctx: Any) -> int:
    """How many of METRICS are known."""
    return len(METRICS) if ctx.config.cluster_slot_stats_enabled else 1


def _figures(member: Member, ctx: Any, slots: Iterable[int]) -> list[tuple[int, tuple[int, ...]]]:
    """(slot, figures in the order of METRICS) of those slots that our shard owns."""
    topology = member.coordinator.topology
    ours = (topology.myself, topology.myself.primary)
    databases, engine, known = ctx.worker.databases, ctx.engine, _known(ctx)
    figures = []
    for slot in slots:
        owner = topology.slots[slot]
        if owner is not None and owner in ours:
            keys = sum(db.count_in_slot(slot) for db in databases)
            figures.append((slot, (keys, *engine.slot_use_of(slot))[:known]))
    return figures


def _shown(figures: list[tuple[int, tuple[int, ...]]]) -> list[Any]:
    return [[slot, dict(zip(METRICS, values, strict=False))] for slot, values in figures]
