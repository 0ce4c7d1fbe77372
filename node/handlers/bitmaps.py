"""Bitmap commands: strings seen as rows of bits, the first bit being the highest of byte 0.

Single bits are read and written in place. Whole bitmaps are taken in blocks: a Python integer made of a block
counts or combines its bits at memory speed, and blocks bound the memory a command needs beside its result.
BITFIELD has a file of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_, xor
from typing import Any

from node import errors
from node.errors import ReplyError
from node.handlers.arguments import as_int, parse_int
from node.handlers.registry import command
from node.handlers.strings import from_the_end
from node.keyspace import events

BLOCK = 1 << 18

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
    current = ctx.db.getrange(key, byte, byte + 1)
    old = current[0] >> shift & 1 if current else 0
    if not current or old != bit:
        changed = (current[0] if current else 0) ^ ((old ^ bit) << shift)
        ctx.db.setrange(key, byte, bytes((changed,)))
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
        if start < 0 and end < 0 and start > end:
            return cls(0, -1)
        start, end = from_the_end(start, units), min(from_the_end(end, units), units - 1)
        return cls(start * per_unit, end * per_unit + per_unit - 1)

    def read(self, ctx: Any, key: bytes) -> bytes:
        """The bytes that hold the range."""
        return ctx.db.getrange(key, self.first >> 3, (self.last >> 3) + 1)

    def masked(self, block: bytes, filler: int) -> bytes:
        """`block`, as read, with those bits of its first and last byte set to `filler` that are outside."""
        if self.first & 7 == 0 and self.last & 7 == 7:
            return block
        edges = bytearray(block)
        before, after = 0xFF >> (self.first & 7), 0xFF << (7 - (self.last & 7)) & 0xFF
        for index, inside in ((0, before), (-1, after)):
            edges[index] = edges[index] | ~inside & 0xFF if filler else edges[index] & inside
        return bytes(edges)


def _check_range(args: list[bytes]) -> None:
    """Before anything is looked up; start, unit and end in the order in which Redis complains."""
    if len(args) > 3:
        raise errors.SYNTAX
    for raw in args[:1]:
        parse_int(raw)
    if len(args) == 3 and args[2].upper() not in (b"BYTE", b"BIT"):
        raise errors.SYNTAX
    for raw in args[1:2]:
        parse_int(raw)


@command("bitcount")
def bitcount(ctx: Any, args: list[bytes]) -> int:
    key, *range_args = args
    if len(range_args) == 1:
        raise errors.SYNTAX
    _check_range(range_args)
    wanted = BitRange.parse(range_args, ctx.db.strlen(key))
    if wanted.first > wanted.last:
        return 0
    return count_ones(wanted.masked(wanted.read(ctx, key), 0))


def count_ones(data: bytes) -> int:
    """Bits that are 1."""
    view = memoryview(data)
    return sum(
        int.from_bytes(view[at : at + BLOCK], "little").bit_count() for at in range(0, len(data), BLOCK)
    )


@command("bitpos")
def bitpos(ctx: Any, args: list[bytes]) -> int:
    """Without an end, a string of ones is thought to be followed by zeros: a zero is found behind it."""
    key, bit_text, *range_args = args
    bit = parse_int(bit_text)
    if bit not in (0, 1):
        raise _NOT_A_BIT
    _check_range(range_args)
    length = ctx.db.strlen(key)
    if not length:
        return 0 if bit == 0 and not ctx.db.exists(key) else -1
    wanted = BitRange.parse(range_args, length)
    if wanted.first > wanted.last:
        return -1
    data = wanted.masked(wanted.read(ctx, key), 1 - bit)
    position = first_bit(data, bit)
    if position >= 0:
        return position + (wanted.first & ~7)
    return length * 8 if bit == 0 and len(range_args) < 2 else -1


def first_bit(data: bytes, bit: int) -> int:
    """Where the first `bit` is, -1 if there is none."""
    dull = b"\0" if bit else b"\xff"
    dull_block = dull * BLOCK
    for at in range(0, len(data), BLOCK):
        block = data[at : at + BLOCK]
        if block == dull_block:
            continue
        rest = block.lstrip(dull)
        if rest:
            byte = rest[0] if bit else ~rest[0] & 0xFF
            return (at + len(block) - len(rest)) * 8 + 8 - byte.bit_length()
    return -1


# --------------------------------------------------------------------------------------------- combining

Combine = Callable[[list[int], int], int]
"""Blocks of all sources as numbers, and a number of as many ones → the block of the result."""


def _one(blocks: list[int], ones: int) -> int:
    """Bits set in exactly one of the sources."""
    once = twice = 0
    for block in blocks:
        twice |= once & block
        once |= block
    return once & ~twice


_OPERATIONS: dict[bytes, Combine] = {
    b"AND": lambda blocks, ones: reduce(and_, blocks),
    b"OR": lambda blocks, ones: reduce(or_, blocks),
    b"XOR": lambda blocks, ones: reduce(xor, blocks),
    b"NOT": lambda blocks, ones: blocks[0] ^ ones,
    b"DIFF": lambda blocks, ones: blocks[0] & ~reduce(or_, blocks[1:]),
    b"DIFF1": lambda blocks, ones: reduce(or_, blocks[1:]) & ~blocks[0],
    b"ANDOR": lambda blocks, ones: blocks[0] & reduce(or_, blocks[1:]),
    b"ONE": _one,
}
"""The last four came with Redis 8.2."""

_NEED_TWO = (b"DIFF", b"DIFF1", b"ANDOR")


@command("bitop")
def bitop(ctx: Any, args: list[bytes]) -> int:
    name, target, keys = args[0].upper(), args[1], args[2:]
    combine = _OPERATIONS.get(name)
    if combine is None:
        raise errors.SYNTAX
    if name == b"NOT" and len(keys) != 1:
        raise _NOT_TAKES_ONE
    if name in _NEED_TWO and len(keys) < 2:
        raise ReplyError(f"ERR BITOP {name.decode()} must be called with at least two source keys.")
    result = combine_strings([ctx.db.lookup_as(key, bytes) or b"" for key in keys], combine)
    if result:
        ctx.db.set(target, result)
        ctx.changed(target, events.SET)
    elif ctx.db.delete(target):
        ctx.changed(target, events.DEL)
    return len(result)


def combine_strings(sources: list[bytes], combine: Combine) -> bytes:
    """As long as the longest source; shorter ones are thought to go on with zeros."""
    length = max(map(len, sources))
    blocks = []
    for at in range(0, length, BLOCK):
        size = min(BLOCK, length - at)
        # "big", so that a short block is one that lacks its low end
        numbers = []
        for source in sources:
            piece = source[at : at + size]
            numbers.append(int.from_bytes(piece, "big") << 8 * (size - len(piece)))
        blocks.append(combine(numbers, (1 << 8 * size) - 1).to_bytes(size, "big"))
    return b"".join(blocks)
