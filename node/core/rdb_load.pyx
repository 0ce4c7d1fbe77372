"""Decoding RDB: the collections as today's servers write them.

Elements go from the file's buffer into tables, and no Python object is made for any of them. What is rare is left to
Python (node/persistence/rdb): the encodings of former versions, streams, fields that expire. Entries are put into
databases by rdb_fill.pyx.

Whatever contradicts itself raises Malformed, which knows no place; a collection that is empty EmptyValue, because no
server holds one. A count is only a claim, as lengths are (`rdb_source.pyx`): nothing is made for elements that have
not come.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.math cimport isnan, signbit
from libc.stdint cimport uint64_t

from node.core.field_table cimport fields_set
from node.core.hash cimport Hash, enlarge, put
from node.core.list cimport List
from node.core.packing_limits cimport limits
from node.core.rdb_codes cimport (
    CODE_HASH,
    CODE_HASH_LISTPACK,
    CODE_LIST_QUICKLIST_2,
    CODE_SET,
    CODE_SET_INTSET,
    CODE_SET_LISTPACK,
    CODE_ZSET_2,
    CODE_ZSET_LISTPACK,
    NODE_PACKED,
    NODE_PLAIN,
)
from node.core.rdb_source cimport (
    Source,
    source_length,
    source_read,
    source_string,
    text_bytes,
)
from node.core.set cimport HASHTABLE, INTSET, Set, new_set, set_add
from node.core.sorted_set cimport ONLY_NEW, REFUSED, SortedSet, rank_all, zset_negate_zero, zset_put

from node.core.listpack import Malformed

COLLECTIONS = frozenset([
    CODE_SET, CODE_HASH, CODE_ZSET_2, CODE_SET_INTSET, CODE_HASH_LISTPACK, CODE_ZSET_LISTPACK, CODE_LIST_QUICKLIST_2,
    CODE_SET_LISTPACK,
])  # fmt: skip
"""The type codes that `load_collection` knows. They mean the same in files of all versions."""


class EmptyValue(Malformed):
    """A collection without elements."""


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
    """Where a long member makes it large only later, the sign of -0, which a listpack has no room for, is put back."""
    cdef SortedSet made = SortedSet()
    cdef uint64_t count, i
    cdef double score
    cdef bytes member
    cdef list negative = []
    source_length(source, &count)
    if count > <uint64_t>limits.zset_max_listpack_entries:
        rank_all(made)
    for i in range(count):
        source_string(source, &source.first)
        source_read(source, &score, sizeof(double))
        if isnan(score):
            raise Malformed("score that is not a number")
        if made.ranking == NULL and score == 0 and signbit(score):
            negative.append(text_bytes(&source.first))
        if zset_put(made, source.first.data, source.first.length, &score, ONLY_NEW) == REFUSED:
            raise Malformed("sorted set with a member twice")
    if made.ranking != NULL:
        for member in negative:
            zset_negate_zero(made, PyBytes_AS_STRING(member), PyBytes_GET_SIZE(member))
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
