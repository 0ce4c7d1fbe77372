"""Which RDB a snapshot is written in: what its reader can read.

Our files are of Redis 7.2's version, or of 7.4's where fields of hashes expire. Of replicas, two cannot read
that:

- Redis 7.0 and whoever is older refuses the version, and knows neither packed sets nor when a consumer of a
  stream was active. Its own version loses only the latter.
- Valkey has refused Redis' versions since they parted ways, at 7.4, and writes expiring fields in a way
  of its own.

A dialect says which type codes it does not have. Values of these are written by Python, one by one, as
something it has; everything else is the same bytes in all of them, from compiled code
(node/core/rdb_output.pyx).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from node.core.rdb_output import RdbOutput
from node.core.rdb_source import Source
from node.datatypes import Hash, Set
from node.persistence.rdb import format as rdb
from node.persistence.rdb.streams import save_stream
from node.persistence.rdb.values import load_value

_MOMENT: Final = struct.Struct("<q")
NEVER: Final = -1

Save = Callable[[Any, RdbOutput], None]
"""Writes a value's body."""


@dataclass(frozen=True)
class Dialect:
    version: int
    version_with_field_expiry: int
    replaced: Mapping[int, tuple[int, Save]] = field(default_factory=dict)
    """type code that it does not have → the one used instead, and what writes the body."""

    def put(self, out: RdbOutput, code: int, key: bytes, value: Any) -> None:
        """Type, key and body of a value whose `code` is replaced; of one in a store, its body as written
        there."""
        if isinstance(value, bytes):
            value = load_value(Source(io.BytesIO(value), "record"), code, rdb.VERSION_WITH_FIELD_EXPIRY)
        other, save = self.replaced[code]
        out.byte(other)
        out.string(key)
        save(value, out)


def _save_set(value: Set, out: RdbOutput) -> None:
    out.length(len(value))
    for member in value:
        out.string(member)


def _save_valkey_hash(value: Hash, out: RdbOutput) -> None:
    out.length(len(value))
    for name, text, expire_at in value.walk():
        out.string(name)
        out.string(text)
        out.raw(_MOMENT.pack(expire_at or NEVER))


REDIS_7_2: Final = Dialect(rdb.VERSION_WRITTEN, rdb.VERSION_WITH_FIELD_EXPIRY)
"""What files are written in; Redis 8 reads it, and Valkey but for expiring fields."""

REDIS_7_0: Final = Dialect(
    rdb.VERSION_OF_REDIS_7_0,
    rdb.VERSION_WITH_FIELD_EXPIRY,
    {
        rdb.SET_LISTPACK: (rdb.SET, _save_set),
        rdb.STREAM_LISTPACKS_3: (rdb.STREAM_LISTPACKS_2, partial(save_stream, version=2)),
    },
)
"""Expiring fields it does not know in any form."""

VALKEY_9: Final = Dialect(
    rdb.VERSION_WRITTEN,
    rdb.VALKEY_VERSION_MAX,
    {
        rdb.HASH_METADATA: (rdb.VALKEY_HASH_2, _save_valkey_hash),
        rdb.HASH_LISTPACK_EX: (rdb.VALKEY_HASH_2, _save_valkey_hash),
    },
)
