"""Reading one value of an RDB file or DUMP payload: every encoding Redis and Valkey ever gave their types.

What today's servers write is read by compiled code (node/core/rdb_load.pyx). For the others, here,
`load_value` is a table from type code to a function `Source → value`. A collection that is empty raises
EmptyValue, because no server holds one; duplicates, odd counts and scores that are no numbers are damage.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from node.core import listpack
from node.core.rdb_load import COLLECTIONS, EmptyValue, load_collection
from node.core.rdb_source import Source
from node.datatypes import Hash, List, SortedSet
from node.persistence.rdb import format as rdb
from node.persistence.rdb import ziplist, zipmap
from node.persistence.rdb.format import Malformed, Unsupported
from node.persistence.rdb.streams import load_stream

_INT64 = struct.Struct("<q")


# ------------------------------------------------------------------------------------------- primitives


def load_double_text(source: Source) -> float:
    """A score of the oldest format: length byte and decimal text; 253 NaN, 254 +inf, 255 -inf."""
    length = source.byte()
    if length == 253:
        return math.nan
    if length >= 254:
        return math.inf if length == 254 else -math.inf
    return _score(source.take(length))


# ------------------------------------------------------------------------------------------- from elements


def _score(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        raise Malformed(f"score {text[:32]!r} is no number") from None


def _pairs(elements: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    if len(elements) % 2:
        raise Malformed("odd number of elements where pairs were expected")
    halves = iter(elements)
    return zip(halves, halves, strict=True)


def _hash_of(fields: Iterable[tuple[bytes, bytes, int]]) -> Hash:
    """Of fields with values and Unix ms at which they expire, 0 for never."""
    made = Hash()
    for field, value, expire_at in fields:
        if not made.set(field, value):
            raise Malformed("hash with a field twice")
        if expire_at:
            made.set_expiry(field, expire_at)
    return _filled(made)


def _filled(made: Hash) -> Hash:
    if not len(made):
        raise EmptyValue("empty hash")
    return made


def _sorted_set_of(pairs: list[tuple[bytes, float]]) -> SortedSet:
    if not pairs:
        raise EmptyValue("empty sorted set")
    if any(math.isnan(score) for _, score in pairs):
        raise Malformed("score that is not a number")
    if len({member for member, _ in pairs}) != len(pairs):
        raise Malformed("sorted set with a member twice")
    return SortedSet(pairs)


def _settled(value: List) -> List:
    """A list once all of it is read. Redis drops nodes without elements, and refuses lists without nodes."""
    value.settle()
    if not len(value):
        raise EmptyValue("empty list")
    return value


# ------------------------------------------------------------------------------------------- types


def _strings(source: Source, count: int) -> list[bytes]:
    return [source.load_string() for _ in range(count)]


def _list_table(source: Source) -> List:
    return _settled(List(_strings(source, source.load_length())))


def _zset_with_texts(source: Source) -> SortedSet:
    """Scores as decimal text."""
    count = source.load_length()
    return _sorted_set_of([(source.load_string(), load_double_text(source)) for _ in range(count)])


Decode = Callable[[bytes], list[bytes]]


def _packed_hash(decode: Decode) -> Callable[[Source], Hash]:
    def load(source: Source) -> Hash:
        return _hash_of((field, value, 0) for field, value in _pairs(decode(source.load_string())))

    return load


def _packed_zset(decode: Decode) -> Callable[[Source], SortedSet]:
    def load(source: Source) -> SortedSet:
        return _sorted_set_of([(m, _score(score)) for m, score in _pairs(decode(source.load_string()))])

    return load


def _packed_list(source: Source) -> List:
    value = List()
    value.adopt_node(listpack.encode(ziplist.decode(source.load_string())), False)
    return _settled(value)


def _quicklist(source: Source) -> List:
    """Nodes that are ziplists each."""
    value = List()
    for _ in range(source.load_length()):
        value.adopt_node(listpack.encode(ziplist.decode(source.load_string())), False)
    return _settled(value)


# ------------------------------------------------------------------------------------------- field expiry


def _hash_metadata(relative: bool) -> Callable[[Source], Hash]:
    """Redis: (expiry, field, value) in turn, 0 for none. `relative`: the earliest expiry comes before them,
    and theirs are the time after it, plus one."""

    def load(source: Source) -> Hash:
        earliest = _INT64.unpack(source.take(8))[0] - 1 if relative else 0
        return _hash_of(_metadata_field(source, earliest) for _ in range(source.load_length()))

    return load


def _metadata_field(source: Source, earliest: int) -> tuple[bytes, bytes, int]:
    after = source.load_length()
    field, value = source.load_string(), source.load_string()
    return field, value, _moment(earliest + after) if after else 0


def _moment(expire_at: int) -> int:
    if not 0 <= expire_at <= rdb.LATEST_FIELD_EXPIRY:
        raise Malformed("hash field with an expiry out of range")
    return max(expire_at, 1)


def _hash_listpack_ex(has_minimum: bool) -> Callable[[Source], Hash]:
    """Redis: a listpack of (field, value, expiry) in turn, perhaps after the earliest of these."""

    def load(source: Source) -> Hash:
        if has_minimum:
            source.take(8)
        return _filled(Hash.from_packed(source.load_string(), True))

    return load


def _valkey_hash_2(source: Source) -> Hash:
    """Valkey: (field, value, expiry as int64, -1 for none) in turn."""
    count = source.load_length()
    return _hash_of(_valkey_field(source) for _ in range(count))


def _valkey_field(source: Source) -> tuple[bytes, bytes, int]:
    field, value = source.load_string(), source.load_string()
    expire_at = _INT64.unpack(source.take(8))[0]
    return field, value, 0 if expire_at == -1 else _moment(expire_at)


_LOADERS: Final[dict[int, Callable[[Source], Any]]] = {
    rdb.STRING: Source.load_string,
    rdb.LIST: _list_table,
    rdb.ZSET: _zset_with_texts,
    rdb.HASH_ZIPMAP: _packed_hash(zipmap.decode),
    rdb.LIST_ZIPLIST: _packed_list,
    rdb.ZSET_ZIPLIST: _packed_zset(ziplist.decode),
    rdb.HASH_ZIPLIST: _packed_hash(ziplist.decode),
    rdb.LIST_QUICKLIST: _quicklist,
    rdb.STREAM_LISTPACKS: load_stream(1),
    rdb.STREAM_LISTPACKS_2: load_stream(2),
    rdb.STREAM_LISTPACKS_3: load_stream(3),
}

_REDIS_LOADERS: Final = _LOADERS | {
    rdb.HASH_METADATA_PRE_GA: _hash_metadata(relative=False),
    rdb.HASH_LISTPACK_EX_PRE_GA: _hash_listpack_ex(has_minimum=False),
    rdb.HASH_METADATA: _hash_metadata(relative=True),
    rdb.HASH_LISTPACK_EX: _hash_listpack_ex(has_minimum=True),
}
_VALKEY_LOADERS: Final = _LOADERS | {rdb.VALKEY_HASH_2: _valkey_hash_2}

_NOT_SUPPORTED: Final = {
    rdb.MODULE_PRE_GA: "values of modules",
    rdb.MODULE_2: "values of modules",
}


def load_value(source: Source, code: int, version: int = rdb.VERSION_WRITTEN) -> Any:
    """The value (bytes or a datatype object) of type `code` that `source` continues with.

    `version` is that of the file or payload: it decides what the newest type codes mean.
    Raises RdbError, and Malformed (which knows no place) for contradictions inside the value.
    """
    if code in COLLECTIONS:
        return load_collection(source, code)
    loaders = _VALKEY_LOADERS if version >= rdb.VALKEY_VERSION_MIN else _REDIS_LOADERS
    loader = loaders.get(code)
    if loader is not None:
        return loader(source)
    if code in _NOT_SUPPORTED:
        raise Unsupported(f"{_NOT_SUPPORTED[code]} (type {code}) are not supported")
    raise Malformed(f"unknown value type {code}")
