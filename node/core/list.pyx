"""List: elements in order, cheap at both ends, and packed bytes throughout.

A short list is one listpack, a long one a quicklist. As in Redis, a list becomes long when a command brings more
than list-max-listpack-size allows, judged by the plain length of what it brings, before anything is packed; and
short again when a removal leaves a single node of no more than half the limit, or a replacement does.

Reading goes by places in nodes (quicklist.pyx); a short list shows its listpack as the only node of a chain, which
exists while it is being read, so that there is one way to walk.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy

from node.core.integer_text cimport canonical_number
from node.core.listpack cimport (
    pack_append,
    pack_copy,
    pack_delete,
    pack_insert,
    pack_new,
    pack_prepend,
    pack_replace,
)
from node.core.listpack_walk cimport (
    element_bytes,
    pack_bytes,
    pack_check,
    pack_count,
    pack_first,
    pack_last,
    pack_prev,
    pack_seek,
)
from node.core.memory cimport BLOCK_OVERHEAD, malloc_usable_size, release, take
from node.core.packing_limits cimport limits
from node.core.quicklist cimport (
    Place,
    adopt,
    place_as_bytes,
    place_equals,
    place_of,
    quick_bytes,
    quick_copy,
    quick_delete,
    quick_delete_end,
    quick_free,
    quick_insert,
    quick_new,
    quick_push,
    quick_replace,
    quick_shed,
    step_back,
    step_forward,
)
from node.core.quicklist_node cimport Node, Quicklist, count_limit, exceeds, size_limit
from node.core.listpack import Malformed

cdef enum:
    CHUNK = 1024    # elements taken out at a time by an iteration

@cython.final
@cython.freelist(64)
cdef class List:
    """A list of bytes. Exactly one of `pack` and `quick` is there."""

    type_name = "list"

    def __cinit__(self):
        self.pack = pack_new(0)
        if self.pack == NULL:
            raise MemoryError

    def __init__(self, items=()) -> None:
        """As a list that was read from a file: as short as its elements allow."""
        cdef bytes item
        make_long(self)
        for item in items:
            list_push(self, PyBytes_AS_STRING(item), PyBytes_GET_SIZE(item), False)
        self.settle()

    def __dealloc__(self):
        if self.quick != NULL:
            quick_free(self.quick)
        release(self.pack)

    def __len__(self) -> int:
        return list_count(self)

    @property
    def encoding(self) -> str:
        return "listpack" if self.quick == NULL else "quicklist"

    def allocated(self, size_t samples) -> int:
        """Bytes of memory beside the object itself, judged by some nodes (0: all) of a long one."""
        if self.quick == NULL:
            return malloc_usable_size(self.pack) + BLOCK_OVERHEAD
        return quick_bytes(self.quick, samples)

    def dissolve(self, size_t limit) -> int:
        """Free some `limit` blocks of a value that nobody will look at again, but perhaps call this once more;
        returns how many it were, less than `limit` if little is left."""
        return 0 if self.quick == NULL else quick_shed(self.quick, limit)

    def copy(self) -> List:
        cdef List made = List.__new__(List)
        cdef uint8_t* pack = NULL
        if self.quick != NULL:
            made.quick = quick_copy(self.quick)
            if made.quick == NULL:
                raise MemoryError
        else:
            pack = pack_copy(self.pack)
            if pack == NULL:
                raise MemoryError
        release(made.pack)
        made.pack = pack
        return made

    # --- at the ends -----------------------------------------------------------------------------------------

    def push_left(self, list items not None, Py_ssize_t start=0) -> None:
        """Those of `items` from `start` on, one after the other, so that the last comes to stand first."""
        push_all(self, items, start, True)

    def push_right(self, list items not None, Py_ssize_t start=0) -> None:
        push_all(self, items, start, False)

    def pop_left(self, int64_t count) -> list[bytes]:
        """Up to `count` elements, the first first."""
        cdef list taken = self.range(0, min(count, list_count(self)))
        list_pop(self, len(taken), True)
        return taken

    def pop_right(self, int64_t count) -> list[bytes]:
        """Up to `count` elements, the last first."""
        cdef int64_t size = list_count(self)
        cdef list taken = self.range(size - min(count, size), size)
        taken.reverse()
        list_pop(self, len(taken), False)
        return taken

    def take_left(self) -> bytes:
        """The first element, removed from a list that has one."""
        cdef bytes item = element_of(self, 0)
        list_pop(self, 1, True)
        return item

    def take_right(self) -> bytes:
        """The last element, removed from a list that has one."""
        cdef bytes item = element_of(self, list_count(self) - 1)
        list_pop(self, 1, False)
        return item

    def receive(self, bytes item not None, bint left) -> None:
        """Push what came from another list. A number is a number already then, and needs no room as text."""
        cdef int64_t number
        cdef bint is_number = canonical_number(PyBytes_AS_STRING(item), PyBytes_GET_SIZE(item), &number)
        list_make_room(self, 0 if is_number else PyBytes_GET_SIZE(item), 1)
        list_push(self, PyBytes_AS_STRING(item), PyBytes_GET_SIZE(item), left)

    def rotate(self, bint from_left, bint to_left) -> bytes:
        """Move an element from one end to the same or the other, in a list that has one; returns it."""
        cdef bytes item = element_of(self, 0 if from_left else list_count(self) - 1)
        delete_end(self, 1, from_left)
        self.receive(item, to_left)
        shrink(self, 2)
        return item

    # --- by position -----------------------------------------------------------------------------------------

    def __getitem__(self, int64_t index) -> bytes:
        """IndexError beyond either end; negative indexes count from the end."""
        return element_of(self, resolved(self, index))

    def range(self, int64_t start, int64_t stop) -> list[bytes]:
        """The elements of start..stop-1, which lie within the list."""
        cdef Node spare
        cdef Chain chain
        cdef Place place
        cdef list found
        cdef object item
        cdef int64_t i
        if stop <= start:
            return []
        chain = list_chain(self, &spare)
        place = place_of(chain.head, chain.tail, chain.count, start)
        found = PyList_New(stop - start)
        for i in range(stop - start):
            item = place_as_bytes(&place)
            Py_INCREF(item)
            PyList_SET_ITEM(found, i, item)
            step_forward(&place)
        return found

    def __iter__(self):
        """May go on while the list changes; an element may then be missed, or come twice."""
        cdef int64_t start = 0
        while start < list_count(self):
            yield from self.range(start, min(start + CHUNK, list_count(self)))
            start += CHUNK

    def replace(self, int64_t index, bytes item not None) -> None:
        """IndexError beyond either end; room for the element has been made even then, as in Redis."""
        cdef const char* text = PyBytes_AS_STRING(item)
        cdef size_t length = PyBytes_GET_SIZE(item)
        cdef Place place
        cdef uint8_t* pack
        list_make_room(self, length, 1)
        index = resolved(self, index)
        if self.quick == NULL:
            pack = pack_replace(self.pack, pack_seek(self.pack, index), text, length, NULL)
            if pack == NULL:
                raise MemoryError
            self.pack = pack
            return
        place = place_of(self.quick.head, self.quick.tail, self.quick.count, index)
        if not quick_replace(self.quick, &place, text, length):
            raise MemoryError
        shrink(self, 2)

    def insert(self, bytes pivot not None, bytes item not None, bint after) -> bool:
        """Put an element before or behind the first that is `pivot`. False if there is none.

        Room for the element has been made even then, as in Redis.
        """
        cdef Node spare
        cdef Chain chain
        cdef Place place
        cdef uint8_t* pack
        cdef const char* text = PyBytes_AS_STRING(item)
        cdef size_t length = PyBytes_GET_SIZE(item)
        list_make_room(self, length, 1)
        chain = list_chain(self, &spare)
        if chain.count:
            place = place_of(chain.head, chain.tail, chain.count, 0)
        else:
            place.node = NULL
        while place.node != NULL and not place_equals(&place, PyBytes_AS_STRING(pivot), PyBytes_GET_SIZE(pivot)):
            step_forward(&place)
        if place.node == NULL:
            return False
        if self.quick != NULL:
            if not quick_insert(self.quick, &place, text, length, after):
                raise MemoryError
            return True
        pack = pack_insert(
            self.pack, place.at + element_bytes(place.at) if after else place.at, text, length, NULL
        )
        if pack == NULL:
            raise MemoryError
        self.pack = pack
        return True

    def trim(self, int64_t start, int64_t stop) -> None:
        """Keep the elements of start..stop-1, which lie within the list."""
        cdef int64_t behind = list_count(self) - stop
        delete_end(self, start, True)
        delete_end(self, behind, False)
        shrink(self, 2)

    # --- by value --------------------------------------------------------------------------------------------

    def remove(self, bytes item not None, int64_t count=0) -> int:
        """Remove equal elements: the first `count`, the last for a negative one, all for 0. Returns how many."""
        cdef const char* text = PyBytes_AS_STRING(item)
        cdef size_t length = PyBytes_GET_SIZE(item)
        cdef bint back = count < 0
        cdef int64_t most = -count if back else count
        cdef int64_t removed = 0
        cdef Node spare
        cdef Chain chain = list_chain(self, &spare)
        cdef Place place
        if not chain.count:
            return 0
        place = place_of(chain.head, chain.tail, chain.count, chain.count - 1 if back else 0)
        while place.node != NULL and (most == 0 or removed < most):
            if place_equals(&place, text, length):
                if self.quick != NULL:
                    quick_delete(self.quick, &place, back)
                else:
                    delete_packed(self, &place, back)
                removed += 1
            elif back:
                step_back(&place)
            else:
                step_forward(&place)
        if removed:
            shrink(self, 2)
        return removed

    def positions(self, bytes item not None, int64_t rank, int64_t most, int64_t depth) -> list[int]:
        """Indexes of equal elements, from the `rank`th on, from the end for a negative one.

        At most `most` of them (0: all), among the first `depth` elements (0: all).
        """
        cdef const char* text = PyBytes_AS_STRING(item)
        cdef size_t length = PyBytes_GET_SIZE(item)
        cdef bint back = rank < 0
        cdef int64_t skip = (-rank if back else rank) - 1
        cdef int64_t seen = 0
        cdef Node spare
        cdef Chain chain = list_chain(self, &spare)
        cdef Place place
        cdef list found = []
        if not chain.count:
            return found
        place = place_of(chain.head, chain.tail, chain.count, chain.count - 1 if back else 0)
        while place.node != NULL and (depth == 0 or seen < depth):
            if place_equals(&place, text, length):
                if skip:
                    skip -= 1
                else:
                    found.append(chain.count - 1 - seen if back else seen)
                    if len(found) == most:
                        break
            seen += 1
            if back:
                step_back(&place)
            else:
                step_forward(&place)
        return found

    # --- nodes, as files hold them ---------------------------------------------------------------------------

    @property
    def node_count(self) -> int:
        return 1 if self.quick == NULL else self.quick.nodes

    def nodes(self):
        """(is it a plain element, its bytes or those of the listpack) of each node. Nothing may change meanwhile."""
        cdef Node* node
        if self.quick == NULL:
            yield False, PyBytes_FromStringAndSize(<char*>self.pack, pack_bytes(self.pack))
            return
        node = self.quick.head
        while node != NULL:
            yield bool(node.plain), PyBytes_FromStringAndSize(
                <char*>node.pack, node.length if node.plain else pack_bytes(node.pack)
            )
            node = node.after

    def adopt_node(self, bytes data not None, bint plain) -> None:
        """Add a node that was read from a file behind the last; `settle` when that was all. Raises Malformed."""
        cdef size_t length = PyBytes_GET_SIZE(data)
        cdef int64_t count
        cdef uint8_t* block
        if plain:
            count = <int64_t>length
        else:
            count = pack_check(<const uint8_t*>PyBytes_AS_STRING(data), length)
            if count < 0:
                raise Malformed("listpack with wrong lengths in it")
        if count == 0:
            return
        make_long(self)
        block = <uint8_t*>take(length)
        if block == NULL:
            raise MemoryError
        memcpy(block, PyBytes_AS_STRING(data), length)
        if not adopt(self.quick, block, <uint32_t>count, plain):
            raise MemoryError

    def settle(self) -> None:
        """Take the form that Redis gives to a list that it has read or made at once."""
        if self.quick == NULL:
            list_make_room(self, 0, 0)
        elif self.quick.count == 0:
            self.pack = pack_new(0)
            if self.pack == NULL:
                raise MemoryError
            quick_free(self.quick)
            self.quick = NULL
        else:
            shrink(self, 1)


# --- what the methods are made of ----------------------------------------------------------------------------


cdef inline int fill_setting() except? -1000000000:
    return limits.list_max_listpack_size


cdef int64_t list_count(List self) noexcept:
    return pack_count(self.pack) if self.quick == NULL else self.quick.count


cdef int64_t resolved(List self, int64_t index) except -1:
    cdef int64_t count = list_count(self)
    if index < 0:
        index += count
    if index < 0 or index >= count:
        raise IndexError("no such element")
    return index


cdef Chain list_chain(List self, Node* spare) noexcept:
    """The nodes. Of a short list it is `spare`, which is made to look like one."""
    cdef Chain chain
    if self.quick != NULL:
        chain.head = self.quick.head
        chain.tail = self.quick.tail
        chain.count = self.quick.count
        return chain
    spare.before = spare.after = NULL
    spare.pack = self.pack
    spare.count = pack_count(self.pack)
    spare.plain = False
    chain.head = chain.tail = spare
    chain.count = spare.count
    return chain


cdef bytes element_of(List self, int64_t index):
    cdef Node spare
    cdef Chain chain = list_chain(self, &spare)
    cdef Place place = place_of(chain.head, chain.tail, chain.count, index)
    return place_as_bytes(&place)


cdef int make_long(List self) except -1:
    """Become a quicklist, if it is none."""
    cdef Quicklist* quick
    if self.quick != NULL:
        return 0
    quick = quick_new(fill_setting())
    if quick == NULL:
        raise MemoryError
    if pack_count(self.pack) == 0:
        release(self.pack)
    elif not adopt(quick, self.pack, pack_count(self.pack), False):
        self.pack = NULL
        self.quick = quick
        raise MemoryError
    self.pack = NULL
    self.quick = quick
    return 0


cdef int list_make_room(List self, int64_t size, int64_t count) except -1:
    """Become a quicklist if `count` more elements of `size` bytes together do not fit a listpack."""
    if self.quick == NULL and exceeds(
        fill_setting(), <int64_t>pack_bytes(self.pack) + size, <int64_t>pack_count(self.pack) + count
    ):
        make_long(self)
    return 0


cdef int shrink(List self, int divisor) except -1:
    """Become a listpack if all is in one node within the limit divided by `divisor`."""
    cdef int fill
    cdef Node* only
    if self.quick == NULL or self.quick.nodes != 1 or self.quick.head.plain:
        return 0
    fill = fill_setting()
    only = self.quick.head
    if pack_bytes(only.pack) > size_limit(fill) // divisor or only.count > count_limit(fill) // divisor:
        return 0
    self.pack = only.pack
    release(only)
    release(self.quick)
    self.quick = NULL
    return 0


cdef int list_push(List self, const char* text, size_t length, bint left) except -1:
    """Add an element, for which room has been made, at an end."""
    cdef uint8_t* pack
    if self.quick != NULL:
        if not quick_push(self.quick, text, length, left):
            raise MemoryError
        return 0
    pack = pack_prepend(self.pack, text, length) if left else pack_append(self.pack, text, length)
    if pack == NULL:
        raise MemoryError
    self.pack = pack
    return 0


cdef int push_all(List self, list items, Py_ssize_t start, bint left) except -1:
    cdef Py_ssize_t i
    cdef int64_t size = 0
    if self.quick == NULL:
        for i in range(start, len(items)):
            size += PyBytes_GET_SIZE(items[i])
        list_make_room(self, size, len(items) - start)
    for i in range(start, len(items)):
        list_push(self, PyBytes_AS_STRING(items[i]), PyBytes_GET_SIZE(items[i]), left)
    return 0


cdef int delete_end(List self, int64_t count, bint left) except -1:
    if count <= 0:
        return 0
    if self.quick != NULL:
        quick_delete_end(self.quick, count, left)
    elif left:
        self.pack = pack_delete(self.pack, pack_first(self.pack), <uint32_t>count, NULL)
    else:
        self.pack = pack_delete(self.pack, pack_seek(self.pack, -count), <uint32_t>count, NULL)
    return 0


cdef int list_pop(List self, int64_t count, bint left) except -1:
    """Remove `count` elements, of those there are, from one end."""
    delete_end(self, count, left)
    return shrink(self, 2)


cdef void delete_packed(List self, Place* place, bint back) noexcept:
    """Remove an element of a short list; `place` is then its neighbour, behind it or before it."""
    cdef uint8_t* following
    self.pack = pack_delete(self.pack, place.at, 1, &following)
    place.node.pack = self.pack
    if not back:
        place.at = following
    else:
        place.at = pack_last(self.pack) if following == NULL else pack_prev(self.pack, following)
    if place.at == NULL:
        place.node = NULL
