"""Arguments: how the bytes a client sent become numbers and options, by Redis' rules and in its words.

Numbers are strict. An integer is what Redis' string2ll accepts: no plus sign, no leading zero, no space, and
within the range asked for. A float is what strtod accepts, without spaces around it and without NaN.

Options are read left to right with `Options`, so that a handler's loop reads like the command's syntax:

    options = Options(args, start=2)
    for word in options:
        match word:
            case b"COUNT":
                count = options.integer()
            case b"REV":
                reverse = True
            case _:
                raise errors.SYNTAX

An option whose value is missing is a syntax error, as is an unknown word. Errors come in the order
of the arguments, as clients of Redis are used to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from node import errors
from node.core.integer_text import canonical_integer
from node.core.parse_double import parse_double
from node.errors import ReplyError

INT_MIN: Final = -(1 << 31)
INT_MAX: Final = (1 << 31) - 1
INT64_MIN: Final = -(1 << 63)
INT64_MAX: Final = (1 << 63) - 1
UINT64_MAX: Final = (1 << 64) - 1

_FLOAT = re.compile(rb"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|infinity)", re.IGNORECASE)
_CURSOR = re.compile(rb"[ \t\n\v\f\r]*([+-]?)0*([0-9]{1,20})")


# ------------------------------------------------------------------------------------------- numbers


as_int: Final = canonical_integer
"""The signed 64-bit integer that some bytes are the canonical text of, or None."""


def parse_int(raw: bytes, error: ReplyError = errors.NOT_AN_INTEGER) -> int:
    value = as_int(raw)
    if value is None:
        raise error
    return value


def parse_int_between(raw: bytes, low: int, high: int, error: ReplyError | None = None) -> int:
    """An integer of low..high. Text that is no integer at all raises `error` too, or NOT_AN_INTEGER."""
    value = parse_int(raw, error or errors.NOT_AN_INTEGER)
    if not low <= value <= high:
        raise error or ReplyError(f"ERR value is out of range, value must between {low} and {high}")
    return value


def parse_non_negative(raw: bytes, error: ReplyError = errors.MUST_BE_POSITIVE) -> int:
    """A count: 0 or more. Redis says "must be positive" of both bad text and negative numbers."""
    return parse_int_between(raw, 0, INT64_MAX, error)


def parse_switch(raw: bytes) -> bool:
    """ON or OFF."""
    match raw.upper():
        case b"ON":
            return True
        case b"OFF":
            return False
    raise errors.SYNTAX


def parse_float(raw: bytes, error: ReplyError = errors.NOT_A_FLOAT) -> float:
    """A double, infinities included. NaN, spaces, and numbers that overflow or vanish raise `error`."""
    value = parse_double(raw)
    if value is None:
        raise error
    return value


def parse_lenient_float(raw: bytes, error: ReplyError) -> float:
    """A double as Redis reads bounds of scores and weights of SORT: a C string, up to a NUL. Nothing is 0,
    too much infinite, too little 0. Only decimal digits; NaN and what else is no number raise `error`.
    """
    text = raw.partition(b"\0")[0]
    if not text:
        return 0.0
    if _FLOAT.fullmatch(text) is None:
        raise error
    return float(text)


def parse_cursor(raw: bytes) -> int:
    """A SCAN cursor: an unsigned 64-bit integer, which Redis also reads as C's strtoull does, up to a NUL."""
    value = as_int(raw)
    if value is not None and value >= 0:
        return value
    found = _CURSOR.fullmatch(raw.partition(b"\0")[0])
    if value is not None or found is None or int(found[2]) > UINT64_MAX:
        raise errors.INVALID_CURSOR
    return int(found[1] + found[2]) & UINT64_MAX


# ------------------------------------------------------------------------------------------- options


class Options:
    """The option words of a command, upper-cased one after the other; `value()` takes what follows one."""

    __slots__ = ("_args", "_next")

    def __init__(self, args: list[bytes], start: int = 0) -> None:
        self._args = args
        self._next = start

    def __iter__(self) -> Iterator[bytes]:
        while self._next < len(self._args):
            self._next += 1
            yield self._args[self._next - 1].upper()

    @property
    def left(self) -> int:
        """How many arguments follow the current word."""
        return len(self._args) - self._next

    def value(self) -> bytes:
        """The argument after the current word; a syntax error where there is none."""
        if self._next >= len(self._args):
            raise errors.SYNTAX
        self._next += 1
        return self._args[self._next - 1]

    def integer(self, error: ReplyError = errors.NOT_AN_INTEGER) -> int:
        return parse_int(self.value(), error)

    def rest(self) -> list[bytes]:
        """All that follows, as it was sent; the iteration ends."""
        taken = self._args[self._next :]
        self._next = len(self._args)
        return taken


# ------------------------------------------------------------------------------------------- expiry


@dataclass(frozen=True, slots=True)
class ExpireUnit:
    """How a number that a client sent becomes a moment in Unix milliseconds."""

    milliseconds: int
    """Per unit: 1 or 1000."""
    relative: bool
    """Counted from now, or from the epoch."""


EXPIRE_UNITS: Final = {
    b"EX": ExpireUnit(1000, relative=True),
    b"PX": ExpireUnit(1, relative=True),
    b"EXAT": ExpireUnit(1000, relative=False),
    b"PXAT": ExpireUnit(1, relative=False),
}
"""The expiry options that SET, GETEX and others share."""


def parse_expiry(raw: bytes, unit: ExpireUnit, now: int, command: str, minimum: int = 1) -> int:
    """The Unix time in milliseconds that `raw` means. `command` names the command in the error.

    `minimum` is 1 for the options of SET and its kin, where zero is an error too; EXPIRE's family has none.
    """
    return expiry_moment(parse_int(raw), unit, now, command, minimum)


def expiry_moment(value: int, unit: ExpireUnit, now: int, command: str, minimum: int = 1) -> int:
    """As `parse_expiry`, of a number already parsed."""
    furthest, earliest = INT64_MAX // unit.milliseconds, -(-INT64_MIN // unit.milliseconds)
    if value < minimum or not earliest <= value <= furthest:
        raise errors.invalid_expire(command)
    moment = value * unit.milliseconds
    if unit.relative:
        moment += now
    if moment > INT64_MAX:
        raise errors.invalid_expire(command)
    return moment
