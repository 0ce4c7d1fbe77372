"""Bitmap commands: strings seen as rows of bits, the first bit being the highest of byte 0.

Single bits are read and written in place. What concerns whole bitmaps is compiled, in `core/bits`.
BITFIELD has a file of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from node import errors
from node.core.bits import combine, count_ones, first_bit, string_view
from node.errors import ReplyError
from node.handlers.arguments import as_int, parse_int
from node.handlers.registry import command
from node.handlers.strings import from_the_end
from node.keyspace import events

Buffer = bytes | memoryview

_NOT_A_BIT = ReplyError("ERR The bit argument must be 1 or 0.")
_NOT_TAKES_ONE = ReplyError("ERR BITOP NOT must be called with a single source key.")


def parse_bit_offset(ctx: Any, raw: bytes, multiplier: int = 1) -> int:
    """A bit's place: non-negative, and within the longest string that may be. Raises BIT_OFFSET."""
    offset = parse_int(raw, errors.BIT_OFFSET) * multiplier
    if offset < 0 or offset >> 3 >= ctx.config.proto_max_bulk_len:
        raise errors.BIT_OFFSET
    return offset


@command("setbit")
def setbit(ctx: Any, args: list[bytes]) -> int:
    """A bit that was set so already changes nothing, unless the string had to grow for it."""
    key = args[0]
    offset = parse_bit_offset(ctx, args[1])
    bit = as_int(args[2])
    if bit not in (0, 1):
        raise errors.BIT_VALUE
    byte, shift = offset >> 3, 7 - (offset & 7)
    current = ctx.db.getrange(key, byte, byte + 1, counted=False)
    old = current[0] >> shift & 1 if current else 0
    made = (current[0] if current else 0) ^ ((old ^ bit) << shift)
    ctx.db.setrange(key, byte, bytes((made,)))  # in any case: from now on the string's encoding is raw
    if not current or old != bit:
        ctx.changed(key, events.SETBIT)
    return old


@command("getbit")
def getbit(ctx: Any, args: list[bytes]) -> int:
    offset = parse_bit_offset(ctx, args[1])
    byte = ctx.db.getrange(args[0], offset >> 3, (offset >> 3) + 1)
    return byte[0] >> (7 - (offset & 7)) & 1 if byte else 0


# ------------------------------------------------------------------------------------ counting, finding


@dataclass(slots=True)
class BitRange:
    """Bits first..last, both included, of a string. Empty where first > last."""

    first: int
    last: int

    @classmethod
    def parse(cls, args: list[bytes], length: int) -> BitRange:
        """`start end [BYTE | BIT]`, where negative numbers count from the end; none means all.

        `length` of the string is in bytes.
        """
        if not args:
            return cls(0, length * 8 - 1)
        start, end = parse_int(args[0]), parse_int(args[1]) if len(args) > 1 else -1
        per_unit = 1 if len(args) > 2 and args[2].upper() == b"BIT" else 8
        units = length * 8 // per_unit
        start, end = from_the_end(start, units), min(from_the_end(end, units), units - 1)
        return cls(start * per_unit, end * per_unit + per_unit - 1)

    def bytes_of(self, data: Buffer) -> Buffer:
        """The bytes that hold the range."""
        return data[self.first >> 3 : (self.last >> 3) + 1]

    def count(self, data: Buffer) -> int:
        """The ones in the range, which must not be empty."""
        piece = self.bytes_of(data)
        before = piece[0] & ~(0xFF >> (self.first & 7))
        behind = piece[-1] & (0x7F >> (self.last & 7))
        return count_ones(piece) - before.bit_count() - behind.bit_count()

    def find(self, data: Buffer, bit: int) -> int:
        """Where the first `bit` of the range is, -1 if there is none. The range must not be empty."""
        piece = self.bytes_of(data)
        before = ~(0xFF >> (self.first & 7)) & 0xFF
        head = piece[0] & ~before if bit else piece[0] | before
        found = first_bit(bytes((head,)), bit)
        if found < 0:
            found = first_bit(piece[1:], bit)
            if found < 0:
                return -1
            found += 8
        position = found + (self.first & ~7)
        return position if position <= self.last else -1


def _check_unit(args: list[bytes]) -> None:
    if len(args) == 3 and args[2].upper() not in (b"BYTE", b"BIT"):
        raise errors.SYNTAX


@command("bitcount")
def bitcount(ctx: Any, args: list[bytes]) -> int:
    """`key [start [end [BYTE | BIT]]]`; that the end may be left out is Valkey's."""
    key, *range_args = args
    if len(range_args) > 3:
        raise errors.SYNTAX
    ends = [parse_int(raw) for raw in range_args[:2]]
    _check_unit(range_args)
    data = string_view(ctx.db, key)
    if data is None:
        return 0
    if len(ends) == 2 and ends[1] < ends[0] < 0:
        return 0
    wanted = BitRange.parse(range_args, len(data))
    return 0 if wanted.first > wanted.last else wanted.count(data)


@command("bitpos")
def bitpos(ctx: Any, args: list[bytes]) -> int:
    """Without an end, a string of ones is thought to be followed by zeros: a zero is found behind it."""
    key, bit_text, *range_args = args
    bit = parse_int(bit_text)
    if bit not in (0, 1):
        raise _NOT_A_BIT
    if len(range_args) > 3:
        raise errors.SYNTAX
    for raw in range_args[:1]:
        parse_int(raw)
    _check_unit(range_args)
    for raw in range_args[1:2]:
        parse_int(raw)
    data = string_view(ctx.db, key)
    if data is None:
        return -1 if bit else 0
    wanted = BitRange.parse(range_args, len(data))
    if wanted.first > wanted.last:
        return -1
    position = wanted.find(data, bit)
    if position < 0 and bit == 0 and len(range_args) < 2:
        return len(data) * 8
    return position


# --------------------------------------------------------------------------------------------- combining

_OPERATIONS = (b"AND", b"OR", b"XOR", b"NOT", b"DIFF", b"DIFF1", b"ANDOR", b"ONE")
"""The last four came with Redis 8.2. `combine` says what they mean."""

_NEED_TWO = (b"DIFF", b"DIFF1", b"ANDOR")


@command("bitop")
def bitop(ctx: Any, args: list[bytes]) -> int:
    name, target, keys = args[0].upper(), args[1], args[2:]
    if name not in _OPERATIONS:
        raise errors.SYNTAX
    if name == b"NOT" and len(keys) != 1:
        raise _NOT_TAKES_ONE
    if name in _NEED_TWO and len(keys) < 2:
        raise ReplyError(f"ERR BITOP {name.decode()} must be called with at least two source keys.")
    result = combine(name, [string_view(ctx.db, key) or b"" for key in keys])
    if result:
        ctx.db.delete(target)
        ctx.db.setrange(target, 0, result)  # not set: Redis shows the encoding of such a string as raw
        ctx.changed(target, events.SET)
    else:
        ctx.discard(target)
    return len(result)
