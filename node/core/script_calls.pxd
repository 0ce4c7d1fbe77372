"""redis.call, for compiled code: see script_calls.pyx."""

from node.core.engine cimport Client, Engine, Request
from node.core.lua_api cimport lua_State
from node.core.lua_values cimport Ref

cdef class Runnable:
    cdef readonly str name             # a script's SHA1, a function's name: told in its errors
    cdef readonly bytes digest         # the same
    cdef readonly bytes source         # of a script, b"" of a function
    cdef readonly Ref function
    cdef readonly object flags
    cdef readonly Ref report
    cdef readonly Ref globals_
    cdef readonly bint is_read_only
    cdef readonly bint may_exceed_memory
    cdef readonly bint may_cross_slots

cdef class ScriptCalls:
    cdef readonly Engine engine
    cdef readonly Client client        # executes what scripts call
    cdef readonly Client caller        # has sent the script that is running; None while none is
    cdef readonly bint read_only       # the script may not write
    cdef public bint wrote             # it has changed data, or may have
    cdef readonly Runnable script
    cdef public int slot               # of the keys it has accessed, -1 before the first
    cdef bint restricted               # the caller may not do everything
    cdef bint clustered
    cdef bint prepared                 # `prepare` was called for it
    cdef size_t reply_begin            # where in the engine's writer the reply of the last call is
    cdef char* numbers                 # the text of arguments that are numbers
    cdef int number_room

    cdef int begin(self, Client caller, Runnable script, bint read_only) except -1
    cdef int end(self) except -1
    cdef bint serve(self, lua_State* L) except -1
    cdef bint is_in_slot(self, Request* request) noexcept
    cdef bint have_room(self, int count) noexcept
    cpdef prepare_once(self)
    cdef bint read_words(self, lua_State* L, Request* request, int count) except -1

cdef void push_reply(lua_State* L, ScriptCalls calls) noexcept
cdef const char* load_for_calls(const char* path) noexcept
