"""The allocation side of `buffers.pxd`: growth by doubling, and a free list of the smallest size."""

from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memmove

cdef extern from *:
    """
    #ifdef __GLIBC__
    #include <malloc.h>
    #else
    #define malloc_trim(pad) ((void)(pad))
    #endif
    """
    void malloc_trim(size_t pad) nogil

cdef enum:
    CHUNK = 16384           # the smallest buffer: most turns of most connections fit
    SPARE_CHUNKS = 64       # at most 1 MB is kept for the next who needs a buffer

cdef char* spare[SPARE_CHUNKS]
cdef int spares = 0


cdef int reserve(Buffer* buffer, Py_ssize_t extra) except -1:
    cdef Py_ssize_t held = buffer.end - buffer.start
    cdef Py_ssize_t wanted
    cdef char* grown
    if buffer.capacity - buffer.end >= extra:
        return 0
    # Moving pays only if it frees at least as much as it copies; else the same bytes are moved over and over.
    if buffer.start >= held and buffer.capacity - held >= extra:
        _move_to_front(buffer, held)
        return 0
    wanted = max(2 * buffer.capacity, CHUNK)
    while wanted < held + extra:
        wanted *= 2
    if buffer.data == NULL:
        buffer.data = _allocate(wanted)
    else:
        _move_to_front(buffer, held)
        grown = <char*>realloc(buffer.data, wanted)
        if grown == NULL:
            raise MemoryError()
        buffer.data = grown
    buffer.capacity = wanted
    return 0


cdef void _move_to_front(Buffer* buffer, Py_ssize_t held) noexcept:
    if buffer.start:
        memmove(buffer.data, buffer.data + buffer.start, held)
        buffer.start = 0
        buffer.end = held


cdef char* _allocate(Py_ssize_t wanted) except NULL:
    global spares
    cdef char* fresh
    if wanted == CHUNK and spares > 0:
        spares -= 1
        return spare[spares]
    fresh = <char*>malloc(wanted)
    if fresh == NULL:
        raise MemoryError()
    return fresh


cdef void release(Buffer* buffer) noexcept:
    global spares
    if buffer.capacity == CHUNK and spares < SPARE_CHUNKS:
        spare[spares] = buffer.data
        spares += 1
    else:
        free(buffer.data)
    buffer.data = NULL
    buffer.start = buffer.end = buffer.capacity = 0


def trim_heap() -> None:
    """Let the system have what the heap has free: free() keeps it, wherever something behind it is in use."""
    malloc_trim(0)
