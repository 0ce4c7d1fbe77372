"""LZF, for compiled code. See lzf.pyx."""

from libc.stdint cimport uint8_t

cdef size_t lzf_pack(const uint8_t* text, size_t length, uint8_t* out, size_t room) noexcept nogil
cdef bint lzf_unpack(const uint8_t* packed, size_t size, uint8_t* out, size_t length) noexcept nogil
