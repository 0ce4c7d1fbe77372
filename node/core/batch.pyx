"""Requests by the batch: found in the received bytes, looked up, their keys hashed, their memory asked for.

One request at a time would wait for memory three times: for the head of its key's table, for the cell, for the
entry. So all of a batch are read before the first is executed, and what each of them will touch is prefetched, pass by
pass: the heads while the requests are read, then the cells, then the entries.

Command names come in few spellings. The row that a name of up to eight bytes led to last is kept by the name's bytes
as they are (`Spelling`), whatever their case, so that a name that was seen before costs one comparison.
"""

from libc.stdint cimport uint64_t

from node.core.command_rows cimport row_called
from node.core.engine cimport BATCH, Engine, Request, Row, Spelling
from node.core.keyspace cimport Keyspace, make_key
from node.core.request_reader cimport COMPLETE, EMPTY, Limits, Outcome, Progress, Span, read_frame, read_plain, spans_push
from node.core.slot_table cimport Entry, likely_cell, likely_entry, prefetch
from node.core.words cimport word_at

cdef enum:
    SPREAD_SHIFT = 60     # of a product's 64 bits the upper four: SPELLINGS are sixteen


cdef int read_batch(
    Engine engine,
    Keyspace db,
    const char* base,
    size_t* position,
    size_t length,
    Progress* progress,
    Limits* limits,
    int most,
    bint lines,
    Outcome* outcome,
) noexcept:
    """Read up to `most` requests, BATCH at most, from `base[position:length]` into `engine.batch`; returns how many.
    `lines`: they may be inline commands, too, else those end the batch.

    `outcome` is that of the last look. `position` moves behind what was read, which with EMPTY is one frame more.
    """
    cdef Request* request
    cdef Request* keyed[BATCH]
    cdef int count = 0
    cdef int with_keys = 0
    engine.spans.count = 0
    outcome[0] = COMPLETE
    while count < most and position[0] < length and (lines or base[position[0]] == c"*" or progress.position):
        request = &engine.batch[count]
        request.begin = position[0]
        request.first = engine.spans.count
        request.end = 0 if progress.position else read_plain(base, position[0], length, &engine.spans, limits)
        if request.end == 0:
            outcome[0] = read_frame(base, position[0], length, progress, &engine.spans, &request.end, limits)
            if outcome[0] != COMPLETE:
                if outcome[0] == EMPTY:
                    position[0] = request.end
                break
        position[0] = request.end
        request.base = base
        request.count = engine.spans.count - request.first
        count += 1
        if prepare(engine, request):
            prefetch(&db.tables[request.key.slot])
            keyed[with_keys] = request
            with_keys += 1
    if count > 1:
        prefetch_entries(keyed, with_keys, db)
    return count


cdef inline void prefetch_entries(Request** keyed, int count, Keyspace db) noexcept:
    """The cells, then the entries, of the requests' keys, of the first where they have several. Of an entry its first
    88 bytes, wherever its cache lines begin: header, a usual key, a small value; and no line of its neighbour's."""
    cdef Entry* entry
    cdef int i
    for i in range(count):
        prefetch(likely_cell(&db.tables[keyed[i].key.slot], keyed[i].key.hash))
    for i in range(count):
        entry = likely_entry(&db.tables[keyed[i].key.slot], keyed[i].key.hash)
        prefetch(entry)
        if keyed[i].row.is_write:
            prefetch(<char*>entry - 8)    # the allocator's note of its size, which writing in place asks for
        prefetch(<char*>entry + 64)
        prefetch(<char*>entry + 87)


cdef inline bint prepare(Engine engine, Request* request) noexcept:
    """Look up the row; for a command with keys, hash the first. Whether it has one."""
    cdef Row* row
    cdef Span* span
    request.compiled = False
    request.is_line = False
    request.is_inline = request.base[request.begin] != c"*"
    span = &engine.spans.items[request.first]
    if not request.is_inline:
        row = request.row = row_spelled(engine, request.base + span.start, span.length)
    elif split(engine, request):
        row = request.row = row_called(engine, request.base + span.start, span.length)
    else:
        request.is_line = True
        request.row = NULL
        return False
    if row == NULL or row.first_key == 0 or row.first_key >= <int>request.count:
        return False
    span += row.first_key
    make_key(&request.key, request.base + span.start, span.length)
    return True


cdef inline Row* row_spelled(Engine engine, const char* name, size_t length) noexcept:
    """`row_called`, of the first word of a frame, which never begins before the frame's eighth byte."""
    cdef Spelling* spelling
    cdef uint64_t word
    if not 0 < length <= 8:
        return row_called(engine, name, length)
    word = word_at(name + length - 8) >> (64 - 8 * length)
    spelling = &engine.spellings[(word * 0x9E3779B97F4A7C15ULL) >> SPREAD_SHIFT]
    if spelling.word != word or spelling.row == NULL or spelling.row.name_length != length:
        spelling.word = word
        spelling.row = row_called(engine, name, length)
    return spelling.row


cdef bint split(Engine engine, Request* request) noexcept:
    """Make words of a line that has nothing but spaces between them: no quotes, nothing unusual."""
    cdef Span line = engine.spans.items[request.first]
    cdef const char* text = request.base
    cdef size_t i, begin
    cdef size_t end = line.start + line.length
    for i in range(line.start, end):
        if <unsigned char>text[i] < c" " or text[i] == c'"' or text[i] == c"'":
            return False
    engine.spans.count = request.first
    i = line.start
    while i < end:
        begin = i
        while i < end and text[i] != c" ":
            i += 1
        if i > begin and spans_push(&engine.spans, begin, i - begin) < 0:
            engine.spans.count = request.first
            break
        i += 1
    request.count = engine.spans.count - request.first
    if request.count:
        return True
    request.count = 1
    spans_push(&engine.spans, line.start, line.length)    # where it was
    return False
