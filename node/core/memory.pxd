"""Allocation that is counted: what the data takes, known at any moment. See memory.pyx."""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, malloc, realloc

cdef extern from "<malloc.h>" nogil:
    size_t malloc_usable_size(void* block)

cdef enum:
    BLOCK_OVERHEAD = 8    # what the allocator keeps in front of a block

cdef int64_t used           # bytes, of all blocks taken and not released yet
cdef int64_t python_used    # the same, of Python's large blocks: see memory.pyx

cdef inline void* take(size_t size) noexcept nogil:
    """A block of at least `size` bytes, or NULL."""
    global used
    cdef void* block = malloc(size)
    if block != NULL:
        used += malloc_usable_size(block) + BLOCK_OVERHEAD
    return block

cdef inline void* take_zeroed(size_t count, size_t size) noexcept nogil:
    """A block for `count` items of `size` bytes, all zero, or NULL."""
    global used
    cdef void* block = calloc(count, size)
    if block != NULL:
        used += malloc_usable_size(block) + BLOCK_OVERHEAD
    return block

cdef inline void* resize(void* block, size_t size) noexcept nogil:
    """As realloc: the block, perhaps moved; NULL, and the old block stands, where there is no memory."""
    global used
    cdef size_t before = malloc_usable_size(block) + BLOCK_OVERHEAD if block != NULL else 0
    cdef void* moved = realloc(block, size)
    if moved != NULL:
        used += <int64_t>(malloc_usable_size(moved) + BLOCK_OVERHEAD) - <int64_t>before
    return moved

cdef inline void release(void* block) noexcept nogil:
    """Free a block of the functions above; NULL is none."""
    global used
    if block != NULL:
        used -= malloc_usable_size(block) + BLOCK_OVERHEAD
        free(block)
