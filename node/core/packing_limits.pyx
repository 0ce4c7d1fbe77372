"""How large a collection may grow before Redis would leave its compact encoding.

One object for the process, whose fields are the directives of redis.conf with underscores. Lengths are in bytes, of
field and value alike; `list_max_listpack_size` is positive for elements and negative for one of the sizes below;
0 is no limit for nodes of streams; `hll_sparse_max_bytes` is of a whole HyperLogLog string, header included. The worker
keeps it in step with its settings through `update`; a changed threshold counts from a value's next change on.
"""

from libc.stdint cimport int64_t

cdef dict LISTPACK_BYTES = {-1: 4096, -2: 8192, -3: 16384, -4: 32768, -5: 65536}
"""What the negative values of list-max-listpack-size stand for."""

cdef enum:
    SAFE_BYTES = 8192    # a list limited by number of elements is limited to this many bytes as well


cdef class Limits:
    def __cinit__(self):
        self.hash_max_listpack_entries = 512
        self.hash_max_listpack_value = 64
        self.list_max_listpack_size = -2
        self.set_max_intset_entries = 512
        self.set_max_listpack_entries = 128
        self.set_max_listpack_value = 64
        self.stream_node_max_bytes = 4096
        self.stream_node_max_entries = 100
        self.zset_max_listpack_entries = 128
        self.zset_max_listpack_value = 64
        self.hll_sparse_max_bytes = 3000

    def update(self, **values) -> None:
        """Take over new values of some directives. AttributeError for one that is no limit."""
        for name, value in values.items():
            setattr(self, name, value)

    def list_fits(self, int64_t length, int64_t size) -> bool:
        """May a list of `length` elements in `size` bytes of listpack stay in one?"""
        if self.list_max_listpack_size < 0:
            return size <= <int64_t>LISTPACK_BYTES.get(self.list_max_listpack_size, 65536)
        return length <= self.list_max_listpack_size and size <= SAFE_BYTES


limits = Limits()
limits_of_process = limits
