"""The compiled handlers of XRANGE and XREVRANGE. Their rules: compiled.pxd."""

from cpython.object cimport PyObject
from libc.stdint cimport INT64_MAX, UINT64_MAX, int64_t, uint64_t
from libc.string cimport memchr

from node.core.compiled cimport argument, count_read, is_word, number_in, put
from node.core.engine cimport Client, Engine, Request
from node.core.integer_text cimport canonical_number
from node.core.slot_table cimport TYPE_STREAM, Entry, entry_object, entry_type
from node.core.stream_head cimport StreamHead
from node.core.stream_node cimport Id
from node.core.stream_reply cimport write_range


cdef bint half_in(const char* text, size_t length, uint64_t* half) noexcept:
    cdef int64_t number
    if not canonical_number(text, length, &number) or number < 0:
        return False
    half[0] = <uint64_t>number
    return True


cdef bint bound_in(Engine engine, Request* request, size_t number, uint64_t missing, Id* id) noexcept:
    """Whether an argument is an id, or `-` or `+`, which is then `id`. `missing` is the sequence of one that has none."""
    cdef size_t length
    cdef const char* text = argument(engine, request, number, &length)
    cdef const char* dash
    if length == 1 and (text[0] == c"-" or text[0] == c"+"):
        id.high = id.low = 0 if text[0] == c"-" else UINT64_MAX
        return True
    dash = <const char*>memchr(text, c"-", length)
    id.low = missing
    if dash == NULL:
        return half_in(text, length, &id.high)
    return half_in(text, dash - text, &id.high) and half_in(dash + 1, length - (dash - text) - 1, &id.low)


cdef int read_range(Engine engine, Client client, Request* request, bint reverse) except -1:
    cdef Id low, high
    cdef Entry* entry
    cdef int64_t most = INT64_MAX
    if request.count != 4 and (
        request.count != 6
        or not is_word(engine, request, 4, b"count", 5)
        or not number_in(engine, request, 5, &most)
        or most <= 0
    ):
        return 0
    if not (
        bound_in(engine, request, 3 if reverse else 2, 0, &low)
        and bound_in(engine, request, 2 if reverse else 3, UINT64_MAX, &high)
    ):
        return 0
    entry = client.db.find(&request.key)
    if entry != NULL and entry_type(entry) != TYPE_STREAM:
        return 0
    count_read(client.db, &request.key, entry)
    if entry == NULL:
        engine.reply.line_of_int(c"*", 0)
        return 1
    write_range(engine.reply, <StreamHead>(<PyObject*>entry_object(entry)[0]), low, high, reverse, most)
    return 1


cdef int xrange_entries(Engine engine, Client client, Request* request) except -1:
    return read_range(engine, client, request, False)


cdef int xrevrange_entries(Engine engine, Client client, Request* request) except -1:
    return read_range(engine, client, request, True)


def install(Engine engine not None) -> None:
    put(engine, "xrange", xrange_entries)
    put(engine, "xrevrange", xrevrange_entries)
