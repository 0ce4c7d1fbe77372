"""Whether a command may be executed here, and if not, where: MOVED, ASK, TRYAGAIN, CROSSSLOT, CLUSTERDOWN.

Most commands never come here: the core keeps one byte per slot, and where it says "served", a command
with one key is executed without asking. `served_slots` gives the slots that have that byte: those that we own
as a primary, that are not leaving, while the cluster is up. Everything else is decided by `check`, in
the order of Redis' getNodeByQuery, so that of two possible errors clients meet the same.

A slot in motion has two homes. Its owner (MIGRATING) still serves the keys it has and sends clients on with
ASK for those it has not; its next owner (IMPORTING) serves only those who were sent (ASKING). A command with
several keys of which some are here and some there can only be tried again.
"""

from __future__ import annotations

from typing import Any

from cluster.coordinator.coordinator import Coordinator
from cluster.endpoints import redirect_address, way_of
from cluster.slots import NO_SLOTS, from_iterable
from cluster.topology.node import Node
from node import errors
from node.core.key_slot import key_slot
from node.errors import ReplyError

CHANNEL_COMMANDS = frozenset({"spublish", "ssubscribe", "sunsubscribe"})


def served_slots(coordinator: Coordinator) -> int:
    """Bitmap of the slots whose single-key commands need no check."""
    topology = coordinator.topology
    if not coordinator.ok or topology.myself.is_replica:
        return NO_SLOTS
    return topology.myself.slots & ~from_iterable(topology.migrating)


def check(coordinator: Coordinator, session: Any, row: Any, argv: list[bytes], keys: list[bytes]) -> None:
    """Return if `session` may execute the command `argv` of `row` on `keys` (not empty) here, else raise
    ReplyError."""
    topology = coordinator.topology
    slot = key_slot(keys[0])
    owner = topology.slots[slot]
    if owner is None:
        raise errors.CLUSTERDOWN_UNBOUND
    if any(key_slot(key) != slot for key in keys[1:]):
        raise errors.CROSSSLOT
    if not coordinator.ok:
        _check_state(session, row, argv)
    migrating_to = topology.migrating.get(slot) if owner is topology.myself else None
    importing = migrating_to is None and slot in topology.importing
    if (migrating_to is not None or importing) and row.name == "migrate":
        return
    if migrating_to is not None and not _is_channel(session, row):
        missing = sum(not session.db.exists(key) for key in keys)
        if missing:
            raise _ask(slot, migrating_to, session) if missing == len(keys) else errors.TRYAGAIN
    if importing and (session.asking or "asking" in row.flags):
        several = len(set(keys)) > 1 and not _is_channel(session, row)
        if several and not all(map(session.db.exists, keys)):
            raise errors.TRYAGAIN
        return
    if owner is topology.myself:
        return
    if owner is topology.myself.primary and (_is_channel(session, row) or _may_read_here(session, row, argv)):
        return
    raise _moved(slot, owner, session)


def _check_state(session: Any, row: Any, argv: list[bytes]) -> None:
    """The cluster is down: what may be executed all the same is a matter of settings."""
    config = session.config
    if _is_channel(session, row):
        if not config.cluster_allow_pubsubshard_when_down:
            raise errors.CLUSTERDOWN
    elif not config.cluster_allow_reads_when_down:
        raise errors.CLUSTERDOWN
    elif session.is_judged_as_write(row, argv):
        raise errors.CLUSTERDOWN_READONLY


def _may_read_here(session: Any, row: Any, argv: list[bytes]) -> bool:
    """As a replica: did the client say READONLY, and is this a read?"""
    return bool(session.readonly) and not session.is_judged_as_write(row, argv)


def _is_channel(session: Any, row: Any) -> bool:
    """Sharded pub/sub: what decides the slot is the name of a channel, not of a key that could be missing."""
    rows = [queued for queued, _ in session.queue] if row.name == "exec" else [row]
    return any(each.name in CHANNEL_COMMANDS for each in rows)


def _ask(slot: int, node: Node, session: Any) -> ReplyError:
    return errors.ask(slot, *_address(node, session))


def _moved(slot: int, node: Node, session: Any) -> ReplyError:
    return errors.moved(slot, *_address(node, session))


def _address(node: Node, session: Any) -> tuple[str, int]:
    return redirect_address(node, session.config.cluster_preferred_endpoint_type, way_of(session))
