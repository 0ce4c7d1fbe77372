"""The RDB format: every constant of it, and its grammar in prose. Writer and reader stand beside this file.

An RDB file is a snapshot of a whole server:

    file      = magic version section* EOF checksum
    magic     = "REDIS" (versions 1..79) | "VALKEY" (versions 80 and up)
    version   = decimal digits that fill the header up to 9 bytes: "REDIS0011", "VALKEY080"
    section   = AUX string string                  a fact about the writer: name, value
              | SELECTDB length                    the database of the keys that follow
              | RESIZEDB length length             hint: how many keys, how many of them expire
              | SLOT_INFO length length length     hint: slot, its keys, how many of them expire
              | SLOT_IMPORT string length range*   a move of whole slots that was under way to the writer:
                                                   its name, and how many ranges of slots it has
              | FUNCTION2 string                   source of a function library
              | MODULE_AUX length module-value     data of a module, apart from its keys
              | entry
    entry     = [expiry] [IDLE length] [FREQ byte] type key value
    range     = length length                      first and last slot; their keys are among the entries
    expiry    = EXPIRE_MS int64 | EXPIRE_S int32   Unix time
    key       = string
    checksum  = uint64: CRC64 of all bytes before it; zero when the writer did not compute one

All fixed-size integers are little-endian, but the two longer forms of a length, which are big-endian:

    length    = 00xxxxxx                           6 bits
              | 01xxxxxx xxxxxxxx                  14 bits
              | 10000000 uint32 | 10000001 uint64
    string    = length bytes
              | 11000000 int8 | 11000001 int16 | 11000010 int32      decimal text of a number
              | 11000011 length(packed) length(plain) packed         LZF

A type code names both the kind of value and how it is laid out: as a table (a count, then its elements as
strings), or as one string that holds a packed encoding (listpack, ziplist, intset, zipmap).
DUMP's payload is `type value uint16(version) uint64(crc64 of all before)`: see payload.py.

Version 11 (Redis 7.2) is what we write: it is the last one that Redis and Valkey share. Only what holds
hashes with expiring fields is of version 12 (Redis 7.4), which brought these. It brought SLOT_INFO as well,
which Redis 7.2 would refuse: our files go without that hint (Valkey's have it as AUX). SLOT_IMPORT is theirs.
Replicas get what they can read: see dialects.py.

Facts from rdb.h and rdb.c of Redis and Valkey, and from files of redis-server 8.2.3 and valkey-server 9.1.2.
"""

from __future__ import annotations

from typing import Final

from node.core.listpack import (
    Malformed as Malformed,
)  # the reader turns it into RdbError, with its place
from node.core.rdb_source import RdbError as RdbError

REDIS_MAGIC: Final = b"REDIS"
VALKEY_MAGIC: Final = b"VALKEY"
HEADER_LENGTH: Final = 9
CHECKSUM_LENGTH: Final = 8
CHECKSUM_SINCE: Final = 5
"""The first version whose files end with a checksum."""

VERSION_OF_REDIS_7_0: Final = 10
VERSION_WRITTEN: Final = 11
VERSION_WITH_FIELD_EXPIRY: Final = 12
"""Written instead where hash fields expire."""
REDIS_VERSION_MAX: Final = 12
"""Written by Redis 8.2."""
VALKEY_VERSION_MIN: Final = 80
VALKEY_VERSION_MAX: Final = 80
"""Written by Valkey 9.1."""

# Lengths. The first two bits choose the form; these are the first bytes of the long forms.
LENGTH_32: Final = 0x80
LENGTH_64: Final = 0x81
# Strings that are not stored as they are: 11 in the first two bits, and one of these in the others.
STRING_INT8: Final = 0xC0
STRING_INT16: Final = 0xC1
STRING_INT32: Final = 0xC2
STRING_LZF: Final = 0xC3

# Opcodes, from 255 downwards.
OP_EOF: Final = 255
OP_SELECTDB: Final = 254
OP_EXPIRE_S: Final = 253
OP_EXPIRE_MS: Final = 252
OP_RESIZEDB: Final = 251
OP_AUX: Final = 250
OP_FREQ: Final = 249
OP_IDLE: Final = 248
OP_MODULE_AUX: Final = 247
OP_FUNCTION_PRE_GA: Final = 246
OP_FUNCTION2: Final = 245
OP_SLOT_INFO: Final = 244
OP_SLOT_IMPORT: Final = 243
LOWEST_OPCODE: Final = 242

# Types, from 0 upwards.
STRING: Final = 0
LIST: Final = 1
SET: Final = 2
ZSET: Final = 3
"""Scores as decimal text."""
HASH: Final = 4
ZSET_2: Final = 5
"""Scores as binary doubles."""
MODULE_PRE_GA: Final = 6
MODULE_2: Final = 7
HASH_ZIPMAP: Final = 9
LIST_ZIPLIST: Final = 10
SET_INTSET: Final = 11
ZSET_ZIPLIST: Final = 12
HASH_ZIPLIST: Final = 13
LIST_QUICKLIST: Final = 14
STREAM_LISTPACKS: Final = 15
HASH_LISTPACK: Final = 16
ZSET_LISTPACK: Final = 17
LIST_QUICKLIST_2: Final = 18
STREAM_LISTPACKS_2: Final = 19
SET_LISTPACK: Final = 20
STREAM_LISTPACKS_3: Final = 21

# Hashes with expiring fields. Redis (versions 12 to 79) and Valkey (80 and up) gave 22 and 23 different
# meanings.
HASH_METADATA_PRE_GA: Final = 22
HASH_LISTPACK_EX_PRE_GA: Final = 23
HASH_METADATA: Final = 24
HASH_LISTPACK_EX: Final = 25
VALKEY_HASH_2: Final = 22
LATEST_FIELD_EXPIRY: Final = (1 << 46) - 1
"""Unix ms. Redis keeps moments of fields in 46 bits."""

# The two kinds of node in LIST_QUICKLIST_2.
NODE_PLAIN: Final = 1
NODE_PACKED: Final = 2

# What a module's value is made of.
MODULE_EOF: Final = 0
MODULE_SINT: Final = 1
MODULE_UINT: Final = 2
MODULE_FLOAT: Final = 3
MODULE_DOUBLE: Final = 4
MODULE_STRING: Final = 5


class Unsupported(Malformed):
    """A value that is sound, but that this worker has no datatype for."""


def is_readable_version(version: int) -> bool:
    return 1 <= version <= REDIS_VERSION_MAX or VALKEY_VERSION_MIN <= version <= VALKEY_VERSION_MAX
