# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The load generator itself: connections, their requests in flight, and a clock (load.py tells what for).

One thread, one epoll, no interpreter lock while it runs. A connection has the frame of its batch with the
places of its random numbers, a ring of the times at which batches were due, and a reader that only finds where
replies end. In an open loop it polls without waiting: a timer would come too late by more than a reply takes.
"""

from cpython.array cimport array, clone, resize
from libc.errno cimport EAGAIN, EINTR, errno
from libc.math cimport log
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memmove, memset

cdef extern from "<time.h>" nogil:
    cdef struct timespec:
        int64_t tv_sec
        int64_t tv_nsec
    int clock_gettime(int clock, timespec *ts)
    enum:
        CLOCK_MONOTONIC

cdef extern from "<sys/socket.h>" nogil:
    ssize_t send(int fd, const void *data, size_t size, int flags)
    ssize_t recv(int fd, void *data, size_t size, int flags)
    enum:
        MSG_DONTWAIT
        MSG_NOSIGNAL

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        uint32_t u32
    cdef struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event *event)
    int epoll_wait(int epfd, epoll_event *events, int count, int timeout)
    enum:
        EPOLLIN
        EPOLLOUT
        EPOLL_CTL_ADD
        EPOLL_CTL_MOD

cdef extern from "<unistd.h>" nogil:
    int close(int fd)

cdef enum:
    RING = 64
    READ_SIZE = 1 << 18
    EVENTS = 256
    DIGITS = 12
    SPOTS = 1024
    ERROR_SIZE = 120

cdef double FASTEST = 5e6
"""Requests a second beyond which not every latency is kept."""
cdef int64_t GRACE = 5_000_000_000
"""ns after the end in which replies may still come."""

cdef enum Outcome:
    WELL
    LATE
    CLOSED
    REFUSED

MESSAGES = {
    LATE: "replies are still missing 5 s after the end",
    CLOSED: "the server has closed a connection",
}

cdef struct Link:
    int fd
    bint blocked
    # what is left to send
    char *out
    size_t size
    size_t capacity
    # the reader: of a reply, how many elements and how many bytes of a string are still to come
    int64_t elements
    int64_t skip
    int64_t number
    char kind
    bint negative
    # batches in flight
    int missing
    uint32_t head
    uint32_t tail
    uint32_t room
    int64_t *due

cdef struct Drive:
    int epoll
    char *frame
    size_t frame_size
    size_t *spots
    int spot_count
    uint64_t random
    uint64_t keyspace
    int pipeline
    Link *links
    int link_count
    int64_t in_flight
    uint32_t *latencies
    int64_t room
    int64_t recorded
    int64_t sent
    int64_t limit
    int64_t answered
    int64_t record_from
    int64_t ends
    bint is_open
    Outcome outcome
    char error[ERROR_SIZE]
    int error_size
    char *buffer


cdef inline int64_t now() noexcept nogil:
    cdef timespec ts
    clock_gettime(CLOCK_MONOTONIC, &ts)
    return ts.tv_sec * 1_000_000_000 + ts.tv_nsec


cdef inline uint64_t draw(Drive *drive) noexcept nogil:
    """Marsaglia's xorshift of 64 bits."""
    cdef uint64_t x = drive.random
    x ^= x << 13
    x ^= x >> 7
    x ^= x << 17
    drive.random = x
    return x


cdef void refresh(Drive *drive) noexcept nogil:
    """New random numbers in the frame."""
    cdef int spot, digit
    cdef uint64_t number
    cdef char *at
    for spot in range(drive.spot_count):
        number = draw(drive) % drive.keyspace
        at = drive.frame + drive.spots[spot]
        for digit in range(DIGITS - 1, -1, -1):
            at[digit] = <char>(48 + number % 10)
            number //= 10


cdef void watch(Drive *drive, Link *link, bint blocked) noexcept nogil:
    cdef epoll_event event
    memset(&event, 0, sizeof(event))
    event.events = EPOLLIN | (EPOLLOUT if blocked else 0)
    event.data.u32 = <uint32_t>(link - drive.links)
    epoll_ctl(drive.epoll, EPOLL_CTL_MOD if blocked or link.blocked else EPOLL_CTL_ADD, link.fd, &event)
    link.blocked = blocked


