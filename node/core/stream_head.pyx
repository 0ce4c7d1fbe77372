"""The fields of a stream (node/datatypes/stream.py, which says what they are), where compiled code reaches them."""


cdef class StreamHead:
    """What `Stream` is made of."""
