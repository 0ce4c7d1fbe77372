"""Arguments of the form `numkeys key [key ...] rest`, and the COUNT of commands that pop from many keys."""

from __future__ import annotations

from node import errors
from node.errors import ReplyError
from node.handlers.arguments import INT64_MAX, Options, parse_int_between

NUMKEYS = ReplyError("ERR numkeys should be greater than 0")
TOO_MANY_KEYS = ReplyError("ERR Number of keys can't be greater than number of args")
_COUNT = ReplyError("ERR count should be greater than 0")


def split_numkeys(args: list[bytes], too_many: ReplyError = errors.SYNTAX) -> tuple[list[bytes], list[bytes]]:
    """The keys, and what follows them. `too_many`: the error where there are fewer arguments than keys."""
    count = parse_int_between(args[0], 1, INT64_MAX, NUMKEYS)
    if count > len(args) - 1:
        raise too_many
    return args[1 : count + 1], args[count + 1 :]


def parse_pop_count(args: list[bytes]) -> int:
    """`[COUNT count]`, of LMPOP and its kin."""
    count = None
    options = Options(args)
    for word in options:
        if word != b"COUNT" or count is not None:
            raise errors.SYNTAX
        count = parse_int_between(options.value(), 1, INT64_MAX, _COUNT)
    return 1 if count is None else count
