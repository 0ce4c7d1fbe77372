"""The head of a record, which is what the store holds of a key.

    record = u8(flags) u24(access clock) [i64(expiry, Unix ms)] u8(RDB's type code) body [long key, u32(its length)]

All little-endian. `flags` are those of an entry (slot_table.pxd), and LONG_KEY: the key was too long for its place, and
stands at the end. The body is RDB's encoding of the value, so that a snapshot copies it as it is.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy

from node.core.slot_table cimport HAS_EXPIRY

cdef enum:
    LONG_KEY = 0x80

cdef struct Head:
    uint32_t flags
    uint32_t clock
    int64_t expire_at     # Unix ms, 0 for none
    uint8_t code
    size_t body           # where the body begins
    size_t end            # and ends

cdef inline int read_head(Head* head, bytes record) except -1:
    cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(record)
    cdef size_t length = PyBytes_GET_SIZE(record)
    cdef size_t at = sizeof(uint32_t)
    cdef uint32_t word, key_length
    if length < at + 1:
        raise ValueError("a record without a head")
    memcpy(&word, data, sizeof(uint32_t))
    head.flags = word & 0xFF
    head.clock = word >> 8
    head.expire_at = 0
    head.end = length
    if head.flags & HAS_EXPIRY:
        if length < at + sizeof(int64_t) + 1:
            raise ValueError("a record without a head")
        memcpy(&head.expire_at, data + at, sizeof(int64_t))
        at += sizeof(int64_t)
    head.code = data[at]
    head.body = at + 1
    if head.flags & LONG_KEY:
        memcpy(&key_length, data + length - sizeof(uint32_t), sizeof(uint32_t))
        if head.body + key_length + sizeof(uint32_t) > length:
            raise ValueError("a record without its key")
        head.end = length - sizeof(uint32_t) - key_length
    return 0
