"""BITFIELD: integers of any width from 1 to 64 bits (63 unsigned), anywhere in a string.

    BITFIELD key [GET type offset | [OVERFLOW WRAP|SAT|FAIL] SET|INCRBY type offset value ...]

A type is `i` or `u` and a width. An offset is in bits, or, with a `#` before it, in integers of that width.
OVERFLOW holds for the operations behind it. All operations are parsed before the first is carried out, and
the string is made long enough for all writes beforehand. Bytes beyond its end read as zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from node import errors
from node.errors import ReplyError
from node.handlers.arguments import Options, as_int, parse_int
from node.handlers.bitmaps import parse_bit_offset
from node.handlers.registry import command
from node.keyspace import events

_BAD_TYPE = ReplyError(
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
)
_BAD_OVERFLOW = ReplyError("ERR Invalid OVERFLOW type specified")
_READ_ONLY = ReplyError("ERR BITFIELD_RO only supports the GET subcommand")


@dataclass(frozen=True, slots=True)
class IntegerType:
    signed: bool
    bits: int

    @classmethod
    def parse(cls, raw: bytes) -> IntegerType:
        signed = raw[:1] == b"i"
        bits = as_int(raw[1:])
        if (not signed and raw[:1] != b"u") or bits is None or not 1 <= bits <= (64 if signed else 63):
            raise _BAD_TYPE
        return cls(signed, bits)

    @property
    def lowest(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        return (1 << (self.bits - self.signed)) - 1

    def wrap(self, value: int) -> int:
        """`value` as its lowest bits read."""
        value &= (1 << self.bits) - 1
        return value - (1 << self.bits) if self.signed and value > self.highest else value

    def fit(self, value: int, overflow: bytes) -> int | None:
        """`value` made to fit by the rule WRAP or SAT; None where it does not and the rule is FAIL."""
        if self.lowest <= value <= self.highest:
            return value
        if overflow == b"WRAP":
            return self.wrap(value)
        if overflow == b"SAT":
            return self.highest if value > self.highest else self.lowest
        return None


@dataclass(frozen=True, slots=True)
class Operation:
    name: bytes
    """GET, SET or INCRBY."""
    type: IntegerType
    offset: int
    """Of the first bit, in bits."""
    value: int = 0
    overflow: bytes = b"WRAP"

    @property
    def first_byte(self) -> int:
        return self.offset >> 3

    @property
    def end_byte(self) -> int:
        """One past the last byte that holds a bit of the integer."""
        return (self.offset + self.type.bits + 7) >> 3

    @property
    def shift(self) -> int:
        """Bits behind the integer in its last byte."""
        return self.end_byte * 8 - self.offset - self.type.bits


def parse_operations(ctx: Any, args: list[bytes]) -> Iterator[Operation]:
    overflow = b"WRAP"
    options = Options(args, start=1)
    for word in options:
        if word == b"OVERFLOW" and options.left >= 1:
            overflow = options.value().upper()
            if overflow not in (b"WRAP", b"SAT", b"FAIL"):
                raise _BAD_OVERFLOW
            continue
        needed = {b"GET": 2, b"SET": 3, b"INCRBY": 3}.get(word)
        if needed is None or options.left < needed:
            raise errors.SYNTAX
        type_ = IntegerType.parse(options.value())
        place = options.value()
        if place[:1] == b"#":
            offset = parse_bit_offset(ctx, place[1:], type_.bits)
        else:
            offset = parse_bit_offset(ctx, place)
        value = parse_int(options.value()) if word != b"GET" else 0
        yield Operation(word, type_, offset, value, overflow)


@command("bitfield")
def bitfield(ctx: Any, args: list[bytes]) -> list[int | None]:
    """Growing the string is told to replicas even where nothing but zeros is written."""
    key = args[0]
    operations = list(parse_operations(ctx, args))
    writes = [operation for operation in operations if operation.name != b"GET"]
    changes, grown = 0, False
    if writes:
        needed = max(operation.end_byte for operation in writes)
        grown = ctx.db.strlen(key, counted=False) < needed
        ctx.db.setrange(key, needed if grown else 0, b"")  # OBJECT ENCODING says raw, whatever comes of it
    elif ctx.db.strlen(key) == 0:
        return [0] * len(operations)
    replies = []
    for operation in operations:
        reply, changed = carry_out(ctx.db, key, operation)
        replies.append(reply)
        changes += changed or (grown and operation.name != b"GET" and reply is not None)
    if changes or grown:
        ctx.changed(key, events.SETBIT, changes)
    if grown and not changes:  # which Redis forgets to tell its replicas
        ctx.propagate([b"BITFIELD", *args])
    return replies


@command("bitfield_ro")
def bitfield_ro(ctx: Any, args: list[bytes]) -> list[int | None]:
    operations = list(parse_operations(ctx, args))
    if any(operation.name != b"GET" for operation in operations):
        raise _READ_ONLY
    ctx.db.strlen(args[0])  # checks the type, and counts the one look at the key
    return [carry_out(ctx.db, args[0], operation)[0] for operation in operations]


def carry_out(db: Any, key: bytes, operation: Operation) -> tuple[int | None, bool]:
    """The operation's reply, and whether the string changed. For writes it must be long enough."""
    type_, shift = operation.type, operation.shift
    size = operation.end_byte - operation.first_byte
    raw = db.getrange(key, operation.first_byte, operation.end_byte, counted=False)
    window = int.from_bytes(raw, "big") << 8 * (size - len(raw))
    old = type_.wrap(window >> shift)
    if operation.name == b"GET":
        return old, False
    if operation.name == b"INCRBY":
        new = type_.fit(old + operation.value, operation.overflow)
        reply = new
    else:
        # A negative number for an unsigned field is a very large one, as its 64 bits read.
        value = operation.value if type_.signed else operation.value & 0xFFFF_FFFF_FFFF_FFFF
        new = type_.fit(value, operation.overflow)
        reply = None if new is None else old
    if new is None or new == old:
        return reply, False
    mask = (1 << type_.bits) - 1
    window = window & ~(mask << shift) | (new & mask) << shift
    db.setrange(key, operation.first_byte, window.to_bytes(size, "big"))
    return reply, True
