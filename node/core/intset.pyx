"""The intset: a sorted array of integers of one width, as Redis keeps a small set of integers.

    intset = uint32(width: 2, 4 or 8 bytes) uint32(count) integer*count       all little-endian

The integers ascend without repetition. The width is that of the widest integer that was ever in: adding may
widen all of them, removing does not narrow them. Source: intset.c of Redis.

An intset is one block of memory.pxd. What changes it returns it, perhaps moved, or NULL where there is no memory;
then the old one stands unchanged. Nothing here is byte-swapped: the core runs on little-endian machines.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memmove

from node.core.memory cimport resize, take


cdef uint32_t width_for(int64_t number) noexcept nogil:
    if -0x8000 <= number <= 0x7FFF:
        return 2
    return 4 if -0x80000000LL <= number <= 0x7FFFFFFFLL else 8


cdef void put_at(uint8_t* blob, uint32_t position, int64_t number) noexcept nogil:
    cdef uint32_t width = intset_width(blob)
    if width == 2:
        (<short*>(blob + INTSET_HEADER))[position] = <short>number
    elif width == 4:
        (<int*>(blob + INTSET_HEADER))[position] = <int>number
    else:
        (<int64_t*>(blob + INTSET_HEADER))[position] = number


cdef uint8_t* intset_new() noexcept nogil:
    cdef uint8_t* blob = <uint8_t*>take(INTSET_HEADER)
    if blob != NULL:
        (<uint32_t*>blob)[0] = 2
        (<uint32_t*>blob)[1] = 0
    return blob


cdef bint intset_find(const uint8_t* blob, int64_t number, uint32_t* position) noexcept nogil:
    """Whether `number` is there; `position` is where it is or would be."""
    cdef uint32_t low = 0
    cdef uint32_t high = intset_count(blob)
    cdef uint32_t middle
    if high and number > intset_at(blob, high - 1):
        low = high
    while low < high:
        middle = low + (high - low) // 2
        if intset_at(blob, middle) < number:
            low = middle + 1
        else:
            high = middle
    position[0] = low
    return low < intset_count(blob) and intset_at(blob, low) == number


cdef uint8_t* intset_add(uint8_t* blob, int64_t number, bint* added) noexcept nogil:
    cdef uint32_t width = width_for(number)
    cdef uint32_t count = intset_count(blob)
    cdef uint32_t position = 0
    cdef uint8_t* grown
    if width > intset_width(blob):
        return widen_and_add(blob, number, width, added)
    added[0] = not intset_find(blob, number, &position)
    if not added[0]:
        return blob
    width = intset_width(blob)
    grown = <uint8_t*>resize(blob, intset_bytes(blob) + width)
    if grown == NULL:
        return NULL
    memmove(
        grown + INTSET_HEADER + <size_t>(position + 1) * width,
        grown + INTSET_HEADER + <size_t>position * width,
        <size_t>(count - position) * width,
    )
    (<uint32_t*>grown)[1] = count + 1
    put_at(grown, position, number)
    return grown


cdef uint8_t* widen_and_add(uint8_t* blob, int64_t number, uint32_t width, bint* added) noexcept nogil:
    """Add a number too wide for those that are there; it is below or above all of them."""
    cdef uint32_t count = intset_count(blob)
    cdef uint8_t* grown = <uint8_t*>resize(blob, INTSET_HEADER + <size_t>(count + 1) * width)
    cdef uint32_t i = count
    cdef int64_t moved
    if grown == NULL:
        return NULL
    added[0] = True
    while i:      # from the end, so that nothing is overwritten before it was read
        i -= 1
        moved = intset_at(grown, i)
        if width == 4:
            (<int*>(grown + INTSET_HEADER))[i + (number < 0)] = <int>moved
        else:
            (<int64_t*>(grown + INTSET_HEADER))[i + (number < 0)] = moved
    (<uint32_t*>grown)[0] = width
    (<uint32_t*>grown)[1] = count + 1
    put_at(grown, 0 if number < 0 else count, number)
    return grown


cdef uint8_t* intset_remove_at(uint8_t* blob, uint32_t position) noexcept nogil:
    cdef uint32_t width = intset_width(blob)
    cdef uint32_t count = intset_count(blob)
    cdef uint8_t* smaller
    memmove(
        blob + INTSET_HEADER + <size_t>position * width,
        blob + INTSET_HEADER + <size_t>(position + 1) * width,
        <size_t>(count - position - 1) * width,
    )
    (<uint32_t*>blob)[1] = count - 1
    smaller = <uint8_t*>resize(blob, intset_bytes(blob))
    return blob if smaller == NULL else smaller


cdef bint intset_check(const uint8_t* blob, size_t length) noexcept nogil:
    """Whether foreign bytes are an intset."""
    cdef uint32_t i
    if length < INTSET_HEADER or intset_width(blob) not in (2, 4, 8) or intset_bytes(blob) != length:
        return False
    for i in range(1, intset_count(blob)):
        if intset_at(blob, i - 1) >= intset_at(blob, i):
            return False
    return True
