"""CLIENT TRACKING and its relatives. What tracking is, is told in node/session/tracking.py."""

from __future__ import annotations

from typing import Any

from node.handlers.registry import command
from node.replies import OK
from node.session.tracking_mode import NOT_REDIRECTED, not_tracking, parse_caching, parse_tracking


@command("client|tracking")
def tracking(ctx: Any, args: list[bytes]) -> str:
    mode = parse_tracking(args, ctx.id, ctx.worker.clients, ctx.tracking)
    if mode is None:
        ctx.worker.tracking.disable(ctx)
    else:
        ctx.worker.tracking.enable(ctx, mode)
    return OK


@command("client|caching")
def caching(ctx: Any, args: list[bytes]) -> str:
    parse_caching(ctx.tracking, args[0])
    return OK


@command("client|getredir")
def getredir(ctx: Any, args: list[bytes]) -> int:
    return NOT_REDIRECTED if ctx.tracking is None else ctx.tracking.redirect


@command("client|trackinginfo")
def trackinginfo(ctx: Any, args: list[bytes]) -> dict[bytes, Any]:
    return not_tracking() if ctx.tracking is None else ctx.tracking.shown()
