"""HyperLogLog commands. The structure and its bytes are in `node/datatypes/hyperloglog`; to a database it is
a string like any other, so every command begins by looking whether the string is one.

PFCOUNT of one key leaves its result in the string. It is a read all the same, open to replicas and read-only
clients; so it propagates itself, to let replicas have the same bytes.
"""

from __future__ import annotations

from random import randbytes, randrange
from typing import Any

from node.core.registers import highest
from node.datatypes.hyperloglog import (
    HEADER,
    REGISTERS,
    CorruptedError,
    HyperLogLog,
    estimate,
    is_valid,
)
from node.datatypes.limits import limits
from node.errors import ReplyError, one_line
from node.handlers.registry import command
from node.handlers.strings import KEEP_TTL
from node.keyspace import events
from node.keyspace.events import Event
from node.replies import OK

_NOT_ONE = ReplyError("WRONGTYPE Key is not a valid HyperLogLog string value.")
_CORRUPTED = ReplyError("INVALIDOBJ Corrupted HLL object detected")
_NO_KEY = ReplyError("ERR The specified key does not exist")
_NOT_SPARSE = ReplyError("ERR HLL encoding is not sparse")


def _opened(ctx: Any, key: bytes, *, counted: bool) -> HyperLogLog | None:
    """Its header is looked at first: a long string that is none is not copied."""
    length = ctx.db.strlen(key, counted=counted)
    if not length and not ctx.db.exists(key):
        return None
    if not is_valid(ctx.db.getrange(key, 0, HEADER, counted=False), length):
        raise _NOT_ONE
    return HyperLogLog(ctx.db.peek(key))


def _for_reading(ctx: Any, key: bytes) -> HyperLogLog | None:
    return _opened(ctx, key, counted=True)


def _for_writing(ctx: Any, key: bytes) -> HyperLogLog | None:
    return _opened(ctx, key, counted=False)


def _store(ctx: Any, key: bytes, value: HyperLogLog, event: Event, dirty: int = 1) -> None:
    """Written in place, for OBJECT ENCODING calls strings that are changed by parts `raw`, however short."""
    if ctx.db.strlen(key, counted=False) > len(value.data):
        ctx.db.set(key, b"", KEEP_TTL)
    ctx.db.setrange(key, 0, bytes(value.data))
    ctx.changed(key, event, dirty)


@command("pfadd")
def pfadd(ctx: Any, args: list[bytes]) -> int:
    """1 if the estimate may have changed; making an empty key counts too.

    Elements before the one that met with corrupted registers have been added. Redis counts no change then;
    replicas are told all the same.
    """
    key = args[0]
    value = _for_writing(ctx, key)
    updated = int(value is None)
    value = value or HyperLogLog()
    try:
        for element in args[1:]:
            updated += value.add(element)
    except CorruptedError:
        if updated:
            _store(ctx, key, value, events.SILENT, 0)
            ctx.propagate([b"SET", key, bytes(value.data), b"KEEPTTL"])
        raise _CORRUPTED from None
    if updated:
        value.invalidate()
        _store(ctx, key, value, events.PFADD, updated)
    return 1 if updated else 0


@command("pfcount")
def pfcount(ctx: Any, args: list[bytes]) -> int:
    try:
        if len(args) > 1:
            return estimate(_union(ctx, args)[0])
        return _count(ctx, args[0])
    except CorruptedError:
        raise _CORRUPTED from None


def _count(ctx: Any, key: bytes) -> int:
    value = _for_reading(ctx, key)
    if value is None:
        return 0
    is_new = value.cached_cardinality is None
    count = value.cardinality()
    if is_new:
        _store(ctx, key, value, events.SILENT)
        ctx.propagate([b"PFCOUNT", key])
    return count


def _union(ctx: Any, keys: list[bytes]) -> tuple[bytes, bool]:
    """The registers of the union, and whether any HyperLogLog in it was dense."""
    registers, dense = bytes(REGISTERS), False
    for key in keys:
        value = _for_reading(ctx, key)
        if value is not None:
            registers = highest(registers, value.registers())
            dense = dense or value.is_dense
    return registers, dense


@command("pfmerge")
def pfmerge(ctx: Any, args: list[bytes]) -> str:
    """The destination is one of the sources, if it is there."""
    key = args[0]
    try:
        registers, dense = _union(ctx, args)
        value = _for_writing(ctx, key) or HyperLogLog()
        if dense:
            value.to_dense()
        value.raise_registers(registers)
    except CorruptedError:
        raise _CORRUPTED from None
    value.invalidate()
    _store(ctx, key, value, events.PFADD)
    return OK


# --------------------------------------------------------------------------------------- looking inside


@command("pfdebug")
def pfdebug(ctx: Any, args: list[bytes]) -> Any:
    """`GETREG | DECODE | ENCODING | TODENSE key`. The first makes the string dense as well."""
    name, key = args[0].lower(), args[1]
    value = _for_writing(ctx, key)
    if value is None:
        raise _NO_KEY
    match name:
        case b"getreg":
            _make_dense(ctx, key, value)
            return list(value.registers())
        case b"decode":
            if value.is_dense:
                raise _NOT_SPARSE
            return value.decode().encode()
        case b"encoding":
            return value.encoding
        case b"todense":
            return int(_make_dense(ctx, key, value))
    raise ReplyError(f"ERR Unknown PFDEBUG subcommand '{one_line(args[0])}'")


def _make_dense(ctx: Any, key: bytes, value: HyperLogLog) -> bool:
    """True if it was sparse."""
    if value.is_dense:
        return False
    try:
        value.to_dense()
    except CorruptedError:
        raise _CORRUPTED from None
    _store(ctx, key, value, events.SILENT)
    return True


_TESTED_ELEMENTS = 10_000
"""Redis adds ten million, which Python would need a minute for, and nobody else be served meanwhile."""


@command("pfselftest")
def pfselftest(ctx: Any, args: list[bytes]) -> str:
    """Registers keep what is put into them, both encodings agree, and estimates are near the truth."""
    dense, sparse = HyperLogLog(), HyperLogLog()
    dense.to_dense()
    values = bytes(byte & 63 for byte in randbytes(REGISTERS))
    dense.raise_registers(values)
    for index, (expected, found) in enumerate(zip(values, dense.registers(), strict=True)):
        if expected != found:
            raise ReplyError(f"ERR TESTFAILED Register {index} should be {expected} but is {found}")
    dense.data[HEADER:] = bytes(len(dense.data) - HEADER)
    checkpoint, seed = 1, randrange(1 << 64)
    for count in range(1, _TESTED_ELEMENTS + 1):
        element = (count ^ seed).to_bytes(8, "little")
        dense.add(element)
        sparse.add(element)
        if count == checkpoint:
            _check(dense, sparse, count)
            checkpoint *= 10
    return OK


def _check(dense: HyperLogLog, sparse: HyperLogLog, count: int) -> None:
    if count < limits.hll_sparse_max_bytes // 2 and sparse.is_dense:
        raise ReplyError("ERR TESTFAILED sparse encoding not used")
    found = dense.cardinality()
    if found != sparse.cardinality():
        raise ReplyError("ERR TESTFAILED dense/sparse disagree")
    error = abs(found - count)
    if error > 1 + count * 6 * 1.04 / REGISTERS**0.5:
        raise ReplyError(f"ERR TESTFAILED Too big error. card:{count} abserr:{error}")
