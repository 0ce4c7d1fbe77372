"""REPLICAOF, ROLE, WAIT, WAITAOF, and what replicas say to their primary: REPLCONF, PSYNC, SYNC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from node import errors
from node.errors import ReplyError
from node.handlers.arguments import as_int, parse_int, parse_int_between, parse_non_negative
from node.handlers.registry import command
from node.replication.history import is_id
from node.replies import NO_REPLY, OK

_IN_CLUSTER = ReplyError("ERR REPLICAOF not allowed in cluster mode.")
_BAD_PORT = ReplyError("ERR Invalid master port")
_ALREADY = "OK Already connected to specified master"
_REPLICA_CANNOT_WAIT = ReplyError(
    "ERR WAIT cannot be used with replica instances. Please also note that writes to replicas are just local "
    "and are not propagated."
)
_REPLICA_CANNOT_WAIT_FOR_DISKS = ReplyError(
    "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just "
    "local and are not propagated."
)
_NO_LOCAL_LOG = ReplyError("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
_TIMEOUT_NOT_AN_INTEGER = ReplyError("ERR timeout is not an integer or out of range")
_FAILOVER_TO_PRIMARY = ReplyError("ERR PSYNC FAILOVER can't be sent to a master.")
_FAILOVER_OF_STRANGERS = ReplyError("ERR PSYNC FAILOVER replid must match my replid.")
_TIMEOUT_NEGATIVE = ReplyError("ERR timeout is negative")


@command("replicaof", "slaveof")
def replicaof(ctx: Any, args: list[bytes]) -> str:
    worker = ctx.worker
    if ctx.config.cluster_enabled:
        raise _IN_CLUSTER
    host, port_text = args
    if host.upper() == b"NO" and port_text.upper() == b"ONE":
        if worker.replication.primary_address is not None:
            worker.replication.promote()
            ctx.config.replicaof = None
            worker.log.notice("MASTER MODE enabled (user request)")
        return OK
    port = parse_int(port_text)
    if not 0 <= port <= 65535:
        raise _BAD_PORT
    address = host.decode("utf-8", "surrogateescape"), port
    if not worker.replication.follow(*address):
        worker.log.notice(
            "REPLICAOF would result into synchronization with the master we are already connected with."
        )
        return _ALREADY
    ctx.config.replicaof = address
    worker.log.notice(f"REPLICAOF {address[0]}:{port} enabled (user request)")
    return OK


@command("role")
def role(ctx: Any, args: list[bytes]) -> list[Any]:
    reply: list[Any] = ctx.worker.replication.describe_role()
    return reply


@command("wait")
def wait(ctx: Any, args: list[bytes]) -> Any:
    """WAIT numreplicas milliseconds. Inside a transaction it tells the count at once."""
    replication = ctx.worker.replication
    if replication.role == "slave":
        raise _REPLICA_CANNOT_WAIT
    wanted = parse_int(args[0])
    timeout = parse_int(args[1], _TIMEOUT_NOT_AN_INTEGER)
    if timeout < 0:
        raise _TIMEOUT_NEGATIVE
    offset = replication.offset

    def count() -> int:
        return int(replication.primary.acknowledged_by(offset))

    return _wait(ctx, lambda: count() >= wanted, count, timeout)


@command("waitaof")
def waitaof(ctx: Any, args: list[bytes]) -> Any:
    """WAITAOF numlocal numreplicas milliseconds: until it is on this disk (1) or not (0), and on theirs."""
    worker = ctx.worker
    local = parse_int_between(args[0], 0, 1)
    wanted = parse_non_negative(args[1])
    timeout = parse_int(args[2], _TIMEOUT_NOT_AN_INTEGER)
    if timeout < 0:
        raise _TIMEOUT_NEGATIVE
    if worker.replication.role == "slave":
        raise _REPLICA_CANNOT_WAIT_FOR_DISKS
    if local and worker.append_only.state == "off":
        raise _NO_LOCAL_LOG
    offset = worker.replication.offset

    def places() -> list[int]:
        synced = worker.append_only.state != "off" and worker.append_only.recorder.synced_offset >= offset
        return [int(synced), worker.replication.primary.synced_by(offset)]

    def enough() -> bool:
        here, there = places()
        return here >= local and there >= wanted

    return _wait(ctx, enough, places, timeout)


def _wait(ctx: Any, enough: Callable[[], bool], reply: Callable[[], Any], timeout: int) -> Any:
    if enough() or ctx.in_transaction or ctx.link is None:
        return reply()
    ctx.worker.replication.waits.add(ctx, enough, reply, timeout)
    ctx.worker.replication.acknowledgements.ask_soon()
    return NO_REPLY


@command("replconf")
def replconf(ctx: Any, args: list[bytes]) -> Any:
    """REPLCONF option value ... Of these, ACK is never replied to."""
    if len(args) % 2:
        raise errors.SYNTAX
    if ctx.link is None:
        return NO_REPLY
    replication = ctx.worker.replication
    for option, value in zip(args[::2], args[1::2], strict=True):
        name = option.decode("latin-1").lower()
        if name == "ack":
            offset = as_int(value)
            synced = as_int(args[3]) if len(args) > 3 and args[2].upper() == b"FACK" else None
            if offset is not None:
                replication.acknowledge(ctx, offset, synced or 0)
            return NO_REPLY
        if name == "getack":
            return NO_REPLY
        if name == "set-cluster-node-id":
            _check_node(ctx.worker.cluster, value.decode("latin-1"))
        if not replication.primary.configure(replication.peer(ctx), name, value):
            raise ReplyError(f"ERR Unrecognized REPLCONF option: {name}")
    return OK


def _check_node(cluster: Any, node_id: str) -> None:
    if not cluster.enabled:
        raise errors.CLUSTER_DISABLED
    if not cluster.knows(node_id):
        raise ReplyError(f"ERR Unknown node {node_id}")


@command("psync")
def psync(ctx: Any, args: list[bytes]) -> Any:
    """PSYNC replicationid offset [FAILOVER]: go on behind offset - 1 of that history, or get all data.
    FAILOVER: our primary hands us its place, and follows."""
    wanted = args[0].decode("latin-1")
    if len(args) > 2 and args[2].upper() == b"FAILOVER":
        _take_over(ctx, wanted)
    offset = parse_int(args[1])
    ctx.worker.replication.synchronize(ctx, wanted if is_id(wanted) else "?", offset)
    return NO_REPLY


def _take_over(ctx: Any, history: str) -> None:
    replication = ctx.worker.replication
    if replication.role == "master":
        raise _FAILOVER_TO_PRIMARY
    if history != replication.history.id:
        raise _FAILOVER_OF_STRANGERS
    replication.promote()
    ctx.config.replicaof = None
    ctx.worker.log.notice(f"Failover request was accepted. New replid {replication.history.id}")


@command("sync")
def sync(ctx: Any, args: list[bytes]) -> Any:
    """SYNC: as replicas before 2.8 asked, and programs that want a snapshot."""
    ctx.worker.replication.synchronize(ctx, "?", -1, old_style=True)
    return NO_REPLY
