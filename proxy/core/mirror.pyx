"""What workers have carried out, sent once more to another cluster: the part that every request passes.

A tap (sinks.pxd) on the connections to workers. Requests are taken where they are answered, not where they
arrive: then it is known whether they did anything, what was redirected, split or sent again counts once, and
for each worker the order is that in which it has carried them out. Reads and writes of one key are found and
passed on here, without a Python object for what is not compared; `rest` (mirror/mirroring.py) gets all others.

Nobody waits for the other cluster. What it has not answered is kept in the queues of its connections, up to
`room` bytes with what belongs to it; beyond that requests are left out, and counted.

Which keys: a share of the slots, spread over all of them, so that of a key all requests are mirrored or none.
"""

from libc.stdint cimport uint64_t
from libc.string cimport memset

from node.core.key_slot cimport slot_of
from proxy.core.frames cimport COMPLETE, RequestLimits, RequestScan, scan_request
from proxy.core.routes cimport Route, RouteTable, SlotMap, fits
from proxy.core.sinks cimport ReplySink, Tap
from proxy.core.upstream cimport Upstream

import logging

log = logging.getLogger("shoal.proxy")

cdef enum:
    SLOT_COUNT = 16384
    WRITES = 1              # of a slot: what changes its keys is mirrored
    READS = 2               # and what reads them
    VERSION = 2             # of the protocol: one connection for all, so that their order is kept

cdef RequestLimits ANY = RequestLimits(2147483647, 536870912)


cdef class Mirror(Tap):
    cdef SlotMap slots                  # of the other cluster
    cdef RouteTable routes              # commands of one key; `reads` are all that change nothing
    cdef object rest
    cdef readonly bint compares         # replies with those of our workers
    cdef unsigned char shares[SLOT_COUNT]
    cdef readonly Py_ssize_t room
    cdef readonly Py_ssize_t held       # bytes, now
    cdef uint64_t number                # of the last request: its tag
    cdef dict waiting                   # tag -> (bytes held, request or None, our reply or None, did ours fail?)
    cdef list early                     # what to call when the other cluster is known; None: it is
    cdef readonly uint64_t sent
    cdef readonly uint64_t dropped      # there was no room, or nobody to send to
    cdef readonly uint64_t failed       # answered with an error where we had none
    cdef readonly uint64_t compared
    cdef readonly uint64_t differing    # ... of which the answers differed

    def __init__(
        self, SlotMap slots not None, RouteTable routes not None, rest, Py_ssize_t room, bint compares,
        double percent, double read_percent,
    ):
        """`rest`: looks at what is not decided here. The percentages are of the slots."""
        cdef int slot
        cdef double place
        self.slots = slots
        self.routes = routes
        self.rest = rest
        self.room = room
        self.compares = compares
        self.waiting = {}
        self.early = []
        for slot in range(SLOT_COUNT):
            place = 100.0 * ((slot * 40503) & 0xFFFF) / 0x10000     # neighbours lie far apart
            self.shares[slot] = 0
            if place < percent:
                self.shares[slot] = WRITES | (READS if place < read_percent else 0)

    cdef int answered(
        self, ReplySink sink, const char* request, Py_ssize_t length, const char* reply, Py_ssize_t reply_length
    ) except -1:
        """An exception must not reach the worker's connection, which others share."""
        try:
            self.hear(sink, request, length, reply, reply_length)
        except Exception:
            log.exception("a request is not mirrored")
            self.dropped += 1
        return 0

    cdef int hear(
        self, ReplySink sink, const char* request, Py_ssize_t length, const char* reply, Py_ssize_t reply_length
    ) except -1:
        cdef RequestScan scan
        cdef Route* route
        cdef int slot
        memset(&scan, 0, sizeof(scan))
        if scan_request(request, length, &scan, &ANY) != COMPLETE:
            return 0
        route = self.routes.find(request + scan.args[0].at, scan.args[0].length)
        if route == NULL or not fits(route, scan.argc):
            self.rest.look(sink, request[:length], reply[:reply_length])
            return 0
        if reply[0] == c"-" or reply_length == 9 and reply[:reply_length] == b"+QUEUED\r\n":
            return 0    # nothing was done; or not yet, and not by itself
        slot = slot_of(request + scan.args[route.first_key].at, scan.args[route.first_key].length)
        if self.shares[slot] & (READS if route.reads else WRITES):
            self.send(
                slot, request[:length], reply[:reply_length] if self.compares else None, False
            )
        return 0

    def takes(self, int slot, bint reads=False) -> bool:
        """Are requests about keys of `slot` mirrored?"""
        return self.shares[slot] & (READS if reads else WRITES) != 0

    def pass_on(self, int slot, bytes request not None, bytes reply=None, bint failed=False) -> None:
        """Mirror one request, of which a worker has answered `reply`: None if there is nothing to compare."""
        self.send(slot, request, reply, failed)

    cdef int send(self, int slot, bytes request, bytes reply, bint failed) except -1:
        cdef Upstream upstream
        cdef Py_ssize_t cost = len(request) + (len(reply) if reply is not None else 0)
        if not self.take(cost):
            return 0
        if self.early is not None:
            self.early.append((self._send_early, slot, request, reply, failed, cost))
            return 0
        upstream = self.slots.owner(slot, False)
        if upstream is None:
            self.give_back(cost)
            self.dropped += 1
            return 0
        self.number += 1
        self.waiting[self.number] = cost, request if reply is not None else None, reply, failed
        self.sent += 1
        return upstream.request(request, len(request), self, self.number, 0, upstream.turns.tallies.now)

    def _send_early(self, int slot, bytes request, bytes reply, bint failed, Py_ssize_t cost):
        self.give_back(cost)
        self.send(slot, request, reply, failed)

    # For what takes several requests (mirroring.py)

    def take(self, Py_ssize_t cost) -> bool:
        """Room for so many bytes, until `give_back`. False: it counts as left out."""
        if self.held + cost > self.room:
            self.dropped += 1
            self.rest.full()
            return False
        self.held += cost
        return True

    def give_back(self, Py_ssize_t cost) -> None:
        self.held -= cost

    def waits_for_map(self, call, *arguments) -> bool:
        """If the other cluster is not known yet, `call` when it is, after what came before."""
        if self.early is None:
            return False
        self.early.append((call, *arguments))
        return True

    def count(
        self, *, uint64_t sent=0, uint64_t failed=0, uint64_t dropped=0, uint64_t compared=0,
        uint64_t differing=0,
    ) -> None:
        self.sent += sent
        self.failed += failed
        self.dropped += dropped
        self.compared += compared
        self.differing += differing

    @property
    def unanswered(self) -> int:
        """How many requests have been passed on from here and not been answered, those that were not sent among
        them."""
        return len(self.waiting) + len(self.early or ())

    def known(self) -> None:
        """The other cluster is: send what has waited for that."""
        cdef list early = self.early
        self.early = None
        for call, *arguments in early or ():
            call(*arguments)

    # Replies

    cdef int on_reply(self, uint64_t tag, const char* reply, Py_ssize_t length) except -1:
        cost, request, expected, failed = self.waiting.pop(tag)
        self.give_back(cost)
        if reply[0] == c"-" and not failed:
            self.failed += 1
            self.rest.refused(reply[:length])
        elif expected is not None:
            self.compared += 1
            if expected != reply[:length] and not self.rest.alike(request, expected, reply[:length]):
                self.differing += 1
        return 0
