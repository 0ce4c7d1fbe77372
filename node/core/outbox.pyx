"""Output that has to wait: a reply is a promise, and may not leave before it can be kept.

What it may wait for:

- the log: what the reply acknowledges must be in the append-only file. All output waits for it, replication
  streams too, until the end of the event loop's turn: one write, and with `always` one sync, does for all.
- copies: enough replicas must have it (`synchronous-replicas`). Only what tells clients of data waits. Each reply
  is marked with the offset up to which the data it tells of reaches in the replication stream, and leaves when
  that many replicas have acknowledged that offset. A read waits like a write, since what it saw may not be kept.
- the lease: a primary that was not running, or has not heard of the others, for so long that another may have
  taken its place tells clients nothing of its data until it knows better. What it must never tell is dropped with
  the connection: the client then knows that it does not know.

A connection keeps what it holds itself, so that its order is kept; here is which ones, and up to which mark.
"""

from libc.stdint cimport INT64_MAX, int64_t

cdef enum:
    HELD_SIZE = 16 << 20         # output held back beyond this does not wait for the end of the turn


cdef class Outbox:
    def __cinit__(self):
        self.copied = self.limit = INT64_MAX
        self.held = []

    # --- for connections -----------------------------------------------------------------------------

    cdef bint keeps(self, bint tells_data) noexcept:
        """Whether output has to wait."""
        return self.shut & LOG or (tells_data and self.shut != 0)

    cdef int64_t mark(self, bint tells_data) noexcept:
        """What is to be said of it in `limit`'s terms: 0 for what tells nothing of data."""
        return max(self.promised, 1) if tells_data else 0

    cdef int take(self, connection, size_t length) except -1:
        """`connection` holds output now, `length` bytes in all."""
        if length > HELD_SIZE and self.commit is not None:
            self.commit()
        return 0

    def enter(self, connection) -> None:
        """`connection` begins to hold output."""
        self.held.append(connection)

    def leave(self, connection) -> None:
        """`connection` is gone, and with it what it held."""
        self.held.remove(connection)

    cdef int settle(self) except -1:
        """Work out what may leave now, and let it."""
        if self.promised > self.copied:
            self.shut |= COPIES
        else:
            self.shut &= ~COPIES
        self.limit = -1 if self.shut & LOG else 0 if self.shut & LEASE else self.copied
        if self.limit >= 0 and self.held:
            held, self.held = self.held, []
            self.held += [connection for connection in held if connection.release(self.limit)]
        return 0

    # --- the log -------------------------------------------------------------------------------------

    @property
    def awaits_log(self) -> bool:
        return bool(self.shut & LOG)

    def await_log(self, commit not None) -> None:
        """Keep back everything until `logged`. `commit()` shall come to it, and is called early where too much is
        kept back."""
        self.shut |= LOG
        self.limit = -1
        self.commit = commit

    def logged(self) -> None:
        """All that was recorded is in the log."""
        self.commit = None
        self.shut &= ~LOG
        self.settle()

    # --- copies --------------------------------------------------------------------------------------

    def promise(self, int64_t offset) -> None:
        """The stream has come to `offset`: what is told from here on may tell of that."""
        self.promised = offset
        if offset > self.copied:
            self.shut |= COPIES

    def await_copies(self, int64_t offset) -> None:
        """Enough replicas have the stream up to `offset`; INT64_MAX where nobody asks for copies."""
        self.copied = offset
        self.settle()

    # --- the lease -----------------------------------------------------------------------------------

    @property
    def lapsed(self) -> bool:
        return bool(self.shut & LEASE)

    def lapse(self) -> None:
        """Tell nothing of data from here on."""
        self.shut |= LEASE
        self.limit = min(self.limit, 0)

    def renew(self) -> None:
        """What was true is true still."""
        self.shut &= ~LEASE
        self.settle()

    # --- the end of a promise ------------------------------------------------------------------------

    def break_promises(self) -> int:
        """Another server's data is right, and not ours: disconnect those who wait to be told of ours. Returns how
        many."""
        broken = [connection for connection in self.held if connection.holds_data]
        for connection in broken:
            connection.abort()
        self.promised = 0
        self.shut &= ~LEASE
        self.settle()
        return len(broken)
