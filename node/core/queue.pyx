"""What a client has queued since MULTI: the frames of its commands, one behind the other, with the places of their words.

A frame is kept as it came, so that EXEC can hand it to a compiled handler, and the handler to the trail, as if it had
just arrived. Who wants Python's view of a command gets its words (`words_of`).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

from node.core.memory cimport release, resize
from node.core.request_reader cimport Span, Spans, spans_free, spans_push

from node.core.reply_writer import encode_command

cdef enum:
    FIRST_ROOM = 512     # bytes
    FIRST_COMMANDS = 8


cdef class Queue:
    def __cinit__(self):
        self.slot = NO_SLOT

    def __dealloc__(self):
        release(self.data)
        release(self.commands)
        spans_free(&self.spans)

    cdef int make_room(self, size_t more) except -1:
        cdef void* moved
        cdef size_t room = max(self.room, FIRST_ROOM)
        while room < self.length + more:
            room *= 2
        if room != self.room:
            moved = resize(self.data, room)
            if moved == NULL:
                raise MemoryError
            self.data, self.room = <char*>moved, room
        if self.count == self.capacity:
            moved = resize(self.commands, max(2 * self.capacity, FIRST_COMMANDS) * sizeof(Queued))
            if moved == NULL:
                raise MemoryError
            self.commands, self.capacity = <Queued*>moved, max(2 * self.capacity, FIRST_COMMANDS)
        return 0

    cdef int add(self, int row, const char* base, size_t begin, size_t end, Span* words, size_t count) except -1:
        """Queue the frame base[begin:end], whose words lie at `base`."""
        cdef Queued* queued
        cdef size_t i
        self.make_room(end - begin)
        queued = &self.commands[self.count]
        queued.row, queued.count = row, count
        queued.first, queued.begin, queued.end = self.spans.count, self.length, self.length + end - begin
        for i in range(count):
            if spans_push(&self.spans, words[i].start - begin + self.length, words[i].length) < 0:
                self.spans.count = queued.first
                raise MemoryError
        memcpy(self.data + self.length, base + begin, end - begin)
        self.length = queued.end
        self.count += 1
        return 0

    cdef int add_words(self, int row, list argv) except -1:
        """Queue a command that came in words."""
        cdef bytes frame = encode_command(argv)
        cdef Spans words
        cdef size_t position = 0
        cdef Py_ssize_t i
        words.items, words.count, words.capacity = NULL, 0, 0
        position = len(b"*%d\r\n" % len(argv))
        try:
            for word in argv:
                position += len(b"$%d\r\n" % len(word))
                if spans_push(&words, position, PyBytes_GET_SIZE(word)) < 0:
                    raise MemoryError
                position += PyBytes_GET_SIZE(word) + 2
            self.add(row, PyBytes_AS_STRING(frame), 0, PyBytes_GET_SIZE(frame), words.items, words.count)
        finally:
            spans_free(&words)
        return 0

    cdef list words_of(self, Py_ssize_t number):
        cdef Queued* queued = &self.commands[number]
        cdef list argv = []
        cdef Span* word
        cdef size_t i
        for i in range(queued.first, queued.first + queued.count):
            word = &self.spans.items[i]
            argv.append(PyBytes_FromStringAndSize(self.data + word.start, word.length))
        return argv

    cdef size_t memory(self) noexcept:
        """Bytes that are taken."""
        return self.room + self.capacity * sizeof(Queued) + self.spans.capacity * sizeof(Span)

    cdef void clear(self) noexcept:
        """Make ready for the next transaction."""
        self.count = 0
        self.length = self.spans.count = 0
        self.slot = NO_SLOT
