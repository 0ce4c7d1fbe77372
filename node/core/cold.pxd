"""What of a database lies in the store only. See cold.pyx."""

from libc.stdint cimport int64_t, uint32_t

cdef class Cold:
    cdef uint32_t* keys           # per slot: keys that are in the store and not in memory
    cdef uint32_t* volatiles      # those of them with an expiry
    cdef readonly int64_t size
    cdef readonly int64_t volatile_count
    cdef readonly int number      # of the database in the store, whatever SWAPDB made of its index
    cdef readonly object store
    cdef readonly object codec    # what makes entries and values of records: node.core.records
    cdef readonly object on_cleared
    cdef public set dirty
    cdef public set in_flight
    cdef public bint arriving     # the keys are on their way here: see node/storage/arrivals

    cdef int count(self, int slot, int keys, int volatiles) except -1
    cdef bint is_superseded(self, bytes key) except -1
    cdef bytes place(self, int slot, uint32_t hash, bytes key)
