"""Arguments of CLIENT that the worker and the proxy read alike."""

from __future__ import annotations

from collections.abc import Sequence

from node.errors import ReplyError, bad_subcommand_arguments
from node.handlers.arguments import parse_int

_BAD_TIMEOUT = ReplyError("ERR timeout is not an integer or out of range")
_NEGATIVE_TIMEOUT = ReplyError("ERR timeout is negative")
_BAD_PAUSE_MODE = ReplyError("ERR CLIENT PAUSE mode must be WRITE or ALL")


def parse_pause(args: Sequence[bytes]) -> tuple[int, bool]:
    """(milliseconds, only writes?) of CLIENT PAUSE milliseconds [WRITE|ALL]. Raises ReplyError."""
    if len(args) > 2:
        raise bad_subcommand_arguments("client", "PAUSE")
    if len(args) > 1 and args[1].upper() not in (b"WRITE", b"ALL"):
        raise _BAD_PAUSE_MODE
    milliseconds = parse_int(args[0], _BAD_TIMEOUT)
    if milliseconds < 0:
        raise _NEGATIVE_TIMEOUT
    return milliseconds, len(args) > 1 and args[1].upper() == b"WRITE"
