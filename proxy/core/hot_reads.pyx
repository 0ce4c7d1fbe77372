"""Hot keys: found by sampling, their reads shared, and on demand answered from a cache.

A key is hot while it is read `least_rate` times a second or more. One read of about 32 is sampled, and weighed
in a sketch of fixed size (node/core/heavy_hitters.pyx); twice a second the keys that stand out are taken,
and the sketch begins anew. What is said below is about reads of these keys alone.

Sharing (`--hot-reads share`, and clients that ask for it by CLIENT CAPA strict): of each request, byte for
byte, one is on its way. Who asks the same meanwhile waits, and when the answer is there one more request is
sent for all who wait. This is strict: no read returns less than what was acknowledged, to whomever, before it
began. For a read that is not shared the worker answers itself. One that waits is answered by a request sent
after it had come, so the worker carries it out after everything that had been acknowledged by then, and before
the answer: it takes effect while it lasts, as every read does. And a client's own order is kept, because only
the first of what it has in flight may wait, and nothing that it asks later is begun before that is answered.

A strict read is never answered from the cache. When a write is acknowledged, to a client of another proxy say,
the word of it may still be on its way to us; and a worker that is asked whether something has changed could
as well be asked for the value.

Caching (`--hot-reads cache`): a reply is kept while its key is hot, and dropped when a worker tells that the
key has changed (invalidations.py), when a request passes that may write it, and when it is `max_age` old,
counted from the moment its request was sent. So a read returns what was true at most `max_age` ago, whatever
breaks, and usually no more than what the word of a change takes. A key that has expired may be seen so long,
until the worker removes it. Kept is only what cannot have been overtaken: no word of a change, no writing
request between the request and its reply, and every primary listened to. A client sees its own writes: behind
them its reads travel over the same connection, and replies to requests sent before are not kept.
"""

from node.core.heavy_hitters import HeavyHitters
from node.core.steady_clock cimport steady_ms
from node.core.timing cimport monotonic_ns
from proxy.core.upstream cimport Upstream

import logging

log = logging.getLogger("shoal.proxy")

cdef enum:
    SAMPLE_MASK = 63            # reads from one sample to the next: 1 to 64, at random
    COUNTERS = 256              # of the sketch
    MOST_HOT = 64
    MOST_FORMS = 16             # different requests about one key
    LONGEST_REPLY = 1048576

cdef double READS_PER_SAMPLE = 32.5
LOOK_INTERVAL = 0.5

cdef bytes UNBOUND = b"-CLUSTERDOWN Hash slot not served\r\n"


cdef class SharedRead(ReplySink):

    cdef int send(self) except -1:
        cdef Upstream upstream = self.owner.slots.owner(self.slot, self.resp3)
        self.sent_at = steady_ms()
        self.keepable = self.owner.lines is not None and self.owner.lines.whole
        if upstream is None:
            return self.on_reply(0, UNBOUND, len(UNBOUND))
        return upstream.request(self.request, len(self.request), self, 0, 0, monotonic_ns())

    cdef int on_reply(self, uint64_t tag, const char* reply, Py_ssize_t length) except -1:
        cdef list answered = self.asked
        self.asked = None
        if self.keepable and reply[0] != c"-" and length <= LONGEST_REPLY and self.owner.lines.whole:
            if self.owner.kept + length <= self.owner.room:
                self.drop()
                self.reply = reply[:length]
                self.true_at = self.sent_at
                self.owner.kept += length
        for client, place in answered:
            (<ReplySink>client).on_reply(place, reply, length)
        if self.waiting is not None:
            self.asked, self.waiting = self.waiting, None
            self.send()
        return 0

    cdef void drop(self) noexcept:
        if self.reply is not None:
            self.owner.kept -= len(self.reply)
            self.reply = None
        self.keepable = False


