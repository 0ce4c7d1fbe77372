"""Which keys there are, as compiled code beside it sees it. See catalogue.pyx."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from node.core.keyspace cimport Keyspace

cdef class Catalogue(Keyspace):
    cdef list live_entries(self, int slot, Py_ssize_t limit, bint with_values)
    cdef int delete_stale(self, bytes key) except -1
    cdef bint holds(self, int slot) noexcept
    cdef bint is_past(self, int64_t expire_at) noexcept
    cdef int add_cold(self, list found, int slot, Py_ssize_t limit, bint with_values) except -1
    cdef uint64_t scan_cold(self, int slot, uint32_t start, uint64_t end, Py_ssize_t count, list keys) except? 0
    cdef bytes random_cold_key(self)
