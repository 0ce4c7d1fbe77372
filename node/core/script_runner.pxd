"""How scripts are run, for compiled code: see script_runner.pyx."""

from libc.stdint cimport int64_t

from node.core.engine cimport Client, Engine, Request
from node.core.lua cimport Lua
from node.core.request_reader cimport Span
from node.core.script_calls cimport Runnable, ScriptCalls

cdef class Runner:
    cdef readonly Engine engine
    cdef readonly ScriptCalls calls
    cdef object owner
    cdef object scripts
    cdef public int64_t undisturbed       # ns for which a script runs before it is interrupted
    cdef dict by_source                   # scripts by their text,
    cdef dict by_sha                      # by its SHA1 in lower case,
    cdef dict by_name                     # and functions by their names as they were spelled
    cdef public Runnable latest           # script that was run
    cdef Runnable script                  # that is running, or None: …
    cdef Client caller                    # … whose it is, …
    cdef Request* request                 # … by which request, as it came, …
    cdef list argv                        # … or in words
    cdef int64_t started                  # ns of the monotonic clock
    cdef object shown                     # what `describe` made of it, or None

    cdef int run(
        self, Runnable script, Client caller, bint read_only, const char* base, Span* words, size_t keys, size_t count
    ) except -1
    cdef object outcome(self, Lua lua, Runnable script)
    cdef bint may_run(self, Client client, Request* request, Runnable script, bint read_only, int64_t keys) except -1
    cdef int serve(self, Client client, Request* request, Runnable script, bint read_only) except -1
