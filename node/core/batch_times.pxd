"""What is told of a batch when it has been served. See batch_times.pyx."""

from libc.stdint cimport int64_t

from node.core.engine cimport Client, Engine

cdef int share_out(Engine engine, Client client, int count, int64_t elapsed) except -1
