"""Entries of streams to replies, straight from the nodes' packs: `[id, [field, value …]]` each.

How many there are is told before them, so they are counted first. That costs little: of nodes that lie in the range
as a whole the number of live entries is known.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from node.core.listpack_walk cimport element_bytes
from node.core.packed_reply cimport put_element, room_for
from node.core.reply_writer cimport MOST_AROUND, ReplyWriter, put_bulk, put_line
from node.core.stream_head cimport StreamHead
from node.core.stream_node cimport (
    DELETED,
    ID_TEXT,
    SAME_FIELDS,
    Entry,
    Head,
    Id,
    Node,
    entry_at,
    entry_before,
    head_of,
    integer_at,
    is_below,
    last_entry,
    node_live,
    print_id,
)


cdef int write_range(ReplyWriter reply, StreamHead stream, Id low, Id high, bint reverse, int64_t most) except -1:
    """An array of the live entries with ids low..high, both included, `most` of them at most."""
    cdef list nodes = stream._nodes
    cdef Py_ssize_t first = max(nodes_up_to(nodes, low) - 1, 0)
    cdef Py_ssize_t stop = nodes_up_to(nodes, high)
    cdef int64_t left = count_range(nodes, first, stop, low, high, most)
    reply.line_of_int(c"*", left)
    while left:
        if reverse:
            stop -= 1
            left -= write_node(reply, <Node>nodes[stop], low, high, True, left)
        else:
            left -= write_node(reply, <Node>nodes[first], low, high, False, left)
            first += 1
    return 0


cdef Py_ssize_t nodes_up_to(list nodes, Id id) noexcept:
    """How many nodes begin at `id` or before it."""
    cdef Py_ssize_t low = 0
    cdef Py_ssize_t high = len(nodes)
    cdef Py_ssize_t middle
    while low < high:
        middle = (low + high) // 2
        if is_below(id, (<Node>nodes[middle]).first):
            high = middle
        else:
            low = middle + 1
    return low


cdef int64_t count_range(list nodes, Py_ssize_t first, Py_ssize_t stop, Id low, Id high, int64_t most) noexcept:
    cdef int64_t found = 0
    cdef Node node
    while first < stop and found < most:
        node = <Node>nodes[first]
        if is_below(node.first, low) or is_below(high, node.last):
            found += count_node(node, low, high)
        else:
            found += node_live(node)
        first += 1
    return min(found, most)


cdef int64_t count_node(Node node, Id low, Id high) noexcept:
    cdef Head head = head_of(node)
    cdef Entry entry
    cdef int64_t found = 0
    cdef bint there = entry_at(node, head, head.first_entry, &entry)
    while there and not is_below(high, entry.id):
        found += not (is_below(entry.id, low) or entry.flags & DELETED)
        there = entry_at(node, head, entry.end, &entry)
    return found


cdef int64_t write_node(ReplyWriter reply, Node node, Id low, Id high, bint reverse, int64_t most) except -1:
    """Those of one node; returns how many."""
    cdef Head head = head_of(node)
    cdef Entry entry
    cdef int64_t found = 0
    cdef bint there = last_entry(node, head, &entry) if reverse else entry_at(node, head, head.first_entry, &entry)
    while there and found < most and not (is_below(entry.id, low) if reverse else is_below(high, entry.id)):
        if not (entry.flags & DELETED or is_below(entry.id, low) or is_below(high, entry.id)):
            write_entry(reply, head, &entry)
            found += 1
        there = entry_before(node, head, &entry) if reverse else entry_at(node, head, entry.end, &entry)
    return found


cdef int write_entry(ReplyWriter reply, Head head, Entry* entry) except -1:
    cdef char[ID_TEXT] text
    cdef bint same = entry.flags & SAME_FIELDS != 0
    cdef uint8_t* field = head.first_field
    cdef uint8_t* at = entry.body
    cdef uint64_t pairs = head.fields
    cdef uint64_t i
    cdef char* out
    if not same:
        pairs = <uint64_t>integer_at(at)
        at += element_bytes(at)
    reply.reserve(
        3 * MOST_AROUND + ID_TEXT + room_for(2 * pairs, (head.first_entry - field) + (entry.end - entry.at))
    )
    out = put_line(reply.data + reply.length, c"*", 2)
    out = put_bulk(out, text, print_id(entry.id, text))
    out = put_line(out, c"*", 2 * pairs)
    for i in range(pairs):
        if same:
            out = put_element(out, field)
            field += element_bytes(field)
        else:
            out = put_element(out, at)
            at += element_bytes(at)
        out = put_element(out, at)
        at += element_bytes(at)
    reply.length = out - reply.data
    return 0
