"""Encoding RDB, for compiled code. See rdb_output.pyx."""

from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum Clocks:                # what is kept of the entries' access clocks
    NOT_KEPT
    BY_IDLE_TIME
    BY_FREQUENCY

cdef class RdbOutput:
    cdef object write
    cdef object save_stream
    cdef public bint compress
    cdef bint checksum
    cdef Clocks clocks
    cdef uint64_t replaced          # bits of type codes that whoever reads this does not have
    cdef object put_replaced
    cdef readonly uint64_t crc      # of all bytes written so far, if there is to be a checksum
    cdef readonly Py_ssize_t keys   # of databases, written so far
    cdef uint8_t* buffer
    cdef size_t used
    cdef size_t room

cdef int flush(RdbOutput self) except -1
cdef int put(RdbOutput self, const void* data, size_t size) except -1
cdef int put_byte(RdbOutput self, uint8_t value) except -1
cdef int put_string(RdbOutput self, const char* text, size_t length) except -1
cdef int put_object(RdbOutput self, uint32_t kind, PyObject* value) except -1
cdef uint8_t code_of(uint32_t kind, PyObject* value) noexcept
