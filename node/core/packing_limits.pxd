"""How large a collection may grow in its compact encoding, where compiled code reads it. See packing_limits.pyx."""

from libc.stdint cimport int64_t

cdef class Limits:
    cdef public int64_t hash_max_listpack_entries
    cdef public int64_t hash_max_listpack_value
    cdef public int64_t list_max_listpack_size
    cdef public int64_t set_max_intset_entries
    cdef public int64_t set_max_listpack_entries
    cdef public int64_t set_max_listpack_value
    cdef public int64_t stream_node_max_bytes
    cdef public int64_t stream_node_max_entries
    cdef public int64_t zset_max_listpack_entries
    cdef public int64_t zset_max_listpack_value
    cdef public int64_t hll_sparse_max_bytes

cdef Limits limits
