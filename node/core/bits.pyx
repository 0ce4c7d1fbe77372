"""Bits of whole strings: counting, finding and combining them at memory speed, for the bitmap commands.

The functions take anything that lends its bytes; `string_view` lends a string of the database where it lies,
uncopied. They borrow through Py_buffer: typed memoryviews would bring 20,000 lines of C with them.
Plain loops over bytes and words, which the compiler turns into vector instructions. Strings shorter than the
longest are thought to go on with zeros. Bit 0 is the highest of byte 0, as everywhere in Redis.
"""

from cpython.buffer cimport Py_buffer, PyBUF_READ, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from node.core.database cimport Database
from node.core.slot_table cimport Entry, entry_value, entry_value_length

cdef extern from *:
    """
    #define SHOAL_POPCOUNT(x) __builtin_popcountll(x)
    """
    int popcount "SHOAL_POPCOUNT"(uint64_t word) nogil

cdef enum:
    COPY
    AND
    AND_NOT
    OR
    XOR

ctypedef unsigned char byte

cdef dict FOLDS = {b"AND": AND, b"DIFF": AND_NOT, b"OR": OR, b"XOR": XOR}


def string_view(Database db not None, bytes key not None) -> memoryview | None:
    """The string at `key`, read as by GET, or None. Raises WRONGTYPE.

    The bytes are the database's own: the view must be gone before that key is written or deleted.
    """
    cdef Entry* entry = db.string_for_read(key)
    if entry == NULL:
        return None
    return PyMemoryView_FromMemory(<char*>entry_value(entry), entry_value_length(entry), PyBUF_READ)


def count_ones(data not None) -> int:
    """How many bits are 1."""
    cdef Py_buffer lent
    cdef Py_ssize_t at = 0
    cdef uint64_t word
    cdef uint64_t total = 0
    PyObject_GetBuffer(data, &lent, PyBUF_SIMPLE)
    while at + 8 <= lent.len:
        memcpy(&word, <const byte*>lent.buf + at, 8)
        total += popcount(word)
        at += 8
    while at < lent.len:
        total += popcount((<const byte*>lent.buf)[at])
        at += 1
    PyBuffer_Release(&lent)
    return total


def first_bit(data not None, bint bit) -> int:
    """Where the first `bit` is, -1 if there is none."""
    cdef Py_buffer lent
    cdef Py_ssize_t found
    PyObject_GetBuffer(data, &lent, PyBUF_SIMPLE)
    found = first_bit_of(<const byte*>lent.buf, lent.len, bit)
    PyBuffer_Release(&lent)
    return found


cdef Py_ssize_t first_bit_of(const byte* data, Py_ssize_t length, bint bit) noexcept nogil:
    cdef Py_ssize_t at = 0
    cdef uint64_t word
    cdef uint64_t dull = 0 if bit else <uint64_t>-1
    cdef int found, shift
    while at + 8 <= length:
        memcpy(&word, data + at, 8)
        if word != dull:
            break
        at += 8
    while at < length:
        found = data[at] if bit else data[at] ^ 0xFF
        if found:
            shift = 0
            while not found & (0x80 >> shift):
                shift += 1
            return at * 8 + shift
        at += 1
    return -1


cdef int fold(int operation, byte* result, Py_ssize_t length, source) except -1:
    """result = result <operation> source, all `length` bytes of it."""
    cdef Py_buffer lent
    cdef const byte* data
    cdef Py_ssize_t i
    PyObject_GetBuffer(source, &lent, PyBUF_SIMPLE)
    data = <const byte*>lent.buf
    if operation == COPY:
        memcpy(result, data, lent.len)
        memset(result + lent.len, 0, length - lent.len)
    elif operation == AND:
        for i in range(lent.len):
            result[i] &= data[i]
        memset(result + lent.len, 0, length - lent.len)
    elif operation == OR:
        for i in range(lent.len):
            result[i] |= data[i]
    elif operation == XOR:
        for i in range(lent.len):
            result[i] ^= data[i]
    else:
        for i in range(lent.len):
            result[i] &= ~data[i]
    PyBuffer_Release(&lent)
    return 0


cdef int note_twice(byte* result, byte* twice, source) except -1:
    """result |= source; what was in both is noted in `twice`."""
    cdef Py_buffer lent
    cdef const byte* data
    cdef Py_ssize_t i
    PyObject_GetBuffer(source, &lent, PyBUF_SIMPLE)
    data = <const byte*>lent.buf
    for i in range(lent.len):
        twice[i] |= result[i] & data[i]
        result[i] |= data[i]
    PyBuffer_Release(&lent)
    return 0


def combine(bytes operation not None, list sources not None) -> bytes:
    """The strings `sources` (at least one) combined to one as long as the longest.

    AND, OR, XOR of all; NOT of the only one; DIFF: in the first and in no other; DIFF1: in another and not in
    the first; ANDOR: in the first and in another; ONE: in exactly one.
    """
    cdef Py_ssize_t length = max(map(len, sources))
    cdef bytes made = PyBytes_FromStringAndSize(NULL, length)
    cdef byte* result = <byte*>PyBytes_AS_STRING(made)
    cdef byte* twice
    cdef Py_ssize_t i
    if operation in (b"DIFF1", b"ANDOR"):
        memset(result, 0, length)
        for source in sources[1:]:
            fold(OR, result, length, source)
        fold(AND_NOT if operation == b"DIFF1" else AND, result, length, sources[0])
        return made
    fold(COPY, result, length, sources[0])
    if operation == b"NOT":
        for i in range(length):
            result[i] = ~result[i]
    elif operation == b"ONE":
        twice = <byte*>calloc(max(length, 1), 1)
        if twice == NULL:
            raise MemoryError
        for source in sources[1:]:
            note_twice(result, twice, source)
        for i in range(length):
            result[i] &= ~twice[i]
        free(twice)
    else:
        for source in sources[1:]:
            fold(FOLDS[operation], result, length, source)
    return made
