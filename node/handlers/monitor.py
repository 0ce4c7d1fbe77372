"""MONITOR: be shown every command. How is told in node/session/monitor.py."""

from __future__ import annotations

from typing import Any

from node.errors import ReplyError
from node.handlers.registry import command
from node.replies import NO_REPLY, OK

_NOT_IN_TRANSACTIONS = ReplyError("ERR MONITOR isn't allowed for DENY BLOCKING client")


@command("monitor")
def monitor(ctx: Any, args: list[bytes]) -> Any:
    """Who is a monitor already gets no reply."""
    if ctx.in_transaction:
        raise _NOT_IN_TRANSACTIONS
    if ctx in ctx.worker.monitors:
        return NO_REPLY
    ctx.worker.monitors.add(ctx)
    return OK
