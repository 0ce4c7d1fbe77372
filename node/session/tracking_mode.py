"""How one client tracks keys: what CLIENT TRACKING and CLIENT CACHING ask for, checked and kept.

Nothing here knows what a session or a connection is: worker and proxy keep the modes of their clients alike.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from node import errors
from node.errors import ReplyError, one_line
from node.handlers.arguments import parse_int
from node.replies import SetReply

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

CHANNEL = b"__redis__:invalidate"
"""Where RESP2 clients hear of invalidations."""
NOT_REDIRECTED = -1
"""CLIENT GETREDIR of who does not track."""


@dataclass(slots=True, eq=False)
class Mode:
    """How one client tracks. `redirect`: the client to be told instead, 0 for itself."""

    client_id: int
    redirect: int = 0
    broadcasts: bool = False
    opt_in: bool = False
    opt_out: bool = False
    no_loop: bool = False
    prefixes: set[bytes] = field(default_factory=set)
    caching: bool = False
    """CLIENT CACHING preceded: the next command is an exception to what it opted for."""
    broken: bool = False
    """The client to be told instead is gone."""

    @property
    def remembers(self) -> bool:
        """Whether the keys of the command that is being executed are to be remembered."""
        return not self.broadcasts and (self.caching if self.opt_in else not (self.opt_out and self.caching))

    def except_next(self, word: bytes) -> None:
        """CLIENT CACHING YES or NO. Raises ReplyError where it says nothing new."""
        match word.upper():
            case b"YES":
                if not self.opt_in:
                    raise _YES_NEEDS_OPTIN
            case b"NO":
                if not self.opt_out:
                    raise _NO_NEEDS_OPTOUT
            case _:
                raise errors.SYNTAX
        self.caching = True

    def shown(self) -> dict[bytes, Any]:
        """What CLIENT TRACKINGINFO tells."""
        said = {
            b"bcast": self.broadcasts,
            b"optin": self.opt_in,
            b"caching-yes": self.opt_in and self.caching,
            b"optout": self.opt_out,
            b"caching-no": self.opt_out and self.caching,
            b"noloop": self.no_loop,
            b"broken_redirect": self.broken,
        }
        flags = [b"on", *(flag for flag, holds in said.items() if holds)]
        return {b"flags": SetReply(flags), b"redirect": self.redirect, b"prefixes": sorted(self.prefixes)}


def not_tracking() -> dict[bytes, Any]:
    """What CLIENT TRACKINGINFO tells who does not track."""
    return {b"flags": SetReply([b"off"]), b"redirect": NOT_REDIRECTED, b"prefixes": []}


def parse_tracking(
    args: Sequence[bytes], client_id: int, clients: Collection[int], old: Mode | None
) -> Mode | None:
    """What CLIENT TRACKING ON [REDIRECT id] [PREFIX p ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP] asks for, and
    None for OFF. `args` follow the word TRACKING, `clients` are the ids that may be redirected to, `old` is
    how this client tracks now. Raises ReplyError."""
    mode, prefixes = _parsed(args[1:], client_id, clients)
    match args[0].upper():
        case b"ON":
            _check(mode, prefixes, old)
            mode.prefixes.update(prefixes or ([b""] if mode.broadcasts else []))
            if old is not None:
                mode.prefixes |= old.prefixes
            return mode
        case b"OFF":
            return None
    raise errors.SYNTAX


def parse_caching(mode: Mode | None, word: bytes) -> None:
    """CLIENT CACHING of a client that tracks as `mode` says. Raises ReplyError."""
    if mode is None:
        raise _CACHING_NEEDS_CHOICE
    mode.except_next(word)


def _parsed(args: Sequence[bytes], client_id: int, clients: Collection[int]) -> tuple[Mode, list[bytes]]:
    """What the options ask for, prefixes apart, as they were given."""
    mode = Mode(client_id)
    prefixes: list[bytes] = []
    words = iter(args)
    for word in words:
        option = word.upper()
        if option == b"REDIRECT" and (value := next(words, None)) is not None:
            if mode.redirect:
                raise _ONE_REDIRECTION
            mode.redirect = parse_int(value)
            if mode.redirect not in clients:
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


def _check(mode: Mode, prefixes: Sequence[bytes], old: Mode | None) -> None:
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
