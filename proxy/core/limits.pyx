"""The limits of each client, which can be changed while clients are connected.

Two kinds. Who has too much in flight, or asks too often, is read no further for a while: nothing is refused,
the client only gets slower. Who lets the proxy keep too much memory is closed, as Redis does.
"""

DEFAULT_IN_FLIGHT = 4096
DEFAULT_REQUEST = 1 << 30
DEFAULT_OUTPUT = {"normal": (1 << 30, 0, 0), "pubsub": (32 << 20, 8 << 20, 60)}


cdef class Limits:

    def __init__(self, in_flight=DEFAULT_IN_FLIGHT, rate=0, request=DEFAULT_REQUEST, output=None):
        self.in_flight = in_flight
        self.rate = rate
        self.request = request
        self.output = DEFAULT_OUTPUT | (output or {})

    @property
    def output(self) -> dict:
        """class (`normal`, `pubsub`) -> (hard limit, soft limit, seconds), as `client-output-buffer-limit`."""
        return {"normal": shown(&self.replies), "pubsub": shown(&self.pushed)}

    @output.setter
    def output(self, dict limits) -> None:
        self.replies = limit_of(limits["normal"])
        self.pushed = limit_of(limits["pubsub"])


cdef OutputLimit limit_of(tuple limit):
    """A hard limit of 0 is the most a client may have anyhow: the memory is not its own."""
    cdef Py_ssize_t hard, soft
    cdef int64_t seconds
    cdef Py_ssize_t most = 1073741824
    hard, soft, seconds = limit
    return OutputLimit(min(hard, most) or most, soft, seconds * 1000000000)


cdef tuple shown(OutputLimit* limit):
    return limit.hard, limit.soft, limit.patience // 1000000000
