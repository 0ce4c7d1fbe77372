"""The reply that a script's result makes, for compiled code: see lua_reply.pyx."""

from libc.stdint cimport int64_t

from node.core.lua_api cimport lua_State
from node.core.reply_writer cimport ReplyWriter

cdef class ResultReader:
    cdef int resp            # protocol of the reply
    cdef bint needs_room     # the stack was not prepared for so deep a result: prepare it and read again
    cdef int room            # levels it is prepared for
    cdef int ends            # branches cut off so far because they are too deep
    cdef size_t budget       # bytes the result may still take

    cdef object read(self, lua_State* L, int resp, bint again)
    cdef object reply_at_top(self, lua_State* L, int used)
    cdef int field(self, lua_State* L, const char* name, size_t length) noexcept
    cdef object special_reply(self, lua_State* L, int used)
    cdef object pairs_at_top(self, lua_State* L, int used, bint with_values)
    cdef object verbatim_at_top(self, lua_State* L)

cdef int64_t truncated(double value) noexcept
cdef bint write_plain(lua_State* L, ReplyWriter writer, int resp, size_t end, int* items, int levels) except -1

cdef const char* load_for_replies(const char* path) noexcept
