"""Writing RDB files: their sections in order. The grammar is in format.py; the bytes of strings, values and
entries are made by node/core/rdb_output.pyx, which hands them on in chunks of about 64 KB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from node.core.rdb_output import RdbOutput, type_code
from node.persistence.rdb import format as rdb
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
    out.raw(b"%b%04d" % (rdb.REDIS_MAGIC, version))
    for name, value in aux.items():
        out.byte(rdb.OP_AUX)
        out.string(name.encode())
        out.string(str(value).encode())


def write_rdb(
    write: Write,
    databases: Iterable[Any],
    aux: Mapping[str, str | int],
    *,
    functions: Iterable[bytes] = (),
    compress: bool = True,
    checksum: bool = True,
) -> int:
    """Write a whole file and return how many keys are in it.

    `databases`: `node.keyspace` Databases; empty ones leave no trace. `aux`: see `node.persistence.snapshot`.
    `functions`: the sources of libraries.
    """
    out = RdbOutput(write, save_stream, compress, checksum)
    databases = list(databases)
    expiring = any(db.expiring_hashes for db in databases)
    _put_header(out, rdb.VERSION_WITH_FIELD_EXPIRY if expiring else rdb.VERSION_WRITTEN, aux)
    for code in functions:
        _put_function(out, code)
    keys = 0
    for db in databases:
        if not len(db):
            continue
        out.byte(rdb.OP_SELECTDB)
        out.length(db.index)
        out.byte(rdb.OP_RESIZEDB)
        out.length(len(db))
        out.length(db.volatile_count)
        keys += out.entries(db)
    out.byte(rdb.OP_EOF)
    out.flush()
    write((out.crc if checksum else 0).to_bytes(8, "little"))
    return keys
