"""Writing RDB: values, and whole files. The grammar is in format.py.

Output leaves in chunks of about 64 KB through the `write` it was given, so that a snapshot, even one of a
single huge collection, needs no memory of its own beside one element. The checksum is computed over those
chunks.

A collection is written in the encoding it says it has (`value.encoding`), which is what Redis would hold it
in: small ones as one packed blob, larger ones as tables. Numbers and compressible strings shrink as Redis
does it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import lzf

from node.core import listpack
from node.core.hash import NEVER
from node.datatypes import Hash, List, Set, SortedSet, Stream
from node.persistence.rdb import format as rdb
from node.persistence.rdb.crc64 import crc64
from node.persistence.rdb.streams import save_stream

Write = Callable[[bytes], Any]

CHUNK: Final = 64 * 1024
COMPRESS_OVER: Final = 20
"""Strings up to this length are never compressed: nothing could be gained."""

_INT8 = struct.Struct("<Bb")
_INT16 = struct.Struct("<Bh")
_INT32 = struct.Struct("<Bi")
_INT64 = struct.Struct("<q")
_EXPIRE_MS = struct.Struct("<Bq")
_DOUBLE = struct.Struct("<d")


def encode_length(length: int) -> bytes:
    if length < 1 << 6:
        return bytes((length,))
    if length < 1 << 14:
        return bytes((0x40 | length >> 8, length & 0xFF))
    if length < 1 << 32:
        return struct.pack(">BI", rdb.LENGTH_32, length)
    return struct.pack(">BQ", rdb.LENGTH_64, length)


def encode_string(text: bytes, compress: bool = True) -> bytes:
    """A string in its shortest form: as a number of up to 32 bits, compressed, or as it is."""
    length = len(text)
    if length <= 11:
        number = listpack.canonical_integer(text)
        if number is not None and -(1 << 31) <= number < 1 << 31:
            return _encode_integer(number)
    elif compress and length > COMPRESS_OVER:
        packed = lzf.compress(text, length - 4)
        if packed is not None:
            return b"%c%b%b%b" % (rdb.STRING_LZF, encode_length(len(packed)), encode_length(length), packed)
    return encode_length(length) + text


def _encode_integer(number: int) -> bytes:
    if -128 <= number < 128:
        return _INT8.pack(rdb.STRING_INT8, number)
    if -(1 << 15) <= number < 1 << 15:
        return _INT16.pack(rdb.STRING_INT16, number)
    return _INT32.pack(rdb.STRING_INT32, number)


def encode_function(code: bytes, compress: bool = True) -> bytes:
    """The section of a library of functions, given its source."""
    return b"%c%b" % (rdb.OP_FUNCTION2, encode_string(code, compress))


class RdbWriter:
    """Encodes into a buffer that is handed to `write` whenever it has grown to a chunk."""

    def __init__(self, write: Write, *, compress: bool = True, checksum: bool = True) -> None:
        self._write = write
        self._compress = compress
        self._checksum = checksum
        self._crc = 0
        self._buffer = bytearray()

    def header(self, aux: Mapping[str, str | int], version: int = rdb.VERSION_WRITTEN) -> None:
        self._buffer += b"%b%04d" % (rdb.REDIS_MAGIC, version)
        for name, value in aux.items():
            self._buffer.append(rdb.OP_AUX)
            self._string(name.encode())
            self._string(str(value).encode())

    def function(self, code: bytes) -> None:
        """A library of functions, by its source."""
        self._raw(encode_function(code, self._compress))

    def database(self, index: int, keys: int, volatile: int) -> None:
        """What follows belongs to database `index`, with so many keys, so many of them with an expiry."""
        self._buffer += b"%c%b" % (rdb.OP_SELECTDB, encode_length(index))
        self._buffer += b"%c%b%b" % (rdb.OP_RESIZEDB, encode_length(keys), encode_length(volatile))

    def entry(self, key: bytes, value: Any, expire_at: int = 0) -> None:
        """One key. `expire_at`: Unix time in ms, 0 for none."""
        buffer = self._buffer
        if expire_at:
            buffer += _EXPIRE_MS.pack(rdb.OP_EXPIRE_MS, expire_at)
        if type(value) is bytes:
            buffer.append(rdb.STRING)
            buffer += encode_string(key, self._compress)
            buffer += encode_string(value, self._compress)
        else:
            code = type_code(value)
            buffer.append(code)
            buffer += encode_string(key, self._compress)
            self.body(code, value)
        if len(buffer) >= CHUNK:
            self.flush()

    def end(self) -> None:
        """EOF and checksum; everything is written after this."""
        self._buffer.append(rdb.OP_EOF)
        self.flush()
        self._write(struct.pack("<Q", self._crc if self._checksum else 0))

    def flush(self) -> None:
        if not self._buffer:
            return
        chunk = bytes(self._buffer)
        self._buffer.clear()
        if self._checksum:
            self._crc = crc64(chunk, self._crc)
        self._write(chunk)

    # values

    def body(self, code: int, value: Any) -> None:
        """A value's bytes after type code and key. `code` is `type_code(value)`."""
        match code:
            case rdb.STRING:
                self._string(value)
            case rdb.HASH_LISTPACK:
                self._string(value.packed())
            case rdb.HASH_LISTPACK_EX:
                self._buffer += _INT64.pack(_earliest(value))
                self._string(value.packed())
            case rdb.HASH_METADATA:
                self._field_table(value)
            case rdb.ZSET_LISTPACK | rdb.SET_LISTPACK | rdb.SET_INTSET:
                self._string(value.blob)
            case rdb.LIST_QUICKLIST_2:
                self._quicklist(value)
            case rdb.HASH:
                self._table(len(value), (part for field, text, _ in value.walk() for part in (field, text)))
            case rdb.SET:
                self._table(len(value), value)
            case rdb.STREAM_LISTPACKS_3:
                save_stream(value, self._string, self._length, self._raw)
            case _:
                self._score_table(value)

    def _string(self, text: bytes) -> None:
        self._buffer += encode_string(text, self._compress)
        if len(self._buffer) >= CHUNK:
            self.flush()

    def _length(self, length: int) -> None:
        self._buffer += encode_length(length)

    def _raw(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) >= CHUNK:
            self.flush()

    def _table(self, count: int, strings: Iterable[bytes]) -> None:
        self._buffer += encode_length(count)
        for string in strings:
            self._string(string)

    def _score_table(self, value: SortedSet) -> None:
        self._buffer += encode_length(len(value))
        for member, score in value.items():
            self._string(member)
            self._buffer += _DOUBLE.pack(score)

    def _field_table(self, value: Hash) -> None:
        """Moments are written as the time after the earliest, plus one; 0 for fields that do not expire."""
        earliest = _earliest(value)
        self._buffer += _INT64.pack(earliest)
        self._buffer += encode_length(len(value))
        for field, text, expire_at in value.walk():
            self._buffer += encode_length(expire_at - earliest + 1 if expire_at else 0)
            self._string(field)
            self._string(text)

    def _quicklist(self, value: List) -> None:
        self._buffer += encode_length(value.node_count)
        for plain, data in value.nodes():
            self._buffer += encode_length(rdb.NODE_PLAIN if plain else rdb.NODE_PACKED)
            self._string(data)


