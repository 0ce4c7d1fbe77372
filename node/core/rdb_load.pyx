"""Decoding RDB into a database: the values that today's servers write, and runs of entries of them.

A string goes from the file's buffer into its entry, a collection's elements into its tables, and no Python object is
made for any of them. What is rare is left to Python (node/persistence/rdb): the encodings of former versions, streams,
fields that expire, and everything in a file that is no entry.

Whatever contradicts itself raises Malformed, which knows no place; a collection that is empty EmptyValue, because no
server holds one. A count is only a claim, as lengths are (`rdb_source.pyx`): nothing is made for elements that have
not come.
"""

from libc.math cimport isnan
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from node.core.database cimport Database
from node.core.field_table cimport fields_set
from node.core.hash cimport Hash, enlarge, put
from node.core.keyspace cimport Key, key_from_bytes, make_key
from node.core.list cimport List
from node.core.rdb_codes cimport (
    CODE_HASH,
    CODE_HASH_LISTPACK,
    CODE_LIST_QUICKLIST_2,
    CODE_SET,
    CODE_SET_INTSET,
    CODE_SET_LISTPACK,
    CODE_STRING,
    CODE_ZSET_2,
    CODE_ZSET_LISTPACK,
    NODE_PACKED,
    NODE_PLAIN,
    OP_EXPIRE_MS,
)
from node.core.rdb_source cimport (
    Source,
    source_length,
    source_read,
    source_string,
    text_bytes,
)
from node.core.set cimport HASHTABLE, INTSET, Set, new_set, set_add
from node.core.slot_table cimport Entry, entry_value, likely_cell, prefetch
from node.core.sorted_set cimport ONLY_NEW, REFUSED, SortedSet, rank_all, zset_put

from node.core.listpack import Malformed
from node.datatypes.limits import limits

COLLECTIONS = frozenset([
    CODE_SET, CODE_HASH, CODE_ZSET_2, CODE_SET_INTSET, CODE_HASH_LISTPACK, CODE_ZSET_LISTPACK, CODE_LIST_QUICKLIST_2,
    CODE_SET_LISTPACK,
])  # fmt: skip
"""The type codes that `load_collection` knows. They mean the same in files of all versions."""

cdef enum:
    EXPIRY_SIZE = 9     # of OP_EXPIRE_MS with its moment
    KNOWN_CODES = 32


class EmptyValue(Malformed):
    """A collection without elements."""


cdef bint is_known[KNOWN_CODES]
is_known[CODE_STRING] = True
for _code in COLLECTIONS:
    is_known[<int>_code] = True


# --- values --------------------------------------------------------------------------------------------------


def load_collection(Source source not None, int code):
    """The value of one of the COLLECTIONS that `source` continues with."""
    if code == CODE_HASH:
        value = load_hash(source)
    elif code == CODE_SET:
        value = load_set(source)
    elif code == CODE_ZSET_2:
        value = load_sorted_set(source)
    elif code == CODE_LIST_QUICKLIST_2:
        value = load_list(source)
    else:
        value = adopt(source.load_string(), code)
    if len(value) == 0:
        raise EmptyValue(f"empty {value.type_name if code != CODE_ZSET_2 else 'sorted set'}")
    return value


cdef object adopt(bytes blob, int code):
    """A small collection of its packed bytes."""
    try:
        if code == CODE_HASH_LISTPACK:
            return Hash.from_packed(blob, False)
        if code == CODE_SET_INTSET:
            return Set.adopt_intset(blob)
        if code == CODE_SET_LISTPACK:
            return Set.adopt_listpack(blob)
        return SortedSet.adopt(blob)
    except ValueError as error:
        raise Malformed(str(error)) from None


cdef Hash load_hash(Source source):
    cdef Hash made = Hash()
    cdef uint64_t count, i
    cdef size_t longest = limits.hash_max_listpack_value
    cdef bint is_new
    source_length(source, &count)
    if count > <uint64_t>limits.hash_max_listpack_entries:
        enlarge(made)
    for i in range(count):
        source_string(source, &source.first)
        source_string(source, &source.second)
        if made.table == NULL and (source.first.length > longest or source.second.length > longest):
            enlarge(made)
        if made.table == NULL:
            is_new = put(made, text_bytes(&source.first), text_bytes(&source.second), False)
        else:
            is_new = fields_set(
                made.table, source.first.data, source.first.length, source.second.data, source.second.length, False
            )
        if not is_new:
            raise Malformed("hash with a field twice")
    return made


