"""The key slot: CRC16/XMODEM of a key's hash tag, modulo 16,384.

Source: Redis Cluster specification, "Key distribution model" and "Hash tags". `crcmod` defines the CRC;
the tables used here are filled from it at import, so that there is one definition and no per-key call.
Eight bytes are taken at a time ("slicing"): ADVANCE[n][b] is what byte b adds when n more bytes follow it. Most keys
have no tag, so the CRC of the whole is worked out while one is looked for.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memchr

from node.core.words cimport few_at, word_at

import crcmod.predefined

cdef uint16_t ADVANCE[8][256]

_crc16 = crcmod.predefined.mkPredefinedCrcFun("xmodem")
for _byte in range(256):
    ADVANCE[0][_byte] = _crc16(bytes((_byte,)))
for _following in range(1, 8):
    for _byte in range(256):
        _before = ADVANCE[_following - 1][_byte]
        ADVANCE[_following][_byte] = <uint16_t>(<int>_before << 8) ^ ADVANCE[0][<int>_before >> 8]


cdef inline uint16_t with_word(uint16_t crc, uint64_t word) noexcept nogil:
    """The CRC after eight bytes more, of which the lowest is the first."""
    return (
        ADVANCE[7][<uint8_t>word ^ (crc >> 8)]
        ^ ADVANCE[6][<uint8_t>(word >> 8) ^ (crc & 0xFF)]
        ^ ADVANCE[5][<uint8_t>(word >> 16)]
        ^ ADVANCE[4][<uint8_t>(word >> 24)]
        ^ ADVANCE[3][<uint8_t>(word >> 32)]
        ^ ADVANCE[2][<uint8_t>(word >> 40)]
        ^ ADVANCE[1][<uint8_t>(word >> 48)]
        ^ ADVANCE[0][<uint8_t>(word >> 56)]
    )


cdef inline bint has_brace(uint64_t word) noexcept nogil:
    """Whether an opening brace is among its bytes: one of them is zero then, and borrows."""
    word ^= 0x7B7B7B7B7B7B7B7BULL
    return (word - 0x0101010101010101ULL) & ~word & 0x8080808080808080ULL != 0


cdef inline int crc_slot(const unsigned char* p, size_t length, bint may_have_tag) noexcept nogil:
    """The slot of these bytes as they are; -1 where there is an opening brace among them, which `may_have_tag`."""
    cdef const unsigned char* end = p + length
    cdef size_t odd = length & 7
    cdef uint64_t word
    cdef uint16_t crc = 0
    if odd:
        # A CRC that begins at zero stays there over zeros: the odd bytes come first, behind as many as they lack.
        word = (word_at(p) if length > 8 else few_at(p, odd)) << (64 - 8 * odd)
        if may_have_tag and has_brace(word):
            return -1
        crc = with_word(0, word)
        p += odd
    while p != end:
        word = word_at(p)
        if may_have_tag and has_brace(word):
            return -1
        crc = with_word(crc, word)
        p += 8
    return crc & (SLOT_COUNT - 1)


cdef int slot_of(const char* key, size_t length) noexcept nogil:
    """Slot of `length` bytes at `key`. Only what stands between the first `{` and the first `}` after
    it is hashed, unless that is empty."""
    cdef int slot = crc_slot(<const unsigned char*>key, length, True)
    return slot if slot >= 0 else slot_by_tag(key, length)


cdef int slot_by_tag(const char* key, size_t length) noexcept nogil:
    """Of a key that has an opening brace."""
    cdef const char* opening = <const char*>memchr(key, c"{", length)
    cdef size_t rest = length - (opening - key) - 1
    cdef const char* closing = <const char*>memchr(opening + 1, c"}", rest)
    if closing != NULL and closing != opening + 1:
        key = opening + 1
        length = closing - key
    return crc_slot(<const unsigned char*>key, length, False)


cdef size_t tagged_head(const char* key, size_t length) noexcept nogil:
    """How many bytes a key has to the end of its hash tag, braces included: whatever key begins with the same bytes has
    the same tag, and so the same slot. 0 where it has none."""
    cdef const char* opening = <const char*>memchr(key, c"{", length)
    cdef const char* closing
    if opening == NULL:
        return 0
    closing = <const char*>memchr(opening + 1, c"}", length - (opening - key) - 1)
    if closing == NULL or closing == opening + 1:
        return 0
    return closing + 1 - key


def key_slot(bytes key not None) -> int:
    """The hash slot of a key, 0 to 16383."""
    return slot_of(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
