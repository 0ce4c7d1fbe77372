"""The keys that weigh most of a stream of millions, found with a fixed number of counters.

The algorithm is Space-Saving (Metwally, Agrawal, El Abbadi, 2005). Each counter has a key. A key without one takes
over the counter that stands lowest, and goes on from there, since it may have weighed that much before; by
how much is remembered as the counter's error. So, with N the weight of all and m counters:

- every key that weighs more than N / m has a counter;
- a key weighs at most its count, and at least count - error, which is what `top` tells: never too much.

The counters stand in a heap, lightest first, so that an addition costs a look into a dict and a few
comparisons.
"""

from libc.stdint cimport int64_t

from node.core.memory cimport release, take_zeroed


cdef class HeavyHitters:
    def __cinit__(self, int capacity):
        self.capacity = capacity
        self.counters = <Counter*>take_zeroed(capacity, sizeof(Counter))
        self.heap = <int*>take_zeroed(capacity, sizeof(int))
        if self.counters == NULL or self.heap == NULL:
            raise MemoryError
        self.keys = []
        self.places = {}

    def __dealloc__(self):
        release(self.counters)
        release(self.heap)

    cpdef add(self, bytes key, int64_t weight):
        """`key` weighs so much more. No weight is negative."""
        cdef Counter* counter
        cdef int number
        found = self.places.get(key)
        if found is not None:
            number = found
            self.counters[number].count += weight
            self.sink(self.counters[number].place)
            return
        if self.used < self.capacity:
            number = self.used
            self.used += 1
            self.keys.append(key)
            self.places[key] = number
            self.counters[number].count = weight
            self.put(number, number)
            self.rise(number)
            return
        number = self.heap[0]
        counter = &self.counters[number]
        del self.places[self.keys[number]]
        self.places[key] = number
        self.keys[number] = key
        counter.error = counter.count
        counter.count += weight
        self.sink(0)

    def top(self, int most) -> list:
        """[(key, weight that it has at least)], heaviest first; keys that may weigh nothing are left out."""
        found = [
            (key, self.counters[number].count - self.counters[number].error)
            for number, key in enumerate(self.keys)
        ]
        found.sort(key=lambda pair: (-pair[1], pair[0]))
        return [pair for pair in found[:most] if pair[1] > 0]

    cdef void put(self, int place, int number) noexcept:
        self.heap[place] = number
        self.counters[number].place = place

    cdef void rise(self, int place) noexcept:
        """Move the counter at `place` up until it is no lighter than the one above."""
        cdef int number = self.heap[place]
        cdef int above
        while place > 0:
            above = (place - 1) // 2
            if self.counters[self.heap[above]].count <= self.counters[number].count:
                break
            self.put(place, self.heap[above])
            place = above
        self.put(place, number)

    cdef void sink(self, int place) noexcept:
        """Move the counter at `place` down until none below is lighter."""
        cdef int number = self.heap[place]
        cdef int below
        while True:
            below = 2 * place + 1
            if below >= self.used:
                break
            if below + 1 < self.used and (
                self.counters[self.heap[below + 1]].count < self.counters[self.heap[below]].count
            ):
                below += 1
            if self.counters[number].count <= self.counters[self.heap[below]].count:
                break
            self.put(place, self.heap[below])
            place = below
        self.put(place, number)
