"""The rows of the command table. See command_rows.pyx."""

from libc.stdint cimport uint32_t

from node.core.engine cimport Engine, Row

cdef enum:
    INDEX_SIZE = 2048
    LONGEST_NAME = 31
    WATCHED = 1 << 16 | 1 << 17   # GATE_TIMED, GATE_MONITORED: what concerns clients that are obeyed, too

cdef inline uint32_t name_hash(const char* name, size_t length) noexcept nogil:
    """Of a command name, whatever its case."""
    cdef uint32_t value = 2166136261U
    cdef size_t i
    for i in range(length):
        value = (value ^ (<unsigned char>name[i] & 0xDF)) * 16777619U
    return value

cdef inline bint same_name(const char* upper, const char* name, size_t length) noexcept nogil:
    cdef size_t i
    cdef char c
    for i in range(length):
        c = name[i]
        if c"a" <= c <= c"z":
            c -= 32
        if c != upper[i]:
            return False
    return True

cdef inline Row* row_called(Engine engine, const char* name, size_t length) noexcept:
    """The row of the command that clients call so, or NULL."""
    cdef Row* row
    cdef uint32_t i
    if length == 0 or length > LONGEST_NAME:
        return NULL
    i = name_hash(name, length) & (INDEX_SIZE - 1)
    while engine.index[i]:
        row = &engine.rows[engine.index[i] - 1]
        if row.name_length == length and same_name(row.name, name, length):
            return row
        i = (i + 1) & (INDEX_SIZE - 1)
    return NULL
