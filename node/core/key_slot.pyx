"""The key slot: CRC16/XMODEM of a key's hash tag, modulo 16,384.

Source: Redis Cluster specification, "Key distribution model" and "Hash tags". `crcmod` defines the CRC;
the tables used here are filled from it at import, so that there is one definition and no per-key call.
Four bytes are taken at a time ("slicing"): ADVANCE[n][b] is what byte b adds when n more bytes follow it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint16_t
from libc.string cimport memchr

import crcmod.predefined

cdef uint16_t ADVANCE[4][256]

_crc16 = crcmod.predefined.mkPredefinedCrcFun("xmodem")
for _following in range(4):
    for _byte in range(256):
        ADVANCE[_following][_byte] = _crc16(bytes((_byte,)) + bytes(_following))


cdef int slot_of(const char* key, size_t length) noexcept nogil:
    """Slot of `length` bytes at `key`. Only what stands between the first `{` and the first `}` after
    it is hashed, unless that is empty."""
    cdef const char* opening = <const char*>memchr(key, c"{", length)
    cdef const char* closing
    cdef size_t rest
    cdef const unsigned char* p
    cdef uint16_t crc = 0
    if opening != NULL:
        rest = length - (opening - key) - 1
        closing = <const char*>memchr(opening + 1, c"}", rest)
        if closing != NULL and closing != opening + 1:
            key = opening + 1
            length = closing - key
    p = <const unsigned char*>key
    while length >= 4:
        crc = (
            ADVANCE[3][(crc >> 8) ^ p[0]]
            ^ ADVANCE[2][(crc & 0xFF) ^ p[1]]
            ^ ADVANCE[1][p[2]]
            ^ ADVANCE[0][p[3]]
        )
        p += 4
        length -= 4
    while length:
        crc = <uint16_t>(crc << 8) ^ ADVANCE[0][(crc >> 8) ^ p[0]]
        p += 1
        length -= 1
    return crc & (SLOT_COUNT - 1)


def key_slot(bytes key not None) -> int:
    """The hash slot of a key, 0 to 16383."""
    return slot_of(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
