"""The payload of DUMP and RESTORE: one value, sealed with version and checksum.

    payload   = type value uint16(version) uint64(CRC64 of all before it)      little-endian
    functions = (FUNCTION2 string)* and the same seal: of FUNCTION DUMP and FUNCTION RESTORE

It travels between servers (MIGRATE, RESTORE) and through clients, so anything may arrive: a payload that is
not whole or too new is refused as BAD_DUMP_PAYLOAD, one whose inside makes no sense as BAD_DATA_FORMAT.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from typing import Any, Final

from node.core.crc64 import crc64
from node.core.rdb_source import Source
from node.errors import BAD_DATA_FORMAT, BAD_DUMP_PAYLOAD, ReplyError
from node.persistence.rdb import format as rdb
from node.persistence.rdb.dialects import REDIS_7_2, Dialect
from node.persistence.rdb.format import Malformed, RdbError
from node.persistence.rdb.values import load_value
from node.persistence.rdb.writer import dump_value, encode_function, encoded

PRE_GA_FUNCTION = ReplyError("ERR Pre-GA function format not supported")
NOT_A_FUNCTION = ReplyError("ERR given type is not a function")
BAD_FUNCTIONS = ReplyError("ERR Failed loading library data")

EXPIRING: Final = (rdb.HASH_METADATA, rdb.HASH_LISTPACK_EX)

_VERSION: Final = struct.Struct("<H")
_FOOTER: Final = struct.Struct("<HQ")


def dump_payload(value: Any, compress: bool = True, dialect: Dialect = REDIS_7_2) -> bytes:
    """What DUMP replies for `value` (bytes or a datatype object)."""
    code, body = dump_value(value, compress)
    version = dialect.version_with_field_expiry if code in EXPIRING else dialect.version
    if code in dialect.replaced:
        code, save = dialect.replaced[code]
        body = encoded(lambda out: save(value, out), compress)
    return seal(b"%c%b" % (code, body), version)


def load_payload(payload: bytes) -> Any:
    """The value in a payload. Raises ReplyError BAD_DUMP_PAYLOAD or BAD_DATA_FORMAT."""
    content, version = unseal(payload)
    if not content:
        raise BAD_DUMP_PAYLOAD
    source = Source(io.BytesIO(content[1:]), "payload")
    try:
        value = load_value(source, content[0], version)
    except (RdbError, Malformed):
        raise BAD_DATA_FORMAT from None
    if not source.at_end():
        raise BAD_DATA_FORMAT
    return value


def dump_functions(libraries: Iterable[bytes], compress: bool = True) -> bytes:
    """What FUNCTION DUMP replies for the sources of libraries."""
    return seal(b"".join(encode_function(code, compress) for code in libraries))


def load_functions(payload: bytes) -> list[bytes]:
    """The sources of libraries in a payload of FUNCTION DUMP. Raises ReplyError."""
    content, _ = unseal(payload)
    source = Source(io.BytesIO(content), "payload")
    libraries = []
    while not source.at_end():
        code = source.byte()
        if code == rdb.OP_FUNCTION_PRE_GA:
            raise PRE_GA_FUNCTION
        if code != rdb.OP_FUNCTION2:
            raise NOT_A_FUNCTION
        try:
            libraries.append(source.load_string())
        except (RdbError, Malformed):
            raise BAD_FUNCTIONS from None
    return libraries


def seal(content: bytes, version: int = rdb.VERSION_WRITTEN) -> bytes:
    """`content` with version and checksum behind it."""
    unsealed = content + _VERSION.pack(version)
    return unsealed + crc64(unsealed).to_bytes(8, "little")


def unseal(payload: bytes) -> tuple[bytes, int]:
    """What was sealed, and its version. Raises ReplyError BAD_DUMP_PAYLOAD."""
    if len(payload) < _FOOTER.size:
        raise BAD_DUMP_PAYLOAD
    version, stored = _FOOTER.unpack_from(payload, len(payload) - _FOOTER.size)
    if not rdb.is_readable_version(version) or stored != crc64(memoryview(payload)[:-8]):
        raise BAD_DUMP_PAYLOAD
    return payload[: -_FOOTER.size], version
