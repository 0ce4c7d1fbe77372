"""CRC-64 of the Jones polynomial, reflected, starting at zero: what RDB files and DUMP payloads end with.

Eight bytes at a time: table `n` has what a byte contributes that has `n` more bytes behind it, so that eight lookups
that do not wait for each other replace eight that do. The check value (of `123456789`) is e9c6d914c4b8d9ca; tests
compare it with crcmod's.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

cdef uint64_t POLYNOMIAL = 0x95AC9329AC4BC9B5ULL    # 0xAD93D23594C935A9 from its other end
cdef uint64_t TABLES[8][256]


cdef void fill_tables() noexcept nogil:
    cdef uint64_t crc
    cdef int byte, bit, behind
    for byte in range(256):
        crc = byte
        for bit in range(8):
            crc = (crc >> 1) ^ (POLYNOMIAL if crc & 1 else 0)
        TABLES[0][byte] = crc
    for byte in range(256):
        for behind in range(1, 8):
            crc = TABLES[behind - 1][byte]
            TABLES[behind][byte] = (crc >> 8) ^ TABLES[0][crc & 0xFF]


fill_tables()


cdef uint64_t crc64_of(uint64_t crc, const uint8_t* data, size_t length) noexcept nogil:
    """The checksum of bytes appended to what has the checksum `crc`. For little-endian machines."""
    cdef uint64_t word
    while length >= 8:
        memcpy(&word, data, 8)
        crc ^= word
        crc = (
            TABLES[7][crc & 0xFF]
            ^ TABLES[6][(crc >> 8) & 0xFF]
            ^ TABLES[5][(crc >> 16) & 0xFF]
            ^ TABLES[4][(crc >> 24) & 0xFF]
            ^ TABLES[3][(crc >> 32) & 0xFF]
            ^ TABLES[2][(crc >> 40) & 0xFF]
            ^ TABLES[1][(crc >> 48) & 0xFF]
            ^ TABLES[0][crc >> 56]
        )
        data += 8
        length -= 8
    while length:
        crc = (crc >> 8) ^ TABLES[0][(crc ^ data[0]) & 0xFF]
        data += 1
        length -= 1
    return crc


def crc64(data, uint64_t crc=0) -> int:
    """The checksum of `data` appended to data whose checksum is `crc`."""
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return crc64_of(crc, <const uint8_t*>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
