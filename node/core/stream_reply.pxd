"""Entries of streams to replies. See stream_reply.pyx."""

from libc.stdint cimport int64_t

from node.core.reply_writer cimport ReplyWriter
from node.core.stream_head cimport StreamHead
from node.core.stream_node cimport Id

cdef int write_range(ReplyWriter reply, StreamHead stream, Id low, Id high, bint reverse, int64_t most) except -1