cdef class HotReads:

    def __init__(self, SlotMap slots not None, loop, int64_t least_rate):
        self.slots = slots
        self.loop = loop
        self.least_rate = least_rate
        self.hot = {}
        self.sketch = HeavyHitters(COUNTERS)
        self.lot = 2463534242
        self.countdown = 1
        self.looked_at = steady_ms()
        self.timer = loop.call_later(LOOK_INTERVAL, self._look)

    def cache(self, lines, int64_t max_age, Py_ssize_t room) -> None:
        """Keep replies, too: for `max_age` ms, in `room` bytes; `lines` tell of changes."""
        self.lines = lines
        self.max_age = max_age
        self.room = room
        lines.use(self, self._prepared)

    def _prepared(self, error) -> None:
        if error is not None:
            log.warning("nothing is cached: a worker refuses to tell of changes: %r", error)

    def close(self) -> None:
        self.timer.cancel()

    def rates(self) -> list:
        """[(hot key, reads a second)], the hottest first."""
        found = [(key, (<HotKey>entry).rate) for key, entry in self.hot.items()]
        return sorted(found, key=lambda pair: -pair[1])

    # What passes

    cdef Taken take(
        self, ReplySink client, uint64_t tag, const char* request, Py_ssize_t length,
        const char* key, Py_ssize_t key_length, int slot, bint reads, bint resp3, bint alone, bint strict
    ) except *:
        """A request on one key, which only `reads` or may write. `alone`: its client has nothing else in flight;
        `strict`: it wants no kept reply."""
        cdef HotKey entry
        cdef SharedRead read
        if reads:
            self.countdown -= 1
            if self.countdown <= 0:
                self.sample(key[:key_length])
        if not self.hot:
            return NOT_TAKEN
        found = self.hot.get(key[:key_length])
        if found is None:
            return NOT_TAKEN
        entry = <HotKey>found
        if not reads:
            drop_all(entry)
            return NOT_TAKEN
        form = request[:length], resp3
        read = entry.reads.get(form)
        if read is None:
            if len(entry.reads) >= MOST_FORMS:
                return NOT_TAKEN
            read = SharedRead.__new__(SharedRead)
            read.owner = self
            read.request, read.resp3 = form
            read.slot = slot
            entry.reads[form] = read
        if read.reply is not None and not strict:
            if steady_ms() - read.true_at <= self.max_age and self.lines.whole:
                self.hits += 1
                client.on_reply(tag, read.reply, len(read.reply))
                return TAKEN
            read.drop()
        if not alone:
            return NOT_TAKEN
        if read.asked is None:
            read.asked = [(client, tag)]
            read.send()
            return TAKEN
        if read.waiting is None:
            read.waiting = []
        read.waiting.append((client, tag))
        self.shared += 1
        return TAKEN_BEHIND

    def written(self, keys) -> None:
        """A request that may write these keys is on its way to a worker."""
        for key in keys:
            entry = self.hot.get(key)
            if entry is not None:
                drop_all(entry)

    # What workers tell

    def changed(self, keys) -> None:
        self.written(keys)

    def flushed(self) -> None:
        for entry in self.hot.values():
            drop_all(entry)

    # Which keys are hot

    cdef int sample(self, bytes key) except -1:
        self.lot ^= self.lot << 13
        self.lot ^= self.lot >> 17
        self.lot ^= self.lot << 5
        self.countdown = 1 + (self.lot & SAMPLE_MASK)
        self.sketch.add(key, 1)
        return 0

    def _look(self) -> None:
        """Take the keys that were read most since the last look."""
        cdef HotKey entry
        cdef int64_t now = steady_ms()
        cdef double scale = READS_PER_SAMPLE * 1000 / max(now - self.looked_at, 1)
        before, self.hot = self.hot, {}
        for key, samples in self.sketch.top(MOST_HOT):
            rate = <int64_t>(samples * scale)
            if rate < self.least_rate:
                break
            entry = before.pop(key, None) or HotKey.__new__(HotKey)
            if entry.reads is None:
                entry.reads = {}
            entry.rate = rate
            self.hot[key] = entry
        for cooled in before.values():
            drop_all(cooled)
        self.sketch = HeavyHitters(COUNTERS)
        self.looked_at = now
        self.timer = self.loop.call_later(LOOK_INTERVAL, self._look)


cdef int drop_all(HotKey entry) except -1:
    for read in entry.reads.values():
        (<SharedRead>read).drop()
    return 0
