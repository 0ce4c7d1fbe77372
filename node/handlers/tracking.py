"""CLIENT TRACKING and its relatives. What tracking is, is told in node/session/tracking.py."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from node import errors
from node.errors import ReplyError, one_line
from node.handlers.arguments import parse_int
from node.handlers.registry import command
from node.replies import OK, SetReply
from node.session.tracking import Mode

_ONE_REDIRECTION = ReplyError("ERR A client can only redirect to a single other client")
_NO_SUCH_RECEIVER = ReplyError("ERR The client ID you want redirect to does not exist")
_PREFIX_NEEDS_BCAST = ReplyError("ERR PREFIX option requires BCAST mode to be enabled")
_CHANGES_BCAST = ReplyError(
    "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then "
    "re-enabling it with a different mode."
)
_CHOICE_WITH_BCAST = ReplyError("ERR OPTIN and OPTOUT are not compatible with BCAST")
_BOTH_CHOICES = ReplyError("ERR You can't specify both OPTIN mode and OPTOUT mode")
_CHANGES_CHOICE = ReplyError(
    "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then "
    "re-enabling it with a different mode."
)
_CACHING_NEEDS_CHOICE = ReplyError(
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
    "OPTOUT mode enabled"
)
_YES_NEEDS_OPTIN = ReplyError("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
_NO_NEEDS_OPTOUT = ReplyError("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")

NOT_REDIRECTED = -1
"""CLIENT GETREDIR of who does not track."""


@command("client|tracking")
def tracking(ctx: Any, args: list[bytes]) -> str:
    """CLIENT TRACKING ON|OFF [REDIRECT id] [PREFIX p ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]"""
    mode, prefixes = _mode(ctx, args[1:])
    match args[0].upper():
        case b"ON":
            _check(mode, prefixes, ctx.tracking)
            mode.prefixes.update(prefixes or ([b""] if mode.broadcasts else []))
            ctx.worker.tracking.enable(ctx, mode)
        case b"OFF":
            ctx.worker.tracking.disable(ctx)
        case _:
            raise errors.SYNTAX
    return OK


def _mode(ctx: Any, args: list[bytes]) -> tuple[Mode, list[bytes]]:
    """What the options ask for, prefixes apart, as they were given."""
    mode = Mode(ctx.id)
    prefixes: list[bytes] = []
    words = iter(args)
    for word in words:
        option = word.upper()
        if option == b"REDIRECT" and (value := next(words, None)) is not None:
            if mode.redirect:
                raise _ONE_REDIRECTION
            mode.redirect = parse_int(value)
            if mode.redirect not in ctx.worker.clients:
                raise _NO_SUCH_RECEIVER
        elif option == b"PREFIX" and (value := next(words, None)) is not None:
            prefixes.append(value)
        elif option == b"BCAST":
            mode.broadcasts = True
        elif option == b"OPTIN":
            mode.opt_in = True
        elif option == b"OPTOUT":
            mode.opt_out = True
        elif option == b"NOLOOP":
            mode.no_loop = True
        else:
            raise errors.SYNTAX
    return mode, prefixes


def _check(mode: Mode, prefixes: list[bytes], old: Mode | None) -> None:
    """Raise what forbids to track as `mode` says, for a client that tracks as `old` says."""
    if prefixes and not mode.broadcasts:
        raise _PREFIX_NEEDS_BCAST
    if old is not None and old.broadcasts != mode.broadcasts:
        raise _CHANGES_BCAST
    if mode.broadcasts and (mode.opt_in or mode.opt_out):
        raise _CHOICE_WITH_BCAST
    if mode.opt_in and mode.opt_out:
        raise _BOTH_CHOICES
    if old is not None and ((mode.opt_in and old.opt_out) or (mode.opt_out and old.opt_in)):
        raise _CHANGES_CHOICE
    for prefix in prefixes:
        for other in sorted(old.prefixes) if old is not None else ():
            if _overlap(prefix, other):
                raise _overlapping(prefix, "an existing", other)
    for prefix, other in combinations(prefixes, 2):
        if _overlap(prefix, other):
            raise _overlapping(prefix, "another provided", other)


def _overlap(one: bytes, two: bytes) -> bool:
    return one.startswith(two) or two.startswith(one)


def _overlapping(prefix: bytes, which: str, other: bytes) -> ReplyError:
    return ReplyError(
        f"ERR Prefix '{one_line(prefix)}' overlaps with {which} prefix '{one_line(other)}'. "
        "Prefixes for a single client must not overlap."
    )


@command("client|caching")
def caching(ctx: Any, args: list[bytes]) -> str:
    mode = ctx.tracking
    if mode is None:
        raise _CACHING_NEEDS_CHOICE
    match args[0].upper():
        case b"YES":
            if not mode.opt_in:
                raise _YES_NEEDS_OPTIN
        case b"NO":
            if not mode.opt_out:
                raise _NO_NEEDS_OPTOUT
        case _:
            raise errors.SYNTAX
    mode.caching = True
    return OK


@command("client|getredir")
def getredir(ctx: Any, args: list[bytes]) -> int:
    return NOT_REDIRECTED if ctx.tracking is None else ctx.tracking.redirect


@command("client|trackinginfo")
def trackinginfo(ctx: Any, args: list[bytes]) -> dict[bytes, Any]:
    mode = ctx.tracking
    if mode is None:
        return {b"flags": SetReply([b"off"]), b"redirect": NOT_REDIRECTED, b"prefixes": []}
    said = {
        b"bcast": mode.broadcasts,
        b"optin": mode.opt_in,
        b"caching-yes": mode.opt_in and mode.caching,
        b"optout": mode.opt_out,
        b"caching-no": mode.opt_out and mode.caching,
        b"noloop": mode.no_loop,
        b"broken_redirect": mode.broken,
    }
    flags = [b"on", *(flag for flag, holds in said.items() if holds)]
    return {b"flags": SetReply(flags), b"redirect": mode.redirect, b"prefixes": sorted(mode.prefixes)}
