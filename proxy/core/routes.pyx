"""The two tables of the hot path; see routes.pxd. routing.py fills the one, topology.py the other."""

from libc.stdlib cimport calloc, free
from libc.stdint cimport uint16_t
from libc.string cimport memcmp, memcpy, memset

from cpython.list cimport PyList_GET_ITEM

cdef enum:
    SLOT_COUNT = 16384


cdef class RouteTable:

    def __init__(self, entries, list prefixes=None, reads=(), dict numbers=None):
        """`entries`: (name, first_key, argc) of each command to be forwarded raw; argc 0 stands for any.
        `prefixes`: if there are any, only keys that begin with one of them (bytes) are. `reads`: the names of
        those that a replica may answer. `numbers`: by which they are counted (`Tallies.numbers`)."""
        entries = list(entries)
        self.prefixes = prefixes
        self.guarded = prefixes is not None
        self.size = 64
        while self.size < 2 * len(entries):
            self.size *= 2
        self.routes = <Route*>calloc(self.size, sizeof(Route))
        if self.routes == NULL:
            raise MemoryError()
        for name, first_key, argc in entries:
            self._add(name.encode(), first_key, argc, name in reads, (numbers or {}).get(name, 0))

    def __dealloc__(self):
        free(self.routes)

    def _add(self, bytes name, int first_key, long long argc, bint reads, int number):
        cdef Route* route
        if not 0 < len(name) <= NAME_MAX:
            raise ValueError(f"command name {name!r} does not fit the route table")
        route = &self.routes[name_hash(name, len(name)) & (self.size - 1)]
        while route.name_length:
            route = self.routes if route == &self.routes[self.size - 1] else route + 1
        memcpy(route.name, <const char*>name, len(name))
        route.name_length = len(name)
        route.first_key = first_key
        route.argc = argc
        route.reads = reads
        route.number = number

    cdef Route* find(self, const char* name, Py_ssize_t length) noexcept:
        cdef Route* route
        cdef Py_ssize_t i
        if length > NAME_MAX:
            return NULL
        route = &self.routes[name_hash(name, length) & (self.size - 1)]
        while route.name_length:
            if route.name_length == length:
                i = 0
                while i < length and lower(name[i]) == route.name[i]:
                    i += 1
                if i == length:
                    return route
            route = self.routes if route == &self.routes[self.size - 1] else route + 1
        return NULL

    cdef bint admits(self, const char* key, Py_ssize_t length) noexcept:
        """With `guarded`: does the key begin with one of the prefixes?"""
        cdef bytes prefix
        for prefix in self.prefixes:
            if len(prefix) <= length and memcmp(key, <const char*>prefix, len(prefix)) == 0:
                return True
        return False

    def mark_steady(self, names) -> None:
        """Those of `names` that are in the table are reads that answer alike until their key changes."""
        cdef Route* route
        for name in names:
            route = self.find(name, len(name))
            if route != NULL:
                route.steady = True

    def lookup(self, bytes name not None):
        """(first_key, argc) of a command, or None."""
        cdef Route* route = self.find(name, len(name))
        return None if route == NULL else (route.first_key, route.argc)


cdef inline char lower(char letter) noexcept:
    return letter + 32 if c"A" <= letter <= c"Z" else letter


cdef size_t name_hash(const char* name, Py_ssize_t length) noexcept:
    """FNV-1a of the lower-cased name."""
    cdef unsigned int hashed = 2166136261
    cdef Py_ssize_t i
    for i in range(length):
        hashed = (hashed ^ <unsigned char>lower(name[i])) * 16777619
    return hashed ^ (hashed >> 15)


cdef class SlotMap:

    def __init__(self):
        self.clear()

    def clear(self) -> None:
        """Nobody serves anything."""
        memset(self.numbers, 0, sizeof(self.numbers))
        memset(self.blocks, 0, sizeof(self.blocks))
        self.resp2 = [None]
        self.resp3 = [None]
        self.known = {None: 0}
        self.read_from([], [], b"")

    def assign(self, int slot, Upstream resp2, Upstream resp3) -> None:
        """One slot is served by these two connections to one worker, or by nobody (None)."""
        check_slot(slot)
        if resp2 not in self.known:
            self.known[resp2] = len(self.resp2)
            self.resp2.append(resp2)
            self.resp3.append(resp3)
        self.numbers[slot] = self.known[resp2]
        self.blocks[slot // BLOCK] = common(&self.numbers[slot - slot % BLOCK])

    def find(self, int slot, int version):
        """The upstream that serves `slot` for clients of RESP `version`, or None."""
        check_slot(slot)
        return self.owner(slot, version == 3)

    def read_from(self, list readers2, list readers3, bytes numbers not None) -> None:
        """Which replicas answer reads: lists of tuples of upstreams, one for each protocol version, and for each slot
        the place in them, counted from 1, as a native 16-bit number; 0, or an empty tuple, for the owner. No
        numbers: owners answer all."""
        if len(numbers) not in (0, sizeof(self.reader_numbers)):
            raise ValueError("a number for each slot was expected")
        if numbers and max(memoryview(numbers).cast("H")) > min(len(readers2), len(readers3)):
            raise ValueError("a number without readers")
        memset(self.reader_numbers, 0, sizeof(self.reader_numbers))
        self.readers2 = [(), *map(tuple, readers2)]
        self.readers3 = [(), *map(tuple, readers3)]
        if numbers:
            memcpy(self.reader_numbers, <const char*>numbers, len(numbers))

    def find_reader(self, int slot, int version, uint64_t client):
        """The upstream that answers reads of `slot` for this client, or None."""
        check_slot(slot)
        return self.reader(slot, version == 3, client)

    cdef Upstream reader(self, int slot, bint resp3, uint64_t client):
        cdef tuple choice = (self.readers3 if resp3 else self.readers2)[self.reader_numbers[slot]]
        if not choice:
            return self.owner(slot, resp3)
        return choice[client % <uint64_t>len(choice)]

    cdef Upstream owner(self, int slot, bint resp3):
        cdef int number = self.blocks[slot // BLOCK]
        if number == MIXED:
            number = self.numbers[slot]
        return <Upstream>PyList_GET_ITEM(self.resp3 if resp3 else self.resp2, number)


cdef uint16_t common(uint16_t* numbers) noexcept:
    """The number that all of a block have, or MIXED."""
    cdef int i
    for i in range(1, BLOCK):
        if numbers[i] != numbers[0]:
            return MIXED
    return numbers[0]


cdef int check_slot(int slot) except -1:
    if not 0 <= slot < SLOT_COUNT:
        raise IndexError(f"slot {slot}")
    return 0
