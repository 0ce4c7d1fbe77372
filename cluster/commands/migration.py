"""CLUSTER MIGRATION IMPORT, STATUS, CANCEL: moves of whole slots as Redis 8.4 speaks of them.

The moves are those of CLUSTER MIGRATESLOTS (migrations.py), asked for by the target (cluster/migration/
invitations.py) instead of the source. What differs from Redis: nothing is retried by itself, so `retries` is
always 0; states in between have Valkey's names; several may go on at once. Forms of replies: the command's
page in Redis' documentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster.commands.common import cluster_command, text
from cluster.commands.migrations import check_can_start, parse_ranges, slots_of
from cluster.migration.export_job import ExportJob
from cluster.migration.import_job import ImportJob
from cluster.migration.invitations import Invitation
from cluster.migration.job import Job, State
from node import errors
from node.errors import ReplyError

if TYPE_CHECKING:
    from cluster.member import Member

UNKNOWN = ReplyError("ERR unknown argument")
OURS_ALREADY = ReplyError("ERR this node is already the owner of the slot range")
IN_PROGRESS = ReplyError("ERR another migration of one of these slots is already in progress")

_ENDS = {State.SUCCESS: b"completed", State.CANCELLED: b"canceled", State.FAILED: b"failed"}


@cluster_command("cluster|migration")
def migration(member: Member, ctx: Any, args: list[bytes]) -> Any:
    match args[0].upper():
        case b"IMPORT":
            return _import(member, args[1:])
        case b"STATUS":
            found = _chosen(member, args[1:])
            return [_status(member, each) for each in found]
        case b"CANCEL":
            return sum(_cancel(member, each) for each in _chosen(member, args[1:]))
    raise UNKNOWN


def _import(member: Member, args: list[bytes]) -> bytes:
    """IMPORT first last [first last ...]: the name of the task."""
    if len(args) % 2:
        raise errors.wrong_arity("cluster|migration")
    check_can_start(member)
    ranges, source, read = parse_ranges(args, 0, member.coordinator.topology.slots)
    if read != len(args):
        raise errors.SYNTAX
    assert source is not None
    if source is member.coordinator.myself:
        raise OURS_ALREADY
    migrations = member.migrations
    if (migrations.importing() | migrations.invitations.waiting()) & slots_of(ranges):
        raise IN_PROGRESS
    return migrations.invitations.invite(ranges, source, member.node_id).name.encode()


def _chosen(member: Member, args: list[bytes]) -> list[Job | Invitation]:
    """ID name, or ALL."""
    word = args[0].upper()
    if word not in (b"ID", b"ALL"):
        raise UNKNOWN
    if len(args) != (2 if word == b"ID" else 1):
        raise errors.wrong_arity("cluster|migration")
    invitations = member.migrations.invitations.all
    everything: list[Job | Invitation] = [each for each in invitations if each.job is None]
    everything += member.migrations.listed()
    if word == b"ALL":
        return everything
    name = text(args[1])
    names = {each.name: each.job.name for each in invitations if each.job is not None}
    return [each for each in everything if each.name == names.get(name, name)]


def _cancel(member: Member, found: Job | Invitation) -> bool:
    """Whether there was anything to cancel."""
    if isinstance(found, Invitation):
        waited = found.waits
        member.migrations.invitations.cancel(found)
        return waited
    if not isinstance(found, ExportJob | ImportJob) or not found.in_progress or found.only_tracked:
        return False
    member.migrations.cancel_one(found)
    return True


def _status(member: Member, found: Job | Invitation) -> dict[bytes, Any]:
    """Times in ms."""
    if isinstance(found, Invitation):
        state = b"waiting-for-source" if found.waits else b"canceled" if found.cancelled else b"failed"
        return _row(found, found.name, b"import", state, found.error, found.ended_at, 0)
    invited = (each.name for each in member.migrations.invitations.all if each.job is found)
    exports = isinstance(found, ExportJob)
    return _row(
        found,
        next(invited, found.name),
        b"migrate" if exports else b"import",
        _ENDS.get(found.state, found.state.encode()),
        found.message,
        0 if found.in_progress else found.changed_at,
        found.changed_at - found.paused_at if exports and found.state is State.SUCCESS else 0,
    )


def _row(
    found: Job | Invitation, name: str, operation: bytes, state: bytes, error: str, ended: int, paused: int
) -> dict[bytes, Any]:
    return {
        b"id": name.encode(),
        b"slots": " ".join(str(a) if a == b else f"{a}-{b}" for a, b in found.ranges).encode(),
        b"source": found.source.encode(),
        b"dest": found.target.encode(),
        b"operation": operation,
        b"state": state,
        b"last_error": error.encode(),
        b"retries": 0,
        b"create_time": found.created_at,
        b"start_time": found.created_at,
        b"end_time": ended,
        b"write_pause_ms": paused,
    }
