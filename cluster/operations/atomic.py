"""Moving slots the way that Valkey 9 and our workers have: whole slots, which change hands at once.

The source does it all (CLUSTER MIGRATESLOTS); here it is only asked to, watched (GETSLOTMIGRATIONS), and
asked to give up. It goes on by itself when we are gone, so whoever comes next looks first for what is under
way.

How many keys have come is asked of the target for a sample of the slots: it counts those that are on their
way to it, and asking for all of them several times a second would cost it more than it is worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cluster.operations.link import ErrorReply, NodeLink, OperationError, Refused
from cluster.readings.slot_jobs import Job, job_of
from cluster.slots import members, ranges

SAMPLE = 64
"""Slots that stand for all when it is asked how far a move has come."""
AT_ONCE = 16
"""Slots that are asked for in one go."""
COMMAND = "cluster|migrateslots"
BANDWIDTH = "slot-migration-max-bandwidth"
"""A setting of our workers: bytes a second of all that a worker sends in migrations."""

_HOPELESS = {
    "AUTH": "all nodes need the same masteruser and masterauth",
    "OOM": "raise the target's maxmemory, or move fewer slots",
    "client-output-buffer-limit": "raise it at the source, or move when less is written",
    "staging": "raise slot-migration-max-staging-bytes of the target, or move fewer slots",
}
"""What a message says that another try does not mend, and what does."""
_PASSING = (
    "not served",
    "already migrating",
    "no node served",
    "multiple shards",
    "on primary nodes",
    "LOADING",
)
"""Why a node does not begin: it or we do not know yet who owns the slots, or which way they are going."""


class JobFailed(OperationError):
    """A migration ended without success, for a reason that may pass."""


def can_migrate_slots(link: NodeLink) -> bool:
    """Whether a node has this way."""
    reply = link.call("COMMAND", "INFO", COMMAND)
    return bool(reply and reply[0])


def jobs_of(link: NodeLink) -> list[Job]:
    """The latest first."""
    return [job_of(row) for row in link.call("CLUSTER", "GETSLOTMIGRATIONS")]


def running_export(link: NodeLink, slots: int) -> Job | None:
    """What moves any of `slots` away from this node at the moment."""
    return next(
        (job for job in jobs_of(link) if job.operation == "EXPORT" and job.in_progress and job.slots & slots),
        None,
    )


def begin(link: NodeLink, slots: int, target: str) -> str:
    """Let the node send `slots` to the primary `target`; returns the job's name. Raises JobFailed for what
    may pass, Refused for what does not."""
    words = [number for span in ranges(slots) for number in span]
    try:
        link.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", *words, "NODE", target)
    except Refused as error:
        if "manually" in error.reply:
            error.next_step = "`shoal fix` finishes or closes slots that are open"
        if any(word in error.reply for word in _PASSING):
            raise JobFailed(error.text) from error
        raise
    for job in jobs_of(link):
        if job.operation == "EXPORT" and job.slots == slots and job.target == target:
            return job.name
    raise OperationError(
        f"{link.address} has forgotten the migration it began",
        "cluster-slot-migration-log-max-len is too small",
    )


def look(link: NodeLink, name: str) -> Job | None:
    """What has become of it; None if the node knows nothing of it any more."""
    return next((job for job in jobs_of(link) if job.name == name), None)


def give_up(link: NodeLink, name: str) -> bool:
    """Cancel one export, where a node can, or all of a node that has no other. False if that would end what
    others have begun."""
    reply = link.pipeline([("CLUSTER", "MIGRATION", "CANCEL", "ID", name)])[0]
    if not isinstance(reply, ErrorReply):
        return True
    running = [job for job in jobs_of(link) if job.operation == "EXPORT" and job.in_progress]
    if [job.name for job in running] != [name]:
        return not any(job.name == name for job in running)
    link.pipeline([("CLUSTER", "CANCELSLOTMIGRATIONS")])
    return True


def failure(source: NodeLink, target: NodeLink, job: Job) -> OperationError:
    """What to tell of a job that failed or was cancelled: JobFailed if another try may succeed."""
    if job.state == "cancelled":
        return OperationError(f"{source.address} was told to cancel the migration of {_told(job.slots)}")
    message = job.message
    if "on the target node" in message:
        try:
            other = look(target, job.name)
        except OperationError:
            other = None
        message = other.message if other is not None and other.message else message
    text = f"{source.address} could not hand {_told(job.slots)} to {target.address}: {message}"
    for word, advice in _HOPELESS.items():
        if word in message:
            return OperationError(text, advice)
    return JobFailed(text)


def _told(slots: int) -> str:
    number = slots.bit_count()
    return f"slot {next(members(slots))}" if number == 1 else f"{number} slots"


def count_keys(link: NodeLink, slots: Sequence[int]) -> list[int]:
    """Of database 0 and of others that are in use, together. Some slots at a time, so that the node serves
    its clients in between."""
    totals = [0] * len(slots)
    for database in link.databases():
        found: list[int] = []
        with link.database(database):
            for first in range(0, len(slots), AT_ONCE):
                some = slots[first : first + AT_ONCE]
                found += link.call_all([("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in some])
        totals = [total + keys for total, keys in zip(totals, found, strict=True)]
    return totals


def sample(slots: Sequence[int]) -> Sequence[int]:
    """Those that stand for all."""
    return slots[:: max(1, len(slots) // SAMPLE)]


def share_arrived(target: NodeLink, held: Mapping[int, int]) -> float:
    """Of the keys of some slots (slot → how many), the share that is at the target."""
    wanted = sum(held.values())
    if not wanted:
        return 1.0
    found = target.call_all([("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in held])
    return min(1.0, sum(found) / wanted)


def bandwidth_of(link: NodeLink) -> str | None:
    """The setting BANDWIDTH as it is; None where there is no such setting."""
    try:
        reply = link.call("CONFIG", "GET", BANDWIDTH)
    except Refused:
        return None
    return reply[1].decode() if reply else None