cdef void flush(Drive *drive, Link *link) noexcept nogil:
    cdef ssize_t done = 0
    cdef size_t begin = 0
    while begin < link.size:
        done = send(link.fd, link.out + begin, link.size - begin, MSG_DONTWAIT | MSG_NOSIGNAL)
        if done < 0:
            break
        begin += done
    if done < 0 and errno != EAGAIN and errno != EINTR:
        drive.outcome = CLOSED
    link.size -= begin
    if link.size:
        memmove(link.out, link.out + begin, link.size)
    if (link.size > 0) != link.blocked:
        watch(drive, link, link.size > 0)


cdef void widen(Link *link) noexcept nogil:
    """Twice the room for batches in flight. It is a power of two, so that numbers may run over."""
    cdef int64_t *wider = <int64_t *>malloc(2 * link.room * sizeof(int64_t))
    cdef uint32_t number
    for number in range(link.room):
        wider[(link.head + number) & (2 * link.room - 1)] = link.due[(link.head + number) & (link.room - 1)]
    free(link.due)
    link.due = wider
    link.room *= 2


cdef void send_batch(Drive *drive, Link *link, int64_t due) noexcept nogil:
    cdef int each
    if link.tail - link.head == link.room:
        widen(link)
    if link.size + drive.frame_size * drive.pipeline > link.capacity:
        link.capacity = 2 * (link.size + drive.frame_size * drive.pipeline)
        link.out = <char *>realloc(link.out, link.capacity)
    for each in range(drive.pipeline):
        refresh(drive)
        memcpy(link.out + link.size, drive.frame, drive.frame_size)
        link.size += drive.frame_size
    link.due[link.tail & (link.room - 1)] = due
    link.tail += 1
    drive.in_flight += 1
    drive.sent += drive.pipeline
    if not link.blocked:
        flush(drive, link)


cdef void batch_answered(Drive *drive, Link *link) noexcept nogil:
    cdef int64_t at = now()
    cdef int64_t due = link.due[link.head & (link.room - 1)]
    link.head += 1
    link.missing = drive.pipeline
    drive.in_flight -= 1
    if due >= drive.record_from:
        if at <= drive.ends:
            drive.answered += drive.pipeline
        if drive.recorded < drive.room:
            drive.latencies[drive.recorded] = <uint32_t>min(at - due, <int64_t>0xFFFFFFFF)
            drive.recorded += 1
    if not drive.is_open and at < drive.ends and drive.sent < drive.limit:
        send_batch(drive, link, now())


cdef inline void element_read(Drive *drive, Link *link) noexcept nogil:
    link.elements -= 1
    if link.elements == 0:
        link.elements = 1
        link.missing -= 1
        if link.missing == 0:
            batch_answered(drive, link)


cdef void line_read(Drive *drive, Link *link) noexcept nogil:
    if link.kind == b"-" and drive.outcome == WELL:
        drive.outcome = REFUSED
    if link.kind == b"$" and not link.negative:
        link.skip = link.number + 2
    else:
        if link.kind == b"*" and not link.negative:
            link.elements += link.number
        element_read(drive, link)
    link.kind = 0


cdef void take(Drive *drive, Link *link, const char *data, ssize_t size) noexcept nogil:
    """Find the ends of replies in what came."""
    cdef ssize_t at = 0
    cdef int64_t part
    cdef char byte
    while at < size:
        if link.skip:
            part = min(link.skip, <int64_t>(size - at))
            link.skip -= part
            at += part
            if link.skip == 0:
                element_read(drive, link)
            continue
        byte = data[at]
        at += 1
        if link.kind == 0:
            link.kind, link.number, link.negative = byte, 0, False
        elif byte == b"\n":
            line_read(drive, link)
        elif link.kind == b"$" or link.kind == b"*":
            if byte == b"-":
                link.negative = True
            elif byte != b"\r":
                link.number = link.number * 10 + (byte - 48)
        elif link.kind == b"-" and drive.outcome == WELL and drive.error_size < ERROR_SIZE:
            drive.error[drive.error_size] = byte
            drive.error_size += 1


cdef void serve(Drive *drive, int timeout) noexcept nogil:
    """One look at what has come."""
    cdef epoll_event events[EVENTS]
    cdef Link *link
    cdef ssize_t size
    cdef int each, count = epoll_wait(drive.epoll, events, EVENTS, timeout)
    for each in range(count):
        link = drive.links + events[each].data.u32
        if events[each].events & EPOLLOUT:
            flush(drive, link)
        if events[each].events & ~<uint32_t>EPOLLOUT:
            size = recv(link.fd, drive.buffer, READ_SIZE, MSG_DONTWAIT)
            if size > 0:
                take(drive, link, drive.buffer, size)
            elif size == 0 or (errno != EAGAIN and errno != EINTR):
                drive.outcome = CLOSED
        if drive.outcome != WELL:
            return


