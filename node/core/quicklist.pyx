"""The quicklist: a long list as a chain of listpacks, each small enough to be changed in place.

    head <-> node <-> node <-> ... <-> tail        node = one listpack, or one large element as it is

How full a node may be is the list's `fill`, the directive list-max-listpack-size: negative for a size in bytes
(-1: 4 KiB, ... -5: 64 KiB), else a number of elements, and then never more than 8 KiB. An element that is larger
than that by itself becomes a plain node of its own.

Where elements go, when nodes split and when neighbours merge decides what DUMP shows and what a snapshot holds,
so it is done as in Redis: a push goes into the node at the end, or a new one if that has no room (by an estimate of
what the element will take); an insertion goes into the node of its place, else into a neighbour if it is at the
node's edge, else splits the node, and then nodes around it that fit together merge. Removing never merges.
Source: quicklist.c of Redis.

A `Place` is an element: the node and where in it. It is good until the list is changed; the functions that change
the list at a place say what becomes of it.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcmp, memcpy

from node.core.listpack cimport (
    PACK_FRAME,
    PACK_HEADER,
    PACK_LARGEST,
    element_as_bytes,
    element_equals,
    pack_append,
    pack_bytes,
    pack_copy,
    pack_delete,
    pack_first,
    pack_insert,
    pack_last,
    pack_new,
    pack_next,
    pack_prepend,
    pack_prev,
    pack_replace,
    pack_seek,
    pack_splice,
)
from node.core.listpack cimport element_bytes
from node.core.memory cimport malloc_usable_size, release, take, take_zeroed

cdef enum:
    SAFE_BYTES = 8192          # most bytes of a node that is limited by its number of elements
    HIGHEST_FILL = 32767       # elements
    ESTIMATED_OVERHEAD = 8     # of an element in a listpack, beside its bytes
    LEAST_LEVEL = -5           # the lowest fill that stands for a size
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


# --- the whole -----------------------------------------------------------------------------------------------


cdef Quicklist* quick_new(int fill) noexcept nogil:
    cdef Quicklist* list = <Quicklist*>take_zeroed(1, sizeof(Quicklist))
    if list != NULL:
        list.fill = max(LEAST_LEVEL, min(fill, HIGHEST_FILL))
    return list


cdef void quick_free(Quicklist* list) noexcept nogil:
    while list.head != NULL:
        drop(list, list.head)
    release(list)


cdef Quicklist* quick_copy(Quicklist* list) noexcept nogil:
    cdef Quicklist* made = quick_new(list.fill)
    cdef Node* node = list.head
    cdef uint8_t* data
    while made != NULL and node != NULL:
        if node.plain:
            data = <uint8_t*>take(node.length)
            if data != NULL:
                memcpy(data, node.pack, node.length)
        else:
            data = pack_copy(node.pack)
        if data == NULL or not adopt(made, data, node.length if node.plain else node.count, node.plain):
            quick_free(made)
            return NULL
        node = node.after
    return made


cdef size_t quick_bytes(Quicklist* list, size_t samples) noexcept nogil:
    """What the allocator handed out for it, judged by the first nodes: so many, 0 for all."""
    cdef size_t total = 0
    cdef size_t seen = 0
    cdef Node* node = list.head
    while node != NULL and (samples == 0 or seen < samples):
        total += malloc_usable_size(node) + malloc_usable_size(node.pack)
        seen += 1
        node = node.after
    return malloc_usable_size(list) + (total * list.nodes // seen if seen else 0)


cdef bint adopt(Quicklist* list, uint8_t* data, uint32_t length, bint plain) noexcept nogil:
    """Add a block as the last node: a listpack of `length` elements, or an element of `length` bytes.

    The block belongs to the list then; without memory it is released.
    """
    cdef Node* node = node_new(data, 1 if plain else length)
    if node == NULL:
        return False
    node.plain = plain
    if plain:
        node.length = length
    link(list, list.tail, node, True)
    list.count += node.count
    return True


# --- places --------------------------------------------------------------------------------------------------


cdef Place place_of(Node* head, Node* tail, int64_t count, int64_t index) noexcept nogil:
    """The element of an index from 0 to `count` - 1, found from the nearer end."""
    cdef Place place
    place.at = NULL
    if index <= count // 2:
        place.node = head
        while index >= place.node.count:
            index -= place.node.count
            place.node = place.node.after
    else:
        place.node = tail
        index -= count
        while -index > place.node.count:
            index += place.node.count
            place.node = place.node.before
    if not place.node.plain:
        place.at = pack_seek(place.node.pack, index)
    return place


cdef void step_forward(Place* place) noexcept nogil:
    if not place.node.plain:
        place.at = pack_next(place.node.pack, place.at)
        if place.at != NULL:
            return
    place.node = place.node.after
    if place.node != NULL and not place.node.plain:
        place.at = pack_first(place.node.pack)


cdef void step_back(Place* place) noexcept nogil:
    if not place.node.plain:
        place.at = pack_prev(place.node.pack, place.at)
        if place.at != NULL:
            return
    place.node = place.node.before
    if place.node != NULL and not place.node.plain:
        place.at = pack_last(place.node.pack)


cdef bint place_equals(Place* place, const char* text, size_t length) noexcept nogil:
    if place.node.plain:
        return place.node.length == length and memcmp(place.node.pack, text, length) == 0
    return element_equals(place.at, text, length)


cdef bytes place_as_bytes(Place* place):
    if place.node.plain:
        return PyBytes_FromStringAndSize(<char*>place.node.pack, place.node.length)
    return element_as_bytes(place.at)


cdef bint is_first(Place* place) noexcept nogil:
    return place.node.plain or place.at == place.node.pack + PACK_HEADER


cdef bint is_last(Place* place) noexcept nogil:
    return place.node.plain or pack_next(place.node.pack, place.at) == NULL


# --- changing ------------------------------------------------------------------------------------------------


cdef bint put_at_edge(Quicklist* list, Node* node, const char* text, size_t length, bint left) noexcept nogil:
    """Add an element to a packed node, as its first or its last."""
    cdef uint8_t* pack = pack_prepend(node.pack, text, length) if left else pack_append(node.pack, text, length)
    if pack == NULL:
        return False
    node.pack = pack
    node.count += 1
    list.count += 1
    return True


cdef bint put_beside(
    Quicklist* list, Node* place, const char* text, size_t length, bint after
) noexcept nogil:
    """Add an element as a node of its own."""
    cdef Node* node = node_for(list, text, length)
    if node == NULL:
        return False
    link(list, place, node, after)
    list.count += 1
    return True


cdef bint quick_push(Quicklist* list, const char* text, size_t length, bint left) noexcept nogil:
    """Add an element at an end."""
    cdef Node* end = list.head if left else list.tail
    if has_room(list, end, length):
        return put_at_edge(list, end, text, length, left)
    return put_beside(list, end, text, length, not left)


cdef bint quick_insert(
    Quicklist* list, Place* place, const char* text, size_t length, bint after
) noexcept nogil:
    """Add an element before or after the one at `place`, which is not good any more then."""
    cdef Node* node = place.node
    cdef Node* neighbour = node.after if after else node.before
    cdef bint at_edge = is_last(place) if after else is_first(place)
    cdef uint8_t* pack
    if has_room(list, node, length):
        pack = pack_insert(
            node.pack, place.at + element_bytes(place.at) if after else place.at, text, length, NULL
        )
        if pack == NULL:
            return False
        node.pack = pack
        node.count += 1
        list.count += 1
        return True
    if at_edge:
        if has_room(list, neighbour, length):
            return put_at_edge(list, neighbour, text, length, after)
        return put_beside(list, node, text, length, after)
    return insert_between(list, place, text, length, after)


cdef bint insert_between(
    Quicklist* list, Place* place, const char* text, size_t length, bint after
) noexcept nogil:
    """Split a node at `place` for an element: a large one stands between the halves, another joins the new half."""
    cdef Node* node = place.node
    cdef Node* half
    cdef Node* large = NULL
    cdef bint done = True
    if is_large(list.fill, length):
        large = node_for(list, text, length)
        if large == NULL:
            return False
    half = split_off(node, place.at + element_bytes(place.at) if after else place.at, after)
    if half == NULL:
        if large != NULL:
            release(large.pack)
            release(large)
        return False
    if large != NULL:
        link(list, node, large, after)
        link(list, large, half, after)
        list.count += 1
    else:
        done = put_at_edge(list, half, text, length, after)
        link(list, node, half, after)
        merge_around(list, node)
    return done


cdef bint quick_replace(Quicklist* list, Place* place, const char* text, size_t length) noexcept nogil:
    """Put an element in the place of another. `place` is not good any more then."""
    cdef Node* node = place.node
    cdef uint8_t* pack
    if node.plain:
        if is_large(list.fill, length):
            if not put_beside(list, node, text, length, True):
                return False
        elif not quick_insert(list, place, text, length, True):
            return False
        drop(list, node)
        return True
    if not is_large(list.fill, length) and pack_bytes(node.pack) + length < PACK_LARGEST:
        pack = pack_replace(node.pack, place.at, text, length, NULL)
        if pack == NULL:
            return False
        node.pack = pack
        return True
    return replace_apart(list, place, text, length)


cdef bint replace_apart(Quicklist* list, Place* place, const char* text, size_t length) noexcept nogil:
    """Replace an element of a packed node by one that gets a node of its own."""
    cdef Node* node = place.node
    cdef Node* rest = NULL
    cdef Node* made = node_for(list, text, length)
    if made == NULL:
        return False
    if not is_last(place):
        rest = split_off(node, place.at + element_bytes(place.at), True)
        if rest == NULL:
            release(made.pack)
            release(made)
            return False
    link(list, node, made, True)
    if rest != NULL:
        link(list, made, rest, True)
    list.count += 1
    if node.count == 1:
        drop(list, node)
    else:
        cut(list, node, pack_last(node.pack), 1)
        merge_around(list, made)
    return True


cdef void quick_delete(Quicklist* list, Place* place, bint back) noexcept nogil:
    """Remove the element at `place`, which is then the one behind it, or with `back` the one before it."""
    cdef Node* node = place.node
    cdef Place other = place[0]
    cdef uint8_t* following
    cdef bint stays
    if back:
        step_back(&other)
    else:
        step_forward(&other)
    if node.count == 1:
        drop(list, node)
        place[0] = other
        return
    stays = other.node == node
    node.pack = pack_delete(node.pack, place.at, 1, &following)
    node.count -= 1
    list.count -= 1
    place[0] = other
    if stays:    # the pack may have moved
        if not back:
            place.at = following
        elif following != NULL:
            place.at = pack_prev(node.pack, following)
        else:
            place.at = pack_last(node.pack)


cdef void quick_delete_end(Quicklist* list, int64_t count, bint left) noexcept nogil:
    """Remove `count` elements, of those there are, from one end."""
    cdef Node* node
    while count > 0:
        node = list.head if left else list.tail
        if node.count <= count:
            count -= node.count
            drop(list, node)
            continue
        cut(list, node, pack_first(node.pack) if left else pack_seek(node.pack, -count), <uint32_t>count)
        return
