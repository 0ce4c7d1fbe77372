"""CLUSTER SLOT-STATS: what the slots of this node's shard hold, and what their keys' commands cost.

Keys are always known. The rest is shown only while `cluster-slot-stats-enabled` asks for it; time, bytes and
requests are counted by the engine (`count_slot_use`) only then. A request is put down to the slot of its
first key, EXEC to that of the first key it carries out; MULTI has none. Bytes are those of requests and of
replies, and of what goes to each replica; a request that changed something is a write, whatever it was.
Memory is counted when it is asked for, as MEMORY USAGE counts it, and judged by some of the keys where there
are many, so that the reply takes milliseconds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cluster.commands.common import cluster_command, misused, parse_slot
from cluster.slots import SLOT_COUNT, members
from node import errors
from node.core.key_memory import slot_memory
from node.core.slot_use import count_slot_use, forget_slot_use, slot_use_by, slot_use_of
from node.errors import ReplyError
from node.handlers.arguments import as_int

if TYPE_CHECKING:
    from cluster.member import Member

MEMORY = b"memory-bytes"
COUNTED = (b"key-count", b"cpu-usec", b"network-bytes-in", b"network-bytes-out", b"reads", b"writes")
"""In the order in which a slot's are shown; the first is always known. Memory, as Redis 8.4 has it, comes
last. Reads and writes are ours."""
KEYS_LOOKED_AT = 20_000
"""For the memory in one reply, of all slots together …"""
LEAST_OF_A_SLOT = 4
"""… but so many of each at least."""

_BAD_METRIC = ReplyError("ERR Unrecognized sort metric for ORDERBY.")
_BAD_LIMIT = ReplyError(f"ERR Limit has to lie in between 1 and {SLOT_COUNT} (maximum number of slots).")
_REPEATED = ReplyError("ERR Multiple filters of the same type are disallowed.")


def follow_setting(worker: Any) -> None:
    """Let the engine count while the setting asks for it."""

    def apply(enabled: bool) -> None:
        count_slot_use(worker.engine, enabled)

    apply(worker.config.cluster_slot_stats_enabled)
    worker.config.on_change("cluster-slot-stats-enabled", apply)


def forget_lost(member: Member, engine: Any, slots: int) -> None:
    """Of these slots, which are not served any more: begin anew with those that have left this node."""
    topology = member.coordinator.topology
    for slot in members(slots):
        if topology.slots[slot] is not topology.myself:
            forget_slot_use(engine, slot, slot + 1)


@cluster_command("cluster|slot-stats")
def slot_stats(member: Member, ctx: Any, args: list[bytes]) -> list[Any]:
    """SLOTSRANGE first last | ORDERBY metric [LIMIT n] [ASC|DESC]"""
    what = args[0].upper()
    if what == b"SLOTSRANGE" and len(args) == 3:
        first, last = parse_slot(args[1]), parse_slot(args[2])
        if first > last:
            raise ReplyError(f"ERR Start slot number {first} is greater than end slot number {last}")
        return _shown(ctx, _figures(ctx, _ours(member, range(first, last + 1))))
    if what == b"ORDERBY" and len(args) > 1:
        metric, limit, ascending = _order(ctx, args[1:])
        slots = _ours(member, range(SLOT_COUNT))
        slots.sort(key=_column(ctx, metric, slots).__getitem__, reverse=not ascending)
        return _shown(ctx, _figures(ctx, slots[:limit]))
    raise misused(ctx)


def _order(ctx: Any, args: list[bytes]) -> tuple[bytes, int, bool]:
    """Metric, limit, whether it is ascending."""
    metric = args[0].lower()
    if metric not in _known(ctx):
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
    return metric, limit or SLOT_COUNT, bool(ascending)


def _known(ctx: Any) -> tuple[bytes, ...]:
    return (*COUNTED, MEMORY) if ctx.config.cluster_slot_stats_enabled else COUNTED[:1]


def _ours(member: Member, slots: Iterable[int]) -> list[int]:
    """Those that our shard owns."""
    topology = member.coordinator.topology
    myself, owners = topology.myself, topology.slots
    primary = myself.primary or myself
    return [slot for slot in slots if owners[slot] is myself or owners[slot] is primary]


def _column(ctx: Any, metric: bytes, slots: Collection[int]) -> Sequence[int] | Mapping[int, int]:
    """Slot → that figure. Who asks for the first few of all slots shall not pay for all figures of all."""
    if metric == MEMORY:
        return _memory(ctx, slots)
    if metric == COUNTED[0]:
        return {slot: sum(db.count_in_slot(slot) for db in ctx.worker.databases) for slot in slots}
    return slot_use_by(ctx.engine, COUNTED.index(metric) - 1)


def _figures(ctx: Any, slots: Iterable[int]) -> dict[int, dict[bytes, int]]:
    """Slot → its figures that are known, but for memory."""
    databases, engine, known = ctx.worker.databases, ctx.engine, _known(ctx)
    figures = {}
    for slot in slots:
        keys = sum(db.count_in_slot(slot) for db in databases)
        figures[slot] = dict(zip(known, (keys, *slot_use_of(engine, slot)), strict=False))
    return figures


def _memory(ctx: Any, slots: Collection[int]) -> dict[int, int]:
    most = max(LEAST_OF_A_SLOT, KEYS_LOOKED_AT // max(len(slots), 1))
    return {slot: sum(slot_memory(db, slot, most) for db in ctx.worker.databases) for slot in slots}


def _shown(ctx: Any, figures: dict[int, dict[bytes, int]]) -> list[Any]:
    if MEMORY in _known(ctx):
        for slot, memory in _memory(ctx, figures).items():
            figures[slot][MEMORY] = memory
    return [[slot, metrics] for slot, metrics in figures.items()]
