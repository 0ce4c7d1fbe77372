"""The fields of a stream (node/datatypes/stream.py, which says what they are), where compiled code reaches them."""

from node.core.stream_node cimport id_of, number_of


cdef class StreamHead:
    """What `Stream` is made of."""

    @property
    def last_id(self) -> int:
        return number_of(self.last)

    @last_id.setter
    def last_id(self, number) -> None:
        self.last = id_of(number)
