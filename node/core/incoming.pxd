"""What a client has sent of a frame that is not all there, in a block that a key may take over.

A large value would be copied once more, into its key's entry, when its frame is complete, and each page of the copy
asked of the system. So the block of a large frame has room for the head of an entry in front of it, and whoever
stores the value can make the entry of the block as it is (`Keyspace.adopt_string`).
"""

from libc.string cimport memcpy

from node.core.memory cimport release, resize, take

cdef enum:
    LARGE_FRAME = 128 * 1024    # bytes from which on it is worth while: blocks of their own for the allocator
    MOST_BEFORE = 16 * 1024     # bytes of a frame before its large value
    ENTRY_HEAD = 24             # bytes at most that an entry has before its key

cdef struct Incoming:
    char* start        # of the frame; NULL where there is none. The block begins `head` bytes before
    size_t head
    size_t length      # bytes that are there
    size_t capacity    # bytes there is room for

cdef inline void incoming_free(Incoming* incoming) noexcept:
    if incoming.start != NULL:
        release(incoming.start - incoming.head)
    incoming_forget(incoming)

cdef inline void incoming_forget(Incoming* incoming) noexcept:
    """The block belongs to somebody else."""
    incoming.start = NULL
    incoming.head = incoming.length = incoming.capacity = 0

cdef inline int incoming_grow(Incoming* incoming, size_t capacity) except -1:
    """Have room for so many bytes."""
    cdef char* block = incoming.start - incoming.head if incoming.start != NULL else NULL
    block = <char*>resize(block, incoming.head + capacity)
    if block == NULL:
        raise MemoryError
    incoming.start = block + incoming.head
    incoming.capacity = capacity
    return 0

cdef inline int incoming_make_head(Incoming* incoming, size_t before, size_t capacity) except -1:
    """Have room for the head of an entry whose key is in the first `before` bytes, and for a frame of `capacity`."""
    cdef size_t head = ENTRY_HEAD + before
    cdef char* block = <char*>take(head + capacity)
    if block == NULL:
        raise MemoryError
    memcpy(block + head, incoming.start, incoming.length)
    release(incoming.start - incoming.head)
    incoming.start = block + head
    incoming.head = head
    incoming.capacity = capacity
    return 0