cdef Set load_set(Source source):
    cdef Set made
    cdef uint64_t count, i
    source_length(source, &count)
    made = new_set(
        HASHTABLE if count > <uint64_t>max(limits.set_max_intset_entries, limits.set_max_listpack_entries) else INTSET
    )
    for i in range(count):
        source_string(source, &source.first)
        if not set_add(made, source.first.data, source.first.length):
            raise Malformed("set with a member twice")
    return made


cdef SortedSet load_sorted_set(Source source):
    cdef SortedSet made = SortedSet()
    cdef uint64_t count, i
    cdef double score
    source_length(source, &count)
    if count > <uint64_t>limits.zset_max_listpack_entries:
        rank_all(made)
    for i in range(count):
        source_string(source, &source.first)
        source_read(source, &score, sizeof(double))
        if isnan(score):
            raise Malformed("score that is not a number")
        if zset_put(made, source.first.data, source.first.length, &score, ONLY_NEW) == REFUSED:
            raise Malformed("sorted set with a member twice")
    return made


cdef List load_list(Source source):
    """Of nodes that are listpacks, or one long element each. Redis drops nodes without elements."""
    cdef List made = List.__new__(List)
    cdef uint64_t count, kind, i
    source_length(source, &count)
    for i in range(count):
        source_length(source, &kind)
        node = source.load_string()
        if kind != NODE_PACKED and kind != NODE_PLAIN:
            raise Malformed(f"list node of unknown kind {kind}")
        made.adopt_node(node, kind == NODE_PLAIN)
    made.settle()
    return made


# --- entries -------------------------------------------------------------------------------------------------


cdef class Filler:
    """Puts entries into databases, and counts them.

    `drop_before`: Unix ms; entries that expired before it are dropped. 0 keeps all. `replaces`: a key that is there
    already is no error.
    """

    cdef readonly int64_t loaded
    cdef readonly int64_t expired
    cdef readonly int64_t drop_before
    cdef public bint replaces

    def __cinit__(self, int64_t drop_before):
        self.drop_before = drop_before

    def put(self, Database db not None, bytes key not None, value not None, int64_t expire_at) -> bool:
        """One entry; False if it was dropped. Raises Malformed if the key is there already."""
        cdef Key k
        key_from_bytes(&k, key)
        if not self.wants(db, &k, expire_at):
            return False
        db.set(key, value, expire_at)
        self.loaded += 1
        return True

    def run(self, Source source not None, Database db not None, Py_ssize_t most) -> int:
        """Read and put up to `most` entries, of kinds known here; how many there were.

        Fewer: what comes next is of another kind, or close to the end of the buffer, and Python's turn. Raises
        RdbError, and Malformed and EmptyValue of the value of `source.last_key`, which has been read until there.
        """
        cdef Py_ssize_t done = 0
        cdef int64_t expire_at
        cdef int code
        while done < most and next_entry(source, &expire_at, &code):
            source_string(source, &source.key)
            if code == CODE_STRING:
                self.put_string(source, db, expire_at)
            else:
                self.put(db, source.last_key, load_collection(source, code), expire_at)
            done += 1
        return done

    cdef bint wants(self, Database db, Key* key, int64_t expire_at) except -1:
        if expire_at != 0 and expire_at < self.drop_before:
            self.expired += 1
            return False
        if not self.replaces and db.find(key) != NULL:
            raise Malformed("the same key twice")
        return True

    cdef int put_string(self, Source source, Database db, int64_t expire_at) except -1:
        cdef Key key
        cdef Entry* entry
        make_key(&key, source.key.data, source.key.length)
        prefetch(likely_cell(&db.tables[key.slot], key.hash))   # it arrives while the value is unpacked
        source_string(source, &source.first)
        if not self.wants(db, &key, expire_at):
            return 0
        if source.first.length > 0xFFFFFFFFU:
            raise Malformed("string that is too long")
        entry = db.new_entry(&key, 0, source.first.length, expire_at)
        memcpy(entry_value(entry), source.first.data, source.first.length)
        if self.replaces:
            db.install(&key, entry)
        else:
            db.add(&key, entry)
        self.loaded += 1
        return 0


cdef bint next_entry(Source source, int64_t* expire_at, int* code) noexcept:
    """Go behind the type code of the next entry, if one of a known kind comes, whole that far in the buffer."""
    cdef size_t at = source.at
    expire_at[0] = 0
    if at < source.end and source.data[at] == OP_EXPIRE_MS:
        if at + EXPIRY_SIZE >= source.end:
            return False
        memcpy(expire_at, source.data + at + 1, sizeof(int64_t))
        at += EXPIRY_SIZE
    if at >= source.end:
        return False
    code[0] = source.data[at]
    if code[0] >= KNOWN_CODES or not is_known[code[0]]:
        return False
    source.at = at + 1
    return True
