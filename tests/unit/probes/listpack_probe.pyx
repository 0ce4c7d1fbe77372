# cython: language_level=3
"""The functions of node/core/listpack.pxd and listpack_walk.pxd with Python's face, for tests alone (test_listpack.py compiles it)."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t

from node.core.integer_text cimport DIGITS, canonical_number, print_number
from node.core.listpack cimport *
from node.core.listpack_walk cimport *
from node.core.memory cimport release


cdef class Pack:
    cdef uint8_t* pack

    def __cinit__(self):
        self.pack = pack_new(0)

    def __dealloc__(self):
        release(self.pack)

    cdef uint8_t* at(self, int64_t index):
        """Of an element, or the end mark for the index behind the last."""
        cdef uint8_t* found = pack_seek(self.pack, index)
        return found if found != NULL else self.pack + pack_bytes(self.pack) - 1

    cdef int64_t index_of(self, const uint8_t* at):
        cdef int64_t index = 0
        if at == NULL:
            return -1
        while (at := pack_prev(self.pack, at)) != NULL:
            index += 1
        return index

    cdef keep(self, uint8_t* moved):
        if moved == NULL:
            raise MemoryError
        self.pack = moved

    def blob(self):
        return PyBytes_FromStringAndSize(<char*>self.pack, pack_bytes(self.pack))

    def __len__(self):
        return pack_count(self.pack)

    def forwards(self):
        found = []
        cdef uint8_t* at = pack_first(self.pack)
        while at != NULL:
            found.append(element_as_bytes(at))
            at = pack_next(self.pack, at)
        return found

    def backwards(self):
        found = []
        cdef uint8_t* at = pack_last(self.pack)
        while at != NULL:
            found.append(element_as_bytes(at))
            at = pack_prev(self.pack, at)
        return found

    def get(self, int64_t index):
        cdef uint8_t* at = pack_seek(self.pack, index)
        return None if at == NULL else element_as_bytes(at)

    def is_number(self, int64_t index):
        cdef Element element
        element_get(self.at(index), &element)
        return element.text == NULL

    def equals(self, int64_t index, bytes text):
        return element_equals(self.at(index), PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    def find(self, int64_t start, bytes text, uint32_t skip):
        return self.index_of(
            pack_find(
                self.pack, pack_seek(self.pack, start), PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), skip
            )
        )

    def insert(self, int64_t index, bytes text):
        cdef uint8_t* placed
        self.keep(
            pack_insert(self.pack, self.at(index), PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), &placed)
        )
        return self.index_of(placed)

    def insert_number(self, int64_t index, int64_t number):
        cdef uint8_t* placed
        self.keep(pack_insert_number(self.pack, self.at(index), number, &placed))
        return self.index_of(placed)

    def replace(self, int64_t index, bytes text):
        cdef uint8_t* placed
        self.keep(
            pack_replace(self.pack, self.at(index), PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), &placed)
        )
        return self.index_of(placed)

    def replace_number(self, int64_t index, int64_t number):
        cdef uint8_t* placed
        self.keep(pack_replace_number(self.pack, self.at(index), number, &placed))
        return self.index_of(placed)

    def append(self, bytes text):
        self.keep(pack_append(self.pack, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)))

    def append_number(self, int64_t number):
        self.keep(pack_append_number(self.pack, number))

    def prepend(self, bytes text):
        self.keep(pack_prepend(self.pack, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)))

    def delete(self, int64_t index, uint32_t count):
        cdef uint8_t* following
        self.keep(pack_delete(self.pack, self.at(index), count, &following))
        return self.index_of(following)

    def splice(self, int64_t index, uint32_t count, Pack other):
        """The elements of `other` in the place of `count` of ours."""
        cdef uint8_t* begin = self.at(index)
        cdef uint8_t* end = self.at(index + count)
        self.keep(
            pack_splice(
                self.pack, begin, end - begin, count, other.pack + PACK_HEADER,
                pack_bytes(other.pack) - PACK_FRAME, pack_count(other.pack),
            )
        )

    def copy(self):
        cdef Pack made = Pack()
        release(made.pack)
        made.pack = pack_copy(self.pack)
        return made


def sizes(bytes text):
    cdef int64_t number
    size = text_size(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    if canonical_number(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), &number):
        assert number_size(number) == size
    return size


def check(bytes blob):
    return pack_check(<const uint8_t*>PyBytes_AS_STRING(blob), PyBytes_GET_SIZE(blob))
