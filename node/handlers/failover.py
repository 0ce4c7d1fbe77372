"""FAILOVER. What it does is told in node/replication/failover.py."""

from __future__ import annotations

from typing import Any

from node import errors
from node.errors import ReplyError
from node.handlers.arguments import parse_int
from node.handlers.registry import command
from node.replication.failover import NO_FAILOVER
from node.replies import OK

_IN_CLUSTER = ReplyError("ERR FAILOVER not allowed in cluster mode. Use CLUSTER FAILOVER command instead.")
_NONE_IN_PROGRESS = ReplyError("ERR No failover in progress.")
_BAD_TIMEOUT = ReplyError("ERR FAILOVER timeout must be greater than 0")
_IN_PROGRESS = ReplyError("ERR FAILOVER already in progress.")
_ON_REPLICA = ReplyError("ERR FAILOVER is not valid when server is a replica.")
_NO_REPLICAS = ReplyError("ERR FAILOVER requires connected replicas.")
_FORCE_NEEDS_BOTH = ReplyError(
    "ERR FAILOVER with force option requires both a timeout and target HOST and IP."
)


@command("failover")
def failover(ctx: Any, args: list[bytes]) -> str:
    """FAILOVER [TO host port [FORCE]] [TIMEOUT ms] | ABORT"""
    replication = ctx.worker.replication
    if ctx.config.cluster_enabled:
        raise _IN_CLUSTER
    if len(args) == 1 and args[0].upper() == b"ABORT":
        if replication.failover.state == NO_FAILOVER:
            raise _NONE_IN_PROGRESS
        replication.failover.abort("Failover manually aborted")
        return OK
    target, timeout, forced = _options(args)
    if replication.failover.state != NO_FAILOVER:
        raise _IN_PROGRESS
    if replication.role == "slave":
        raise _ON_REPLICA
    if not replication.primary.replicas():
        raise _NO_REPLICAS
    if forced and (target is None or not timeout):
        raise _FORCE_NEEDS_BOTH
    replication.failover.begin(target, timeout, forced=forced)
    return OK


def _options(args: list[bytes]) -> tuple[tuple[str, int] | None, int, bool]:
    """Target, timeout in ms (0: none given), and whether it is forced."""
    target: tuple[str, int] | None = None
    timeout, forced = 0, False
    words = iter(args)
    for word in words:
        match word.upper():
            case b"TIMEOUT" if not timeout and (value := next(words, None)) is not None:
                timeout = parse_int(value)
                if timeout <= 0:
                    raise _BAD_TIMEOUT
            case b"TO" if target is None:
                host, port = next(words, None), next(words, None)
                if host is None or port is None:
                    raise errors.SYNTAX
                target = host.decode("utf-8", "surrogateescape"), parse_int(port)
            case b"FORCE" if not forced:
                forced = True
            case _:
                raise errors.SYNTAX
    return target, timeout, forced
