"""How much memory the data takes, counted where it is allocated.

The keyspace, the collections and the buffers of the compiled core take their blocks with the functions of
memory.pxd, which add up what the allocator really hands out. So `used_bytes` is exact for them and costs nothing
to ask, which is done before every command (node/keyspace/eviction).

What Python takes is known in two parts. Blocks of more than 512 bytes come from malloc; once `watch_python` was
called, they are counted as well, at once. Smaller objects live in Python's own arenas, of which only the
number of objects is known (`sys.getallocatedblocks`). node/metrics/memory adds it all up.
"""

from libc.stdint cimport int64_t, uintptr_t
from libc.stdio cimport FILE, fclose
from libc.stdlib cimport free, malloc

cdef extern from "<Python.h>" nogil:
    ctypedef struct PyMemAllocatorEx:
        void* ctx
        void* (*malloc)(void* ctx, size_t size) noexcept nogil
        void* (*calloc)(void* ctx, size_t count, size_t size) noexcept nogil
        void* (*realloc)(void* ctx, void* block, size_t size) noexcept nogil
        void (*free)(void* ctx, void* block) noexcept nogil
    ctypedef enum PyMemAllocatorDomain:
        PYMEM_DOMAIN_RAW
    void PyMem_GetAllocator(PyMemAllocatorDomain domain, PyMemAllocatorEx* allocator)
    void PyMem_SetAllocator(PyMemAllocatorDomain domain, PyMemAllocatorEx* allocator)

cdef extern from "<malloc.h>" nogil:
    int malloc_trim(size_t pad)
    int mallopt(int what, int value)
    int M_MXFAST
    int malloc_info(int options, FILE* stream)

cdef extern from "<stdio.h>" nogil:
    FILE* open_memstream(char** text, size_t* length)

cdef extern from "<sys/mman.h>" nogil:
    int madvise(void* address, size_t length, int advice)
    int MADV_DONTNEED

cdef extern from "<unistd.h>" nogil:
    void* sbrk(Py_ssize_t increment)
    long sysconf(int name)
    int _SC_PAGESIZE

cdef enum:
    SLICE = 1 << 20      # bytes that `hollow` takes at a time: no more than 0.1 ms of the system's work
    UNUSUAL = 100_040    # bytes: of no block that is free by chance, and not so many that they are asked of the system

cdef extern from * nogil:
    """
    #define SHOAL_ADD(counter, change) __atomic_fetch_add(&(counter), (change), __ATOMIC_RELAXED)
    """
    void atomic_add "SHOAL_ADD"(int64_t counter, int64_t change)

cdef PyMemAllocatorEx plain    # what was there before us, and still does the work
cdef bint watching = False


def used_bytes() -> int:
    """Bytes that the compiled core holds at this moment, the allocator's overhead included."""
    return used


def python_bytes() -> int:
    """Bytes of large blocks that Python took since `watch_python`, less what it gave back."""
    return python_used


def watch_python() -> None:
    """Count Python's large blocks from here on. Wants the usual allocators, without their debugging hooks, which
    make addresses of their own."""
    global watching
    cdef PyMemAllocatorEx counted
    if watching:
        return
    watching = True
    PyMem_GetAllocator(PYMEM_DOMAIN_RAW, &plain)
    counted.ctx = plain.ctx
    counted.malloc = python_malloc
    counted.calloc = python_calloc
    counted.realloc = python_realloc
    counted.free = python_free
    PyMem_SetAllocator(PYMEM_DOMAIN_RAW, &counted)


cdef inline int64_t taken_by(void* block) noexcept nogil:
    return malloc_usable_size(block) + BLOCK_OVERHEAD if block != NULL else 0


# Python's threads use these without its lock, hence the atomic additions.

cdef void* python_malloc(void* ctx, size_t size) noexcept nogil:
    cdef void* block = plain.malloc(ctx, size)
    atomic_add(python_used, taken_by(block))
    return block


cdef void* python_calloc(void* ctx, size_t count, size_t size) noexcept nogil:
    cdef void* block = plain.calloc(ctx, count, size)
    atomic_add(python_used, taken_by(block))
    return block


cdef void* python_realloc(void* ctx, void* block, size_t size) noexcept nogil:
    cdef int64_t before = taken_by(block)
    cdef void* moved = plain.realloc(ctx, block, size)
    if moved != NULL:
        atomic_add(python_used, taken_by(moved) - before)
    return moved


cdef void python_free(void* ctx, void* block) noexcept nogil:
    atomic_add(python_used, -taken_by(block))
    plain.free(ctx, block)


def allocator_report() -> bytes:
    """What the C library has to say of its allocator: XML, as malloc_info(3) writes it. Walks its lists of free
    blocks, which takes long where there are many."""
    cdef char* text = NULL
    cdef size_t length = 0
    cdef FILE* stream = open_memstream(&text, &length)
    if stream == NULL:
        raise MemoryError
    malloc_info(0, stream)
    fclose(stream)
    try:
        return text[:length]
    finally:
        free(text)


def settle() -> None:
    """Have the allocator file some of the blocks that were freed lately: it puts them on a heap, and at each request
    that no filed one fits takes up to ten thousand from there. `trim` would walk over all of them at once."""
    release(take(UNUSUAL))


cdef struct Hollow:
    Hollow* before

cdef Hollow* hollows = NULL    # the last one of those that are held
cdef uintptr_t PAGE = sysconf(_SC_PAGESIZE)


def hollow() -> bool:
    """Give back the pages of one large free place of the allocator's, and hold it until `fill_in`, so that the next
    call finds another. False where none is left, but those that `trim` sees to."""
    global hollows
    cdef void* end = sbrk(0)
    cdef char* block = <char*>malloc(SLICE)
    cdef uintptr_t first, last
    if block == NULL:
        return False
    if <char*>end <= block or sbrk(0) != end:
        free(block)    # it was asked of the system
        return False
    (<Hollow*>block).before = hollows
    hollows = <Hollow*>block
    first = (<uintptr_t>block + sizeof(Hollow) + PAGE - 1) // PAGE * PAGE
    last = (<uintptr_t>block + SLICE) // PAGE * PAGE
    madvise(<void*>first, last - first, MADV_DONTNEED)
    return True


def fill_in() -> None:
    """Let go of what `hollow` holds."""
    global hollows
    cdef Hollow* last
    while hollows != NULL:
        last = hollows
        hollows = last.before
        free(last)


def trim() -> bool:
    """Give free memory back to the system; returns whether there was any."""
    cdef bint given
    with nogil:
        given = malloc_trim(0)
    return given


# Freed blocks of up to 128 bytes would be put aside as they are, and put together all at once when a larger one is
# freed beside them: a tenth of a second where a million keys went. This way each is put together as it is freed.
mallopt(M_MXFAST, 0)
