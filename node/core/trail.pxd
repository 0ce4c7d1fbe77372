from libc.stdint cimport int64_t

from node.core.reply_writer cimport ReplyWriter

cdef class Trail:
    cdef ReplyWriter pending
    cdef list sinks
    cdef object log                    # the append-only file, or None
    cdef public bint follows           # the stream is another's: what is added here is for the log only
    cdef list unshared                 # (start, length) of what is pending and only concerns the log
    cdef list unlogged                 # (start, length) of what is pending and only concerns replicas
    cdef list collected                # (database, frame, logged) of the open transaction, or None
    cdef readonly bint enabled
    cdef bint awaits_turn              # `flush` will be called at the end of the turn
    cdef public int64_t offset
    cdef public int selected_db

    cdef int select(self, int db) except -1
    cdef int add_raw(self, int db, const char* frame, size_t length) except -1
    cpdef feed(self, bytes stream, bint logged=*)
    cdef int put(self, const char* stream, size_t length, bint logged) except -1
    cdef int pass_on(self, int db, const char* stream, size_t length, bint logged) except -1
    cpdef add(self, int db, list argv)
    cpdef begin(self)
    cpdef end(self)
