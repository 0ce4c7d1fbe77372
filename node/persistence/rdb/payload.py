"""The payload of DUMP and RESTORE: one value, sealed with version and checksum.

    payload = type value uint16(version) uint64(CRC64 of all before it)      little-endian

It travels between servers (MIGRATE, RESTORE) and through clients, so anything may arrive: a payload that is
not whole or too new is refused as BAD_DUMP_PAYLOAD, one whose inside makes no sense as BAD_DATA_FORMAT.
"""

from __future__ import annotations

import io
import struct
from typing import Any, Final

from node.errors import BAD_DATA_FORMAT, BAD_DUMP_PAYLOAD
from node.persistence.rdb import format as rdb
from node.persistence.rdb.crc64 import crc64
from node.persistence.rdb.format import Malformed, RdbError
from node.persistence.rdb.source import Source
from node.persistence.rdb.values import load_value
from node.persistence.rdb.writer import dump_value

_VERSION: Final = struct.Struct("<H")
_FOOTER: Final = struct.Struct("<HQ")


def dump_payload(value: Any, compress: bool = True) -> bytes:
    """What DUMP replies for `value` (bytes or a datatype object)."""
    code, body = dump_value(value, compress)
    with_expiry = code in (rdb.HASH_METADATA, rdb.HASH_LISTPACK_EX)
    version = rdb.VERSION_WITH_FIELD_EXPIRY if with_expiry else rdb.VERSION_WRITTEN
    unsealed = b"%c%b%b" % (code, body, _VERSION.pack(version))
    return unsealed + crc64(unsealed).to_bytes(8, "little")


def load_payload(payload: bytes) -> Any:
    """The value in a payload. Raises ReplyError BAD_DUMP_PAYLOAD or BAD_DATA_FORMAT."""
    if len(payload) < _FOOTER.size + 1:
        raise BAD_DUMP_PAYLOAD
    version, stored = _FOOTER.unpack_from(payload, len(payload) - _FOOTER.size)
    if not rdb.is_readable_version(version) or stored != crc64(memoryview(payload)[:-8]):
        raise BAD_DUMP_PAYLOAD
    source = Source(io.BytesIO(payload[1 : -_FOOTER.size]), "payload")
    try:
        value = load_value(source, payload[0], version)
    except (RdbError, Malformed):
        raise BAD_DATA_FORMAT from None
    if not source.at_end():
        raise BAD_DATA_FORMAT
    return value
