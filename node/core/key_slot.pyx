"""The key slot: CRC16/XMODEM of a key's hash tag, modulo 16,384.

Source: Redis Cluster specification, "Key distribution model" and "Hash tags". `crcmod` defines the CRC;
the tables used here are filled from it at import, so that there is one definition and no per-key call.
Eight bytes are taken at a time ("slicing"): ADVANCE[n][b] is what byte b adds when n more bytes follow it. Most keys
have no tag, so the CRC of the whole is worked out while one is looked for.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint16_t, uint64_t
from libc.string cimport memchr, memcpy

import crcmod.predefined

cdef uint16_t ADVANCE[8][256]

_crc16 = crcmod.predefined.mkPredefinedCrcFun("xmodem")
for _byte in range(256):
    ADVANCE[0][_byte] = _crc16(bytes((_byte,)))
for _following in range(1, 8):
    for _byte in range(256):
        _before = ADVANCE[_following - 1][_byte]
        ADVANCE[_following][_byte] = <uint16_t>(<int>_before << 8) ^ ADVANCE[0][<int>_before >> 8]


cdef inline uint16_t with_byte(uint16_t crc, unsigned char byte) noexcept nogil:
    return <uint16_t>(crc << 8) ^ ADVANCE[0][(crc >> 8) ^ byte]


cdef inline uint16_t with_eight(uint16_t crc, const unsigned char* p) noexcept nogil:
    return (
        ADVANCE[7][(crc >> 8) ^ p[0]]
        ^ ADVANCE[6][(crc & 0xFF) ^ p[1]]
        ^ ADVANCE[5][p[2]]
        ^ ADVANCE[4][p[3]]
        ^ ADVANCE[3][p[4]]
        ^ ADVANCE[2][p[5]]
        ^ ADVANCE[1][p[6]]
        ^ ADVANCE[0][p[7]]
    )


cdef inline bint has_brace(const unsigned char* p) noexcept nogil:
    """Whether an opening brace is among eight bytes: one of `word`'s bytes is zero then, and borrows."""
    cdef uint64_t word
    memcpy(&word, p, 8)
    word ^= 0x7B7B7B7B7B7B7B7BULL
    return (word - 0x0101010101010101ULL) & ~word & 0x8080808080808080ULL != 0


cdef int slot_of(const char* key, size_t length) noexcept nogil:
    """Slot of `length` bytes at `key`. Only what stands between the first `{` and the first `}` after
    it is hashed, unless that is empty."""
    cdef const unsigned char* p = <const unsigned char*>key
    cdef const unsigned char* end = p + length
    cdef uint16_t crc = 0
    while end - p >= 8:
        if has_brace(p):
            return slot_by_tag(key, length)
        crc = with_eight(crc, p)
        p += 8
    while p != end:
        if p[0] == c"{":
            return slot_by_tag(key, length)
        crc = with_byte(crc, p[0])
        p += 1
    return crc & (SLOT_COUNT - 1)


cdef int slot_by_tag(const char* key, size_t length) noexcept nogil:
    """Of a key that has an opening brace."""
    cdef const char* opening = <const char*>memchr(key, c"{", length)
    cdef size_t rest = length - (opening - key) - 1
    cdef const char* closing = <const char*>memchr(opening + 1, c"}", rest)
    cdef uint16_t crc = 0
    if closing != NULL and closing != opening + 1:
        key = opening + 1
        length = closing - key
    while length >= 8:
        crc = with_eight(crc, <const unsigned char*>key)
        key += 8
        length -= 8
    while length:
        crc = with_byte(crc, key[0])
        key += 1
        length -= 1
    return crc & (SLOT_COUNT - 1)


def key_slot(bytes key not None) -> int:
    """The hash slot of a key, 0 to 16383."""
    return slot_of(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
