"""What clients' commands cost, by key: the time they take and the bytes that they bring and fetch.

The engine tells of every request with keys while there is a KeyTraffic (`watch_traffic`), and of nothing
otherwise. All count in the totals; one of `ratio`, drawn by chance, is put down to its keys, in equal
parts where it has several. Keys stand in two sketches of fixed size (core/heavy_hitters), so memory is bounded
whatever clients do; keys longer than LONGEST_KEY are left out for the same reason.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t

from node.core.heavy_hitters cimport HeavyHitters
from node.core.key_slot cimport SLOT_COUNT

cdef enum:
    COUNTERS = 1024
    LONGEST_KEY = 16384


cdef class KeyTraffic:
    def __cinit__(self, bint times, bint volumes, int64_t ratio, bytes selected=None, uint64_t seed=1):
        """`times`, `volumes`: what to sort by. `selected`: a byte for each slot, 0 for those that are not to be
        looked at."""
        if selected is not None and len(selected) != SLOT_COUNT:
            raise ValueError("one byte for each slot")
        self.times = HeavyHitters(COUNTERS) if times else None
        self.volumes = HeavyHitters(COUNTERS) if volumes else None
        self.ratio = ratio
        self.selected = selected
        self.random = seed | 1

    cdef bint selects(self, int slot) noexcept:
        return self.selected is None or PyBytes_AS_STRING(self.selected)[slot] != 0

    cdef bint draws(self) noexcept:
        """Whether this request is one of `ratio` (xorshift64)."""
        if self.ratio <= 1:
            return True
        self.random ^= self.random << 13
        self.random ^= self.random >> 7
        self.random ^= self.random << 17
        return self.random % <uint64_t>self.ratio == 0

    cdef int note(self, int slot, list keys, int64_t nanoseconds, int64_t bytes_) except -1:
        """A request to keys of `slot`. `keys`: None if it was not drawn."""
        cdef int64_t count
        self.total.nanoseconds += nanoseconds
        self.total.bytes += bytes_
        if not self.selects(slot):
            return 0
        self.of_selected.nanoseconds += nanoseconds
        self.of_selected.bytes += bytes_
        if keys is None:
            return 0
        self.of_sampled.nanoseconds += nanoseconds
        self.of_sampled.bytes += bytes_
        count = len(keys)
        for key in keys:
            if PyBytes_GET_SIZE(key) > LONGEST_KEY:
                continue
            if self.times is not None:
                self.times.add(key, nanoseconds // count)
            if self.volumes is not None:
                self.volumes.add(key, bytes_ // count)
        return 0

    @property
    def all_slots(self) -> tuple[int, int]:
        """(ns, bytes) of all requests with keys."""
        return self.total.nanoseconds, self.total.bytes

    @property
    def selected_slots(self) -> tuple[int, int]:
        """(ns, bytes) of those whose slots are looked at."""
        return self.of_selected.nanoseconds, self.of_selected.bytes

    @property
    def sampled(self) -> tuple[int, int]:
        """(ns, bytes) of those that were drawn, too."""
        return self.of_sampled.nanoseconds, self.of_sampled.bytes

    def slowest(self, int most) -> list[tuple[bytes, int]]:
        """[(key, ns)] of the sampled, most first."""
        return self.times.top(most) if self.times is not None else []

    def busiest(self, int most) -> list[tuple[bytes, int]]:
        """[(key, bytes)] of the sampled, most first."""
        return self.volumes.top(most) if self.volumes is not None else []