cdef double gap(Drive *drive, double mean) noexcept nogil:
    """Until the next arrival of a Poisson process."""
    return -mean * log((<double>(draw(drive) >> 11) + 1.0) / 9007199254740993.0)


cdef void run_open(Drive *drive, int64_t start, double mean) noexcept nogil:
    cdef double due = start + gap(drive, mean)
    cdef int64_t at = start
    cdef int turn = 0
    while drive.outcome == WELL and (due < drive.ends or drive.in_flight):
        while due <= at and due < drive.ends:
            send_batch(drive, drive.links + turn, <int64_t>due)
            turn = (turn + 1) % drive.link_count
            due += gap(drive, mean)
        serve(drive, 0)
        at = now()
        if at > drive.ends + GRACE:
            drive.outcome = LATE


cdef void run_closed(Drive *drive) noexcept nogil:
    cdef int each
    for each in range(drive.link_count):
        if drive.sent < drive.limit:
            send_batch(drive, drive.links + each, now())
    while drive.outcome == WELL and drive.in_flight:
        serve(drive, 100)
        if now() > drive.ends + GRACE:
            drive.outcome = LATE


def drive(
    list sockets, bytes frame, list spots, *, int64_t keyspace, int pipeline, double warm_up, double seconds,
    double rate=0.0, int64_t limit=0, uint64_t seed=1,
):
    """Send `frame` over connected `sockets`, `pipeline` at a time, for `seconds` after `warm_up`.

    `spots`: where in it numbers of twelve digits stand, to be drawn anew below `keyspace`. `rate`: requests a
    second, arriving at random whatever comes back; 0: each connection sends on as soon as it has its
    replies. `limit`: of requests, 0 for none. Returns the latencies of batches as an array of ns (4.29 s for
    all above), how many requests were answered between warm-up and end, and how long that was, in
    seconds. Raises RuntimeError with the server's words for an error reply.
    """
    cdef Drive d
    cdef int64_t expected = limit or <int64_t>(seconds * (1.5 * rate or FASTEST))
    cdef array latencies = clone(array("I"), expected // pipeline + len(sockets) + 1000, False)
    cdef array mutable = array("b", frame)
    cdef int64_t start
    cdef size_t[SPOTS] places
    cdef int each
    cdef double mean
    assert 0 < len(sockets) and len(spots) <= SPOTS
    memset(&d, 0, sizeof(d))
    for each in range(len(spots)):
        places[each] = spots[each]
    d.frame, d.frame_size = mutable.data.as_chars, len(frame)
    d.spots, d.spot_count = places, len(spots)
    d.random, d.keyspace, d.pipeline = seed + 0x9E3779B97F4A7C15ULL, keyspace, pipeline
    d.latencies, d.room = latencies.data.as_uints, len(latencies)
    d.limit = limit or <int64_t>1 << 62
    d.is_open = rate > 0
    d.epoll = epoll_create1(0)
    d.buffer = <char *>malloc(READ_SIZE)
    d.links = <Link *>calloc(len(sockets), sizeof(Link))
    d.link_count = len(sockets)
    for each in range(d.link_count):
        d.links[each].fd = sockets[each].fileno()
        d.links[each].elements, d.links[each].missing = 1, pipeline
        d.links[each].room, d.links[each].due = RING, <int64_t *>malloc(RING * sizeof(int64_t))
        watch(&d, d.links + each, False)
    mean = 1e9 * pipeline / rate if rate else 0
    with nogil:
        start = now()
        d.record_from = start + <int64_t>(warm_up * 1e9)
        d.ends = d.record_from + <int64_t>(seconds * 1e9)
        if d.is_open:
            run_open(&d, start, mean)
        else:
            run_closed(&d)
            d.ends = min(d.ends, now())
    for each in range(d.link_count):
        free(d.links[each].out)
        free(d.links[each].due)
    free(d.links)
    free(d.buffer)
    close(d.epoll)
    if d.outcome == REFUSED:
        raise RuntimeError(d.error[: d.error_size].decode(errors="replace").strip())
    if d.outcome != WELL:
        raise RuntimeError(MESSAGES[d.outcome])
    resize(latencies, d.recorded)
    return latencies, d.answered, (d.ends - d.record_from) / 1e9, d.sent
