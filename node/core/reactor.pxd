"""Who can be read from and written to. See reactor.pyx."""

cpdef at_turn_end(loop)

cdef class Watched:
    """One descriptor, and what is to be done when it is ready. Subclasses say what that is."""

    cdef Reactor reactor
    cdef readonly int descriptor     # -1: closed, or not open yet
    cdef bint reading                # we want to be told of input
    cdef bint writing                # the socket took less than we had: we want to be told when it takes more

    cdef int interest(self, bint reading, bint writing) except -1

    # For subclasses to override:
    cdef int on_readable(self) except -1
    cdef int on_writable(self) except -1
    cdef int on_broken(self) except -1       # nothing can be read or written any more, and nobody waits for either
    cdef int on_bug(self) except -1          # one of the others has raised an exception

cdef class Reactor:
    cdef readonly object loop
    cdef int poller                  # our epoll descriptor, or -1: the loop watches every connection itself
    cdef bint drives                 # `select` is what the loop waits by
    cdef dict watched                # descriptor -> Watched: what keeps them alive
    cdef bint in_turn
    cdef list endings                # what to call at its end
    cdef list forgotten              # kept alive until no event of the turn can point to them any more

    cdef int watch(self, Watched one, bint reading, bint writing) except -1
    cdef int forget(self, Watched one) except -1
    cdef int turn(self, int milliseconds, list others) except -1
    cdef int end_turn(self) except -1
