"""What the hot path asks: which commands may be forwarded as they are, and who serves a slot."""

from libc.stdint cimport int16_t, uint8_t, uint16_t, uint64_t

from proxy.core.upstream cimport Upstream

cdef enum:
    NAME_MAX = 22           # no command name is longer
    BLOCK = 64              # slots
    MIXED = 65535           # no upstream's number

cdef struct Route:
    uint8_t name_length     # 0: free place in the table
    char name[NAME_MAX]     # lower case
    int16_t number          # among the tallies
    int first_key           # position of the key that decides
    bint reads              # a replica may answer it
    long long argc          # forwarded raw if it has exactly so many arguments; 0: any number
    bint steady             # changes nothing, and answers alike until its key changes

cdef inline bint fits(Route* route, long long argc) noexcept:
    """Has a request of `argc` arguments the one key that the route speaks of?"""
    return argc == route.argc if route.argc else argc > route.first_key

cdef class RouteTable:
    """Command name -> Route, open addressing. Commands that are not in it take the way through Python."""

    cdef Route* routes
    cdef size_t size        # a power of two, at least twice the number of entries
    cdef list prefixes      # of keys that may be used; others, and all if it is empty, go through Python
    cdef bint guarded       # there are such prefixes
    cdef Route* find(self, const char* name, Py_ssize_t length) noexcept
    cdef bint admits(self, const char* key, Py_ssize_t length) noexcept

cdef class SlotMap:
    """Slot -> upstream, once per protocol version; `None` where nobody serves the slot.

    What every request looks up shall stay in the first-level cache: so slot to number to upstream, and, as neighbours
    mostly have the same owner, a number for all of a block if it can be.

    A second table of the same kind says which replicas may be read (replica_reads.py). A client always gets the
    same of several, so that what it reads does not go back in time.
    """

    cdef uint16_t numbers[16384]    # 0: nobody
    cdef uint16_t blocks[256]       # of each 64 slots the number that all have, or MIXED
    cdef list resp2                 # number -> Upstream
    cdef list resp3
    cdef dict known                 # Upstream of resp2 -> number
    cdef uint16_t reader_numbers[16384]     # 0: the owner
    cdef list readers2              # number -> tuple of Upstreams to replicas
    cdef list readers3
    cdef Upstream owner(self, int slot, bint resp3)
    cdef Upstream reader(self, int slot, bint resp3, uint64_t client)
