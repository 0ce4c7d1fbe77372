"""Writing RDB files: their sections in order. The grammar is in format.py; the bytes of strings, values and
entries are made by node/core/rdb_output.pyx, which hands them on in chunks of about 64 KB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from node.core.rdb_output import RdbOutput, type_code
from node.persistence.rdb import format as rdb
from node.persistence.rdb.dialects import REDIS_7_2, Dialect
from node.persistence.rdb.streams import save_stream

Write = Callable[[bytes], Any]


def encoded(put: Callable[[RdbOutput], Any], compress: bool = True) -> bytes:
    """All that `put` puts out."""
    parts: list[bytes] = []
    out = RdbOutput(parts.append, save_stream, compress, checksum=False)
    put(out)
    out.flush()
    return b"".join(parts)


def dump_value(value: Any, compress: bool = True) -> tuple[int, bytes]:
    """`(type code, body)` of one value, as it stands behind a key in a file and in DUMP's payload."""
    return type_code(value), encoded(lambda out: out.value(value), compress)


def encode_function(code: bytes, compress: bool = True) -> bytes:
    """The section of a library of functions, given its source."""
    return encoded(lambda out: _put_function(out, code), compress)


def _put_function(out: RdbOutput, code: bytes) -> None:
    out.byte(rdb.OP_FUNCTION2)
    out.string(code)


def _put_header(out: RdbOutput, version: int, aux: Mapping[str, str | int]) -> None:
    magic = rdb.VALKEY_MAGIC if version >= rdb.VALKEY_VERSION_MIN else rdb.REDIS_MAGIC
    out.raw(magic + str(version).zfill(rdb.HEADER_LENGTH - len(magic)).encode())
    for name, value in aux.items():
        out.byte(rdb.OP_AUX)
        out.string(name.encode())
        out.string(str(value).encode())


def _put_room(out: RdbOutput, room: Any) -> None:
    out.byte(rdb.OP_SLOT_IMPORT)
    out.string(room.name)
    out.length(len(room.ranges))
    for first, last in room.ranges:
        out.length(first)
        out.length(last)


def write_rdb(
    write: Write,
    databases: Iterable[Any],
    aux: Mapping[str, str | int],
    *,
    functions: Iterable[bytes] = (),
    rooms: Iterable[Any] = (),
    policy: str = "noeviction",
    dialect: Dialect = REDIS_7_2,
    tell: Callable[[int], Any] | None = None,
    compress: bool = True,
    checksum: bool = True,
) -> int:
    """Write a whole file and return how many keys are in it.

    `databases`: `node.keyspace` Databases; empty ones leave no trace. `aux`: see `node.persistence.snapshot`.
    `functions`: the sources of libraries. `rooms`: what is on its way here (`node/keyspace/anteroom`).
    `policy`: of evictions; what it chooses by is kept of each key. `dialect`: for whom it is. `tell` is told
    now and then how many keys are written.
    """

    def write_and_tell(chunk: bytes) -> None:
        write(chunk)
        if tell is not None:
            tell(out.keys)

    out = RdbOutput(write_and_tell, save_stream, compress, checksum)
    databases, rooms = list(databases), list(rooms)
    everything = [(db, *(room.databases[at] for room in rooms)) for at, db in enumerate(databases)]
    expiring = any(db.expiring_hashes for group in everything for db in group)
    if expiring:
        version = dialect.version_with_field_expiry
    else:
        version = rdb.VALKEY_VERSION_MAX if rooms else dialect.version  # Valkey takes rooms in its own only
    out.replace(dialect.replaced, dialect.put)
    _put_header(out, version, aux)
    for code in functions:
        _put_function(out, code)
    for room in rooms:
        _put_room(out, room)
    for group in everything:
        if not any(map(len, group)):
            continue
        out.byte(rdb.OP_SELECTDB)
        out.length(group[0].index)
        out.byte(rdb.OP_RESIZEDB)
        out.length(sum(map(len, group)))
        out.length(sum(db.expiring for db in group))
        for db in group:
            out.entries(db, policy)
    out.byte(rdb.OP_EOF)
    out.flush()
    write((out.crc if checksum else 0).to_bytes(8, "little"))
    return out.keys
