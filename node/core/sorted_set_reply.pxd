"""What compiled handlers of sorted sets have in common: scores from requests, entries to replies."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint64_t

from node.core.compiled cimport argument
from node.core.engine cimport Engine, Request
from node.core.integer_text cimport canonical_number
from node.core.listpack_walk cimport element_bytes, pack_next, pack_seek
from node.core.member_table cimport Member
from node.core.ordered_index cimport Place, key_of, score_of, tree_at, tree_next
from node.core.packed_reply cimport bulk_of_element
from node.core.packed_scores cimport packed_score
from node.core.parse_double cimport read_double
from node.core.reply_writer cimport ReplyWriter
from node.core.slot_table cimport TYPE_ZSET, Entry, entry_object, entry_type
from node.core.sorted_set cimport SortedSet

cdef enum:
    EXACT = 0x20000000000000    # 2**53: integers up to this are doubles

cdef inline bint is_sorted_set(Entry* entry) noexcept:
    return entry_type(entry) == TYPE_ZSET

cdef inline SortedSet sorted_set_in(Entry* entry):
    return <SortedSet>(<PyObject*>entry_object(entry)[0])

cdef inline bint score_in(Engine engine, Request* request, size_t number, double* score) noexcept:
    """Whether argument `number` is a score, which is then `score`. A CR or a blank follows it in the buffer."""
    cdef size_t length
    cdef const char* text = argument(engine, request, number, &length)
    cdef int64_t whole
    if canonical_number(text, length, &whole) and -EXACT <= whole <= EXACT:
        score[0] = <double>whole
        return True
    return read_double(text, length, score)

cdef inline int write_entries(
    ReplyWriter reply, SortedSet value, uint64_t start, uint64_t stop, bint scores, int resp, bint paired
) except -1:
    """The members of ranks start..stop-1, which are there, as an array: with their scores perhaps, and these in
    pairs or in turn."""
    cdef uint64_t left = stop - start
    cdef uint8_t* at = NULL
    cdef Member* member
    cdef Place place
    reply.line_of_int(c"*", left * 2 if scores and not paired else left)
    if left == 0:
        return 0
    if value.ranking != NULL:
        tree_at(&value.ranking.tree, start, &place)
    else:
        at = pack_seek(value.pack, 2 * start)
    while left:
        if paired:
            reply.line_of_int(c"*", 2)
        if value.ranking != NULL:
            member = tree_next(&place)
            reply.bulk(key_of(member), member.key_length)
            if scores:
                reply.encode_float(score_of(member)[0], resp)
        else:
            bulk_of_element(reply, at, element_bytes(at))
            at = pack_next(value.pack, at)
            if scores:
                reply.encode_float(packed_score(at), resp)
            at = pack_next(value.pack, at)
        left -= 1
    return 0
