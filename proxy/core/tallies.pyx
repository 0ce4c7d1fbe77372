"""What the proxy counts of each request: C arrays that the forwarder adds to, and nobody else.

A request's time goes from its arrival to its reply's, so it has everything in it: waiting for a worker that
fails over, the worker, the network. The clock is read once in a turn (connection.pyx), because to
read it twice for each request would cost more than counting: requests and replies of one turn have one time.
What blocks is counted, but not timed, as in Redis.
"""

from libc.stdlib cimport calloc, free

from node.core.timing cimport distribution, forget, monotonic_ns, note

NEVER = 0x7FFFFFFFFFFFFFFF

cdef enum:
    ERRORS_MAX = 128        # kinds of errors that are told apart, as in Redis
    WORD_MAX = 64           # bytes of an error's first word that count
    SECOND = 1000000000     # ns


cdef class Tallies:

    def __init__(self, names=()):
        """`names` of all commands that are counted."""
        self.names = ("", *names)
        self.numbers = {name: number for number, name in enumerate(self.names) if number}
        self.count = len(self.numbers) + 1
        self.rows = <Tally*>calloc(self.count, sizeof(Tally))
        if self.rows == NULL:
            raise MemoryError()
        self.errors = {}
        self.slow_after = self.slow_most = NEVER
        self.now = monotonic_ns()

    def __dealloc__(self):
        if self.rows != NULL:
            self._forget()
            free(self.rows)

    def commands(self) -> dict:
        """name -> (calls, ns in all, rejected, failed), of those that were called or rejected."""
        cdef Tally* row
        cdef int number
        found = {}
        for name, number in self.numbers.items():
            row = &self.rows[number]
            if row.calls or row.rejected:
                found[name] = (row.calls, row.timing.nanoseconds, row.rejected, row.failed)
        return found

    def latencies(self) -> dict:
        """name -> [(longest time in ns, calls)], ascending, of those that were timed."""
        return {
            name: distribution(&self.rows[<int>number].timing)
            for name, number in self.numbers.items()
            if self.rows[<int>number].timing.buckets != NULL
        }

    def reset(self) -> None:
        self._forget()
        self.errors.clear()

    def _forget(self):
        cdef int number
        for number in range(self.count):
            forget(&self.rows[number].timing)
            self.rows[number].calls = self.rows[number].failed = self.rows[number].rejected = 0

    cdef int note(self, int number, int64_t started, const char* reply, Py_ssize_t length) except -1:
        """A request is answered. `started` is 0 for one that is not to be timed."""
        cdef Tally* row = &self.rows[number]
        row.calls += 1
        if reply[0] == c"-":
            row.failed += 1
            self.note_error(reply, length)
        if started:
            note(&row.timing, self.now - started, 1, True)
        return 0

    cdef bint looks_at_slow(self) noexcept:
        """Is there time to look at a slow request? To tell of it costs ten times what it cost itself, and where all
        are slow, because there is too much to do, that would make them slower yet."""
        if self.now - self.slow_since >= SECOND:
            self.slow_since = self.now
            self.slow_left = self.slow_most
        self.slow_left -= 1
        return self.slow_left >= 0

    cdef int note_error(self, const char* reply, Py_ssize_t length) except -1:
        cdef Py_ssize_t end = 1
        cdef bytes word
        while end < length and end <= WORD_MAX and reply[end] != c" " and reply[end] != c"\r":
            end += 1
        word = reply[1:end]
        if word in self.errors or len(self.errors) < ERRORS_MAX:
            self.errors[word] = self.errors.get(word, 0) + 1
        return 0
