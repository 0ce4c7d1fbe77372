"""The quicklist: a long list as a chain of listpacks, each small enough to be changed in place.

    head <-> node <-> node <-> ... <-> tail        node = one listpack, or one large element as it is

Where elements go, when nodes split and when neighbours merge decides what DUMP shows and what a snapshot holds,
so it is done as in Redis: a push goes into the node at the end, or a new one if that has no room (by an estimate of
what the element will take); an insertion goes into the node of its place, else into a neighbour if it is at the
node's edge, else splits the node, and then nodes around it that fit together merge. Removing never merges.
Source: quicklist.c of Redis. What one node is and may hold: quicklist_node.pyx.

A `Place` is an element: the node and where in it. It is good until the list is changed; the functions that change
the list at a place say what becomes of it.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcmp, memcpy

from node.core.listpack cimport (
    PACK_LARGEST,
    pack_append,
    pack_copy,
    pack_delete,
    pack_insert,
    pack_prepend,
    pack_replace,
)
from node.core.listpack_walk cimport (
    PACK_HEADER,
    element_as_bytes,
    element_bytes,
    element_equals,
    pack_bytes,
    pack_first,
    pack_last,
    pack_next,
    pack_prev,
    pack_seek,
)
from node.core.memory cimport BLOCK_OVERHEAD, malloc_usable_size, release, take, take_zeroed
from node.core.quicklist_node cimport (
    LEAST_LEVEL,
    Node,
    Quicklist,
    cut,
    drop,
    has_room,
    is_large,
    link,
    merge_around,
    node_for,
    node_new,
    split_off,
)

cdef enum:
    HIGHEST_FILL = 32767       # elements


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


cdef size_t quick_shed(Quicklist* list, size_t limit) noexcept nogil:
    """Release up to `limit` nodes from the head on; returns how many it were."""
    cdef size_t shed = 0
    while list.head != NULL and shed < limit:
        drop(list, list.head)
        shed += 1
    return shed


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
        total += malloc_usable_size(node) + malloc_usable_size(node.pack) + 2 * BLOCK_OVERHEAD
        seen += 1
        node = node.after
    return malloc_usable_size(list) + BLOCK_OVERHEAD + (total * list.nodes // seen if seen else 0)


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
