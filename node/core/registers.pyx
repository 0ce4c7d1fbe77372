"""What a HyperLogLog does with all its registers, or all of an element, at memory speed.

Registers are taken as 16384 bytes, one for each; a dense string packs them into 6 bits each, from the lowest bits of
a byte on:  bbaaaaaa ccccbbbb ddddddcc. What a string with them looks like is in node/datatypes/hyperloglog.py.
"""

from cpython.buffer cimport Py_buffer, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset

cdef enum:
    REGISTERS = 16384
    INDEX_BITS = 14
    HASH_BITS = 50            # of a hash, those behind the index
    DENSE_BYTES = 12288       # 6 bits for each register
    VALUES = 64               # that a register can have

cdef uint64_t MURMUR_FACTOR = 0xC6A4A7935BD1E995
cdef uint64_t SEED = 0xADC83B19

cdef extern from *:
    """
    #define SHOAL_CTZ(x) __builtin_ctzll(x)
    """
    int trailing_zeros "SHOAL_CTZ"(uint64_t word) nogil


cdef uint64_t hash_of(const char* data, size_t length) noexcept nogil:
    """MurmurHash64A of Austin Appleby (public domain), little-endian, with Redis' seed."""
    cdef uint64_t result = SEED ^ (length * MURMUR_FACTOR)
    cdef uint64_t word
    cdef const char* end = data + (length & ~<size_t>7)
    while data != end:
        memcpy(&word, data, 8)
        word *= MURMUR_FACTOR
        word ^= word >> 47
        result = (result ^ word * MURMUR_FACTOR) * MURMUR_FACTOR
        data += 8
    if length & 7:
        word = 0
        memcpy(&word, data, length & 7)
        result = (result ^ word) * MURMUR_FACTOR
    result ^= result >> 47
    result *= MURMUR_FACTOR
    return result ^ result >> 47


def murmur(bytes data not None) -> int:
    """The hash of an element, 64 bits."""
    return hash_of(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


def place(bytes element not None) -> tuple[int, int]:
    """The register an element belongs to, and the value it gives it: trailing zeros of its hash, plus one."""
    cdef uint64_t hashed = hash_of(PyBytes_AS_STRING(element), PyBytes_GET_SIZE(element))
    cdef uint64_t rest = hashed >> INDEX_BITS | <uint64_t>1 << HASH_BITS
    return hashed & (REGISTERS - 1), trailing_zeros(rest) + 1


def unpack(packed not None) -> bytes:
    """The registers of `packed`, the 12288 bytes of a dense string behind its header."""
    cdef bytes made = PyBytes_FromStringAndSize(NULL, REGISTERS)
    cdef uint8_t* out = <uint8_t*>PyBytes_AS_STRING(made)
    cdef const uint8_t* data
    cdef Py_buffer lent
    cdef Py_ssize_t i
    PyObject_GetBuffer(packed, &lent, PyBUF_SIMPLE)
    if lent.len != DENSE_BYTES:
        PyBuffer_Release(&lent)
        raise ValueError("not as many bytes as registers need")
    data = <const uint8_t*>lent.buf
    for i in range(0, DENSE_BYTES, 3):
        out[0] = data[i] & 63
        out[1] = data[i] >> 6 | (data[i + 1] & 15) << 2
        out[2] = data[i + 1] >> 4 | (data[i + 2] & 3) << 4
        out[3] = data[i + 2] >> 2
        out += 4
    PyBuffer_Release(&lent)
    return made


def pack(bytes registers not None) -> bytes:
    """What `unpack` takes."""
    cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(registers)
    cdef bytes made
    cdef uint8_t* out
    cdef Py_ssize_t i
    if PyBytes_GET_SIZE(registers) != REGISTERS:
        raise ValueError("not all registers")
    made = PyBytes_FromStringAndSize(NULL, DENSE_BYTES)
    out = <uint8_t*>PyBytes_AS_STRING(made)
    for i in range(0, REGISTERS, 4):
        out[0] = data[i] | data[i + 1] << 6
        out[1] = data[i + 1] >> 2 | data[i + 2] << 4
        out[2] = data[i + 2] >> 4 | data[i + 3] << 2
        out += 3
    return made


def highest(bytes left not None, bytes right not None) -> bytes:
    """The higher of two registers, for all registers."""
    cdef const uint8_t* one = <const uint8_t*>PyBytes_AS_STRING(left)
    cdef const uint8_t* other = <const uint8_t*>PyBytes_AS_STRING(right)
    cdef bytes made
    cdef uint8_t* out
    cdef Py_ssize_t i
    if PyBytes_GET_SIZE(left) != REGISTERS or PyBytes_GET_SIZE(right) != REGISTERS:
        raise ValueError("not all registers")
    made = PyBytes_FromStringAndSize(NULL, REGISTERS)
    out = <uint8_t*>PyBytes_AS_STRING(made)
    for i in range(REGISTERS):
        out[i] = one[i] if one[i] > other[i] else other[i]
    return made


def histogram(bytes registers not None) -> list[int]:
    """How many registers have each of the values 0..63."""
    cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(registers)
    cdef int[VALUES] counts
    cdef Py_ssize_t i
    memset(counts, 0, sizeof(counts))
    for i in range(PyBytes_GET_SIZE(registers)):
        counts[data[i] & (VALUES - 1)] += 1
    return [counts[i] for i in range(VALUES)]
