"""CRC-64 as RDB uses it, for compiled code. See crc64.pyx."""

from libc.stdint cimport uint8_t, uint64_t

cdef uint64_t crc64_of(uint64_t crc, const uint8_t* data, size_t length) noexcept nogil
