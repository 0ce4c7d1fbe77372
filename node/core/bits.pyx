"""Bits of whole strings: counting, finding and combining them at memory speed, for the bitmap commands.

The functions take anything that shows its bytes; `string_view` lends them a string where it lies, uncopied.
Plain loops over bytes and words, which the compiler turns into vector instructions. Strings shorter than the
longest are thought to go on with zeros. Bit 0 is the highest of byte 0, as everywhere in Redis.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.buffer cimport PyBUF_READ
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from node.core.database cimport Database
from node.core.slot_table cimport Entry, entry_value

cdef extern from *:
    """
    #define SHOAL_POPCOUNT(x) __builtin_popcountll(x)
    """
    int popcount "SHOAL_POPCOUNT"(uint64_t word) nogil

cdef enum:
    AND
    OR
    XOR

ctypedef unsigned char byte


def string_view(Database db not None, bytes key not None) -> memoryview | None:
    """The string at `key`, read as by GET, or None. Raises WRONGTYPE.

    The bytes are the database's own: the view must be gone before that key is written or deleted.
    """
    cdef Entry* entry = db.string_for_read(key)
    if entry == NULL:
        return None
    return PyMemoryView_FromMemory(<char*>entry_value(entry), entry.value_length, PyBUF_READ)


def count_ones(const byte[::1] data not None) -> int:
    """How many bits are 1."""
    cdef Py_ssize_t length = data.shape[0]
    cdef Py_ssize_t at = 0
    cdef uint64_t word
    cdef uint64_t total = 0
    while at + 8 <= length:
        memcpy(&word, &data[at], 8)
        total += popcount(word)
        at += 8
    while at < length:
        total += popcount(data[at])
        at += 1
    return total


def first_bit(const byte[::1] data not None, bint bit) -> int:
    """Where the first `bit` is, -1 if there is none."""
    cdef Py_ssize_t length = data.shape[0]
    cdef Py_ssize_t at = 0
    cdef uint64_t word
    cdef uint64_t dull = 0 if bit else <uint64_t>-1
    cdef int found, shift
    while at + 8 <= length:
        memcpy(&word, &data[at], 8)
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


cdef int fold(int operation, byte* result, Py_ssize_t length, const byte[::1] source) except -1:
    """result = result <operation> source."""
    cdef Py_ssize_t have = source.shape[0]
    cdef Py_ssize_t i
    cdef const byte* data = &source[0] if have else NULL
    if operation == AND:
        for i in range(have):
            result[i] &= data[i]
        memset(result + have, 0, length - have)
    elif operation == OR:
        for i in range(have):
            result[i] |= data[i]
    else:
        for i in range(have):
            result[i] ^= data[i]
    return 0


cdef int note_twice(byte* result, byte* twice, const byte[::1] source) except -1:
    """result |= source; what was in both is noted in `twice`."""
    cdef Py_ssize_t have = source.shape[0]
    cdef Py_ssize_t i
    cdef const byte* data = &source[0] if have else NULL
    for i in range(have):
        twice[i] |= result[i] & data[i]
        result[i] |= data[i]
    return 0


def combine(bytes operation not None, list sources not None) -> bytes:
    """The strings `sources` (at least one) combined to one as long as the longest.

    AND, OR, XOR of all; NOT of the only one; DIFF: in the first and in no other; DIFF1: in another and not in
    the first; ANDOR: in the first and in another; ONE: in exactly one.
    """
    cdef Py_ssize_t length = max(map(len, sources))
    cdef const byte[::1] first = sources[0]
    cdef Py_ssize_t have = first.shape[0]
    cdef const byte* base = &first[0] if have else NULL
    cdef bytes made = PyBytes_FromStringAndSize(NULL, length)
    cdef byte* result = <byte*>PyBytes_AS_STRING(made)
    cdef byte* twice
    cdef Py_ssize_t i
    if operation in (b"DIFF", b"DIFF1", b"ANDOR"):
        memset(result, 0, length)
        for source in sources[1:]:
            fold(OR, result, length, source)
        if operation == b"DIFF":
            for i in range(have):
                result[i] = base[i] & ~result[i]
            memset(result + have, 0, length - have)
        elif operation == b"DIFF1":
            for i in range(have):
                result[i] &= ~base[i]
        else:
            fold(AND, result, length, first)
        return made
    memcpy(result, base, have)
    memset(result + have, 0, length - have)
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
            fold({b"AND": AND, b"OR": OR, b"XOR": XOR}[operation], result, length, source)
    return made