def _earliest(value: Hash) -> int:
    """When the first field expires, 0 for never."""
    return value.soonest if value.soonest != NEVER else 0


_CODES: Final[dict[tuple[type, str], int]] = {
    (Hash, "listpack"): rdb.HASH_LISTPACK,
    (Hash, "listpackex"): rdb.HASH_LISTPACK_EX,
    (Hash, "hashtable"): rdb.HASH,
    (Set, "intset"): rdb.SET_INTSET,
    (Set, "listpack"): rdb.SET_LISTPACK,
    (Set, "hashtable"): rdb.SET,
    (SortedSet, "listpack"): rdb.ZSET_LISTPACK,
    (SortedSet, "skiplist"): rdb.ZSET_2,
    (List, "listpack"): rdb.LIST_QUICKLIST_2,
    (List, "quicklist"): rdb.LIST_QUICKLIST_2,
    (Stream, "stream"): rdb.STREAM_LISTPACKS_3,
}


def type_code(value: Any) -> int:
    """The type under which `value` (bytes or a datatype object) is written."""
    if isinstance(value, bytes):
        return rdb.STRING
    code = _CODES[type(value), value.encoding]
    return rdb.HASH_METADATA if code == rdb.HASH and value.soonest != NEVER else code


def dump_value(value: Any, compress: bool = True) -> tuple[int, bytes]:
    """`(type code, body)` of one value, as it stands behind a key in a file and in DUMP's payload."""
    parts: list[bytes] = []
    writer = RdbWriter(parts.append, compress=compress, checksum=False)
    code = type_code(value)
    writer.body(code, value)
    writer.flush()
    return code, b"".join(parts)


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
    writer = RdbWriter(write, compress=compress, checksum=checksum)
    databases = list(databases)
    expiring = any(db.expiring_hashes for db in databases)
    writer.header(aux, rdb.VERSION_WITH_FIELD_EXPIRY if expiring else rdb.VERSION_WRITTEN)
    for code in functions:
        writer.function(code)
    keys = 0
    for db in databases:
        if not len(db):
            continue
        writer.database(db.index, len(db), db.volatile_count)
        for key, value, expire_at in db.entries():
            writer.entry(key, value, expire_at)
            keys += 1
    writer.end()
    return keys
