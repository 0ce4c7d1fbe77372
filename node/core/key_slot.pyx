"""The key slot: CRC16/XMODEM of a key's hash tag, modulo 16,384.

Source: Redis Cluster specification, "Key distribution model" and "Hash tags". `crcmod` defines the CRC;
the table used here is filled from it at import, so that there is one definition and no per-key call.
"""

from libc.string cimport memchr

import crcmod.predefined

_crc16 = crcmod.predefined.mkPredefinedCrcFun("xmodem")
for _byte in range(256):
    CRC16_TABLE[_byte] = _crc16(bytes((_byte,)))


cdef int slot_of(const char* key, size_t length) noexcept nogil:
    """Slot of `length` bytes at `key`. Only what stands between the first `{` and the first `}` after
    it is hashed, unless that is empty."""
    cdef const char* opening = <const char*>memchr(key, c"{", length)
    cdef const char* closing
    cdef size_t rest
    cdef size_t i
    cdef uint16_t crc = 0
    if opening != NULL:
        rest = length - (opening - key) - 1
        closing = <const char*>memchr(opening + 1, c"}", rest)
        if closing != NULL and closing != opening + 1:
            key = opening + 1
            length = closing - key
    for i in range(length):
        crc = <uint16_t>((crc << 8) ^ CRC16_TABLE[((crc >> 8) ^ <unsigned char>key[i]) & 0xFF])
    return crc & (SLOT_COUNT - 1)


def key_slot(const unsigned char[::1] key not None) -> int:
    """The hash slot, 0 to 16383, of a key given as bytes or any contiguous buffer."""
    if key.shape[0] == 0:
        return 0
    return slot_of(<const char*>&key[0], key.shape[0])
