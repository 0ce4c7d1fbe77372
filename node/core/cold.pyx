"""What of a database lies in the store only: how many keys each slot has there, and what the store does not know yet.

With a store behind it (node/storage), memory holds the keys that are in use, and every key that was changed since the
store last heard of it. A key is in one of three states:

- in memory and *dirty*: changed, or new. The store has an older value of it, or none.
- in memory and clean: the store has the same. It may leave memory at any time, and is cold then.
- *cold*: only in the store. Whoever looks for it brings it back (`Keyspace.fetch`).

`dirty` names keys to be told to the store; those that are not in memory are to be deleted there, and stay to be
told of if they come back and go again before that. `in_flight` names
those that it has been told of and has not committed yet: what it would answer for them is still the old value, so
they neither leave memory nor are asked for. A slot that has no cold keys is not asked for at all.

The place of a key in the store sorts as SCAN walks: by slot, then by hash.

    place  = number:u16 slot:u16 hash:u32 (0 key | 1 digest of a key that is too long)       big-endian
"""

from hashlib import blake2b

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, memset

from node.core.key_slot cimport SLOT_COUNT
from node.core.memory cimport release, take_zeroed

cdef enum:
    HEAD = 9
    LONGEST_KEY = 502         # LMDB's places have up to 511 bytes
    DIGEST_SIZE = 32


cdef class Cold:
    """Of the database that is `number` in the store. `store` gives records (`get`, `walk`), `codec` makes entries and
    values of them, `on_cleared(number, slot)` is told of slots that were emptied, slot -1 for all at once."""

    def __cinit__(self, int number, store, codec, on_cleared):
        self.number = number
        self.store = store
        self.codec = codec
        self.on_cleared = on_cleared
        self.dirty = set()
        self.in_flight = set()
        self.keys = <uint32_t*>take_zeroed(SLOT_COUNT, sizeof(uint32_t))
        self.volatiles = <uint32_t*>take_zeroed(SLOT_COUNT, sizeof(uint32_t))
        if self.keys == NULL or self.volatiles == NULL:
            raise MemoryError

    def __dealloc__(self):
        release(self.keys)
        release(self.volatiles)

    def keys_in(self, int slot) -> int:
        return self.keys[slot]

    def volatiles_in(self, int slot) -> int:
        return self.volatiles[slot]

    def start_with(self, int slot, int keys, int volatiles) -> None:
        """What the store says it holds of a slot, before anything was asked for."""
        self.count(slot, keys, volatiles)

    def clear(self) -> None:
        """Nothing of the database is in the store any more."""
        memset(self.keys, 0, SLOT_COUNT * sizeof(uint32_t))
        memset(self.volatiles, 0, SLOT_COUNT * sizeof(uint32_t))
        self.size = self.volatile_count = 0
        self.dirty.clear()
        self.on_cleared(self.number, -1)

    def clear_slot(self, int slot) -> int:
        """Nothing of the slot is in the store any more; returns how many keys were there only."""
        cdef int dropped = self.keys[slot]
        self.count(slot, -dropped, -<int>self.volatiles[slot])
        self.on_cleared(self.number, slot)
        return dropped

    def take_over(self, Cold other not None) -> None:
        """What the store has not heard of yet, or not committed, of keys that have come from there."""
        self.dirty |= other.dirty
        self.in_flight |= other.in_flight

    def walk(self, int slot, uint32_t start=0):
        """Iterate over (hash, key, record) of the slot's records in the order of their hashes, from `start` on: of its
        cold keys, and of such that are in memory too. Nothing may be changed meanwhile."""
        cdef bytes place
        cdef bytes key
        cdef bytes record
        if self.keys[slot] == 0:
            return
        for place, record in self.store.walk(place_before(self.number, slot, start), place_before(self.number, slot + 1, 0)):
            key = key_in(place, record)
            if not self.is_superseded(key):
                yield hash_in(place), key, record

    cdef int count(self, int slot, int keys, int volatiles) except -1:
        self.keys[slot] += keys
        self.volatiles[slot] += volatiles
        self.size += keys
        self.volatile_count += volatiles
        return 0

    cdef bint is_superseded(self, bytes key) except -1:
        """Whether what the store would say of a key that is not in memory is no longer so."""
        return key in self.dirty or key in self.in_flight

    cdef bytes place(self, int slot, uint32_t hash, bytes key):
        cdef bytes place
        if PyBytes_GET_SIZE(key) <= LONGEST_KEY:
            place = PyBytes_FromStringAndSize(NULL, HEAD + PyBytes_GET_SIZE(key))
            memcpy(PyBytes_AS_STRING(place) + HEAD, PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
        else:
            place = bytes(HEAD) + blake2b(key, digest_size=DIGEST_SIZE).digest()
        put_head(<uint8_t*>PyBytes_AS_STRING(place), self.number, slot, hash, PyBytes_GET_SIZE(key) > LONGEST_KEY)
        return place


cdef void put_head(uint8_t* out, int number, int slot, uint32_t hash, bint is_digest) noexcept:
    out[0] = <uint8_t>(number >> 8)
    out[1] = <uint8_t>number
    out[2] = <uint8_t>(slot >> 8)
    out[3] = <uint8_t>slot
    out[4] = <uint8_t>(hash >> 24)
    out[5] = <uint8_t>(hash >> 16)
    out[6] = <uint8_t>(hash >> 8)
    out[7] = <uint8_t>hash
    out[8] = is_digest


def place_before(int number, int slot, uint32_t hash) -> bytes:
    """Where the places from this hash of this slot on begin."""
    cdef uint8_t head[HEAD]
    put_head(head, number, slot, hash, False)
    return PyBytes_FromStringAndSize(<char*>head, HEAD - 1)


def hash_in(bytes place not None) -> int:
    return int.from_bytes(place[4:8], "big")


def key_in(bytes place not None, bytes record not None) -> bytes:
    """The key of a record; a long one stands in the record's own head."""
    return long_key(record) if place[8] else place[HEAD:]


def long_key(bytes record not None) -> bytes:
    """The key that a record begins with, if its place has no room for it: u32 length and the key, at its end."""
    cdef uint32_t length
    memcpy(&length, PyBytes_AS_STRING(record) + PyBytes_GET_SIZE(record) - 4, 4)
    return record[len(record) - 4 - length:len(record) - 4]
