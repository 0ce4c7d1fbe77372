"""A Lua state, for compiled code: see lua.pyx."""

from libc.stdint cimport int64_t

from node.core.lua_api cimport lua_State
from node.core.lua_reply cimport ResultReader
from node.core.lua_values cimport Function, Ref, State
from node.core.reply_writer cimport ReplyWriter
from node.core.request_reader cimport Span, Spans
from node.core.script_calls cimport ScriptCalls

cdef struct Launch:
    int function             # numbers of Refs
    int globals_             # NO_REF: keys and arguments are the function's
    const char* base
    Span* words
    size_t keys
    size_t count

cdef class Lua(State):
    cdef readonly int64_t memory
    cdef int64_t memory_limit
    cdef int64_t collect_above
    cdef public int64_t interrupt_at     # ns of the monotonic clock
    cdef public int resp                 # protocol of the script's replies and result
    cdef public object on_interrupt
    cdef public object on_command
    cdef ScriptCalls calls
    cdef readonly bint failed            # the last script has
    cdef bint limited                    # a script is running
    cdef readonly bint killed            # the script is to end: its error is on the way
    cdef int status
    cdef ResultReader results
    cdef object kill_text
    cdef object pending
    cdef object pending_args
    cdef list functions                  # what Lua holds by address
    cdef Function keeper
    cdef Spans words                     # of a script that Python runs
    cdef Launch launched
    cdef int starter                     # numbers of Refs: `start_script`,
    cdef int reader                      # `read_outcome`,
    cdef int scribe                      # `write_table`
    cdef ReplyWriter writer              # of whom `scribe` writes for, …
    cdef int writer_resp                 # … which protocol it speaks, …
    cdef bint written                    # … and whether it could

    cpdef close(self)
    cdef object protected(self, int (*function)(lua_State*) noexcept)
    cdef int spread(self, list keys, list args) except -1
    cdef int launch(
        self, Ref handler, Ref function, Ref globals_, const char* base, Span* words, size_t keys, size_t count
    ) noexcept
    cdef bint write_outcome(self, ReplyWriter reply, int resp) except -1
    cdef object outcome(self)
    cdef bint write_table(self, ReplyWriter reply, int resp) except -1
    cdef int write(self, lua_State* L) noexcept
    cdef int clear(self) except -1
    cdef bint interrupted(self) noexcept
    cdef int ask_python(self, lua_State* L, Function function) noexcept
    cdef int execute(self, lua_State* L) noexcept
    cdef int ask_command(self, lua_State* L) except -1
    cdef int take_command_reply(self, value) except -1
    cdef int take_result(self, lua_State* L, Function function) noexcept
    cdef int take_reply(self, lua_State* L, bint again) noexcept
