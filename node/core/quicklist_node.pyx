"""The nodes of a quicklist: how much one may hold, and how they are made, linked, split and merged.

How full a node may be is the list's `fill`, the directive list-max-listpack-size: negative for a size in bytes
(-1: 4 KiB, ... -5: 64 KiB), else a number of elements, and then never more than 8 KiB. An element that is larger
than that by itself becomes a plain node of its own. Source: quicklist.c of Redis.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy

from node.core.listpack cimport PACK_LARGEST, pack_append, pack_delete, pack_new, pack_splice
from node.core.listpack_walk cimport PACK_FRAME, PACK_HEADER, element_bytes, pack_bytes
from node.core.memory cimport release, take, take_zeroed

cdef enum:
    SAFE_BYTES = 8192          # most bytes of a node that is limited by its number of elements
    ESTIMATED_OVERHEAD = 8     # of an element in a listpack, beside its bytes
    NO_LIMIT = 0x7FFFFFFFFFFFFFFF

cdef int64_t packed_threshold = 0    # if not 0, elements of this size are large, whatever the fill


def set_packed_threshold(size: int) -> bool:
    """What DEBUG QUICKLIST-PACKED-THRESHOLD sets; 0 takes it back. False for a size too near to 4 GiB."""
    global packed_threshold
    if size > (1 << 32) - (1 << 20):
        return False
    packed_threshold = size
    return True


# --- limits --------------------------------------------------------------------------------------------------


cdef int64_t size_limit(int fill) noexcept nogil:
    """Most bytes of a node, if the fill is a size."""
    if fill >= 0:
        return NO_LIMIT
    return <int64_t>2048 << -(fill if fill > LEAST_LEVEL else LEAST_LEVEL)


cdef int64_t count_limit(int fill) noexcept nogil:
    """Most elements of a node, if the fill is a number of them."""
    if fill < 0:
        return NO_LIMIT
    return fill if fill else 1


cdef bint exceeds(int fill, int64_t size, int64_t count) noexcept nogil:
    """Whether `count` elements in `size` bytes are too much for one node."""
    if fill < 0:
        return size > size_limit(fill)
    return size > SAFE_BYTES or count > count_limit(fill)


cdef bint is_large(int fill, size_t length) noexcept nogil:
    """Whether an element gets a plain node."""
    if length >= PACK_LARGEST:
        return True
    if packed_threshold:
        return <int64_t>length >= packed_threshold
    return <int64_t>length > (SAFE_BYTES if fill >= 0 else size_limit(fill))


cdef bint has_room(Quicklist* list, Node* node, size_t length) noexcept nogil:
    """Whether an element may be added to `node`, which may be NULL."""
    if node == NULL or node.plain or is_large(list.fill, length):
        return False
    return not exceeds(list.fill, <int64_t>pack_bytes(node.pack) + length + ESTIMATED_OVERHEAD, node.count + 1)


cdef bint may_merge(Quicklist* list, Node* left, Node* right) noexcept nogil:
    if left == NULL or right == NULL or left.plain or right.plain:
        return False
    return not exceeds(
        list.fill,
        <int64_t>pack_bytes(left.pack) + pack_bytes(right.pack) - PACK_FRAME,
        <int64_t>left.count + right.count,
    )


# --- nodes ---------------------------------------------------------------------------------------------------


cdef Node* node_new(uint8_t* pack, uint32_t count) noexcept nogil:
    """A node for a pack, which it owns from then on; without memory NULL, and the pack is gone."""
    cdef Node* node
    if pack == NULL:
        return NULL
    node = <Node*>take_zeroed(1, sizeof(Node))
    if node == NULL:
        release(pack)
        return NULL
    node.pack = pack
    node.count = count
    return node


cdef Node* node_for(Quicklist* list, const char* text, size_t length) noexcept nogil:
    """A new node with one element."""
    cdef uint8_t* data
    cdef uint8_t* filled
    cdef Node* node
    if is_large(list.fill, length):
        data = <uint8_t*>take(length)
        if data != NULL:
            memcpy(data, text, length)
        node = node_new(data, 1)
        if node != NULL:
            node.plain = True
            node.length = <uint32_t>length
        return node
    data = pack_new(PACK_FRAME + length + ESTIMATED_OVERHEAD)
    if data == NULL:
        return NULL
    filled = pack_append(data, text, length)
    if filled == NULL:
        release(data)
    return node_new(filled, 1)


cdef void link(Quicklist* list, Node* place, Node* node, bint after) noexcept nogil:
    """Put a node beside `place`, which is NULL in an empty list."""
    cdef Node* left = place if after else (place.before if place != NULL else NULL)
    cdef Node* right = (place.after if place != NULL else NULL) if after else place
    node.before = left
    node.after = right
    if left == NULL:
        list.head = node
    else:
        left.after = node
    if right == NULL:
        list.tail = node
    else:
        right.before = node
    list.nodes += 1


cdef void drop(Quicklist* list, Node* node) noexcept nogil:
    """Take a node out of the list, with its elements."""
    if node.before == NULL:
        list.head = node.after
    else:
        node.before.after = node.after
    if node.after == NULL:
        list.tail = node.before
    else:
        node.after.before = node.before
    list.nodes -= 1
    list.count -= node.count
    release(node.pack)
    release(node)


cdef void cut(Quicklist* list, Node* node, uint8_t* at, uint32_t count) noexcept nogil:
    """Remove `count` elements of a node from `at` on; the node stays, if it becomes empty too."""
    node.pack = pack_delete(node.pack, at, count, NULL)
    node.count -= count
    list.count -= count


cdef Node* split_off(Node* node, uint8_t* at, bint tail) noexcept nogil:
    """Move the elements from `at` on (or those before it, if not `tail`) to a new node, linked to nothing."""
    cdef uint8_t* end = node.pack + pack_bytes(node.pack) - 1
    cdef uint8_t* body = at if tail else node.pack + PACK_HEADER
    cdef size_t size = end - at if tail else at - body
    cdef uint32_t count = 0
    cdef uint8_t* element = body
    cdef uint8_t* pack = pack_new(PACK_FRAME + size)
    cdef Node* made
    while element < body + size:
        element += element_bytes(element)
        count += 1
    if pack == NULL:
        return NULL
    pack = pack_splice(pack, NULL, 0, 0, body, size, count)    # has the room, so does not fail
    made = node_new(pack, count)
    if made != NULL:
        node.pack = pack_splice(node.pack, body, size, count, NULL, 0, 0)
        node.count -= count
    return made


cdef Node* merge(Quicklist* list, Node* left, Node* right) noexcept nogil:
    """Neighbours into one, if they fit together; what is left where `right` was."""
    cdef uint8_t* pack
    if not may_merge(list, left, right):
        return right
    pack = pack_splice(
        left.pack, NULL, 0, 0, right.pack + PACK_HEADER, pack_bytes(right.pack) - PACK_FRAME, right.count
    )
    if pack == NULL:
        return right    # two nodes hold the same as one
    left.pack = pack
    left.count += right.count
    list.count += right.count
    drop(list, right)
    return left


cdef void merge_around(Quicklist* list, Node* center) noexcept nogil:
    """Merge what fits together of a node and the two on either side of it."""
    cdef Node* target
    if center.before != NULL:
        merge(list, center.before.before, center.before)
    if center.after != NULL:
        merge(list, center.after, center.after.after)
    target = merge(list, center.before, center)
    merge(list, target, target.after)
