"""Where RDB bytes come from: a buffered reader that knows its offset and its checksum, reads the strings and lengths
of which everything in RDB is made, and never trusts a length.

A length found in the data is only a claim: memory is taken as bytes arrive, at most `READ_AHEAD` ahead, so a damaged
file cannot make the reader allocate more than the file holds. The checksum covers what has been handed out, and is
brought up to date once per buffer, not once per field.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from node.core.crc64 cimport crc64_of
from node.core.listpack cimport print_number
from node.core.lzf cimport lzf_unpack
from node.core.memory cimport release, resize
from node.core.rdb_codes cimport (
    LENGTH_32,
    LENGTH_64,
    STRING_INT8,
    STRING_INT16,
    STRING_INT32,
    STRING_LZF,
)

cdef enum:
    READ_AHEAD = 256 * 1024
    ROOM_KEPT = 1 << 20         # bytes of a text's room beyond which it is given back
    LEAST_ROOM = 256
    LZF_RATIO = 264             # no LZF stream grows by more than this: 3 bytes can repeat at most 264

cdef uint64_t STRING_MAX = 1ULL << 32   # no string of any type is longer, whatever a length says


class RdbError(Exception):
    """Data that is damaged, cut short, or of a kind this worker cannot hold.

    `name` is the file's name or what else the bytes came from, `offset` the byte at which reading stopped, counted
    from its start.
    """

    def __init__(self, name, offset, reason):
        super().__init__(f"{name}, offset {offset}: {reason}")
        self.name = name
        self.offset = offset
        self.reason = reason


cdef class Source:
    """Reads `stream`; `name` is what errors call it."""

    def __cinit__(self, stream, str name not None):
        self.stream = stream
        self.name = name
        self.buffer = b""
        self.data = <const uint8_t*>PyBytes_AS_STRING(self.buffer)

    def __dealloc__(self):
        release(self.key.data)
        release(self.first.data)
        release(self.second.data)
        release(self.packed.data)

    @property
    def offset(self) -> int:
        """How many bytes have been handed out."""
        return self.before + self.at

    @property
    def crc(self) -> int:
        """The checksum of all bytes handed out."""
        return checksum(self)

    @property
    def last_key(self) -> bytes:
        """The key that was read last, for whoever says what is wrong with its value."""
        return text_bytes(&self.key)

    def error(self, str reason not None):
        """The RdbError of this place."""
        return RdbError(self.name, self.offset, reason)

    def byte(self) -> int:
        return source_byte(self)

    def take(self, size_t length) -> bytes:
        """Exactly `length` bytes; RdbError if the stream ends before."""
        begin_text(&self.first)
        gather(self, &self.first, length)
        return text_bytes(&self.first)

    def load_length(self) -> int:
        cdef uint64_t length
        source_length(self, &length)
        return length

    def load_string(self) -> bytes:
        source_string(self, &self.first)
        return text_bytes(&self.first)

    def load_key(self) -> bytes:
        """The string that is an entry's key: `last_key`."""
        source_string(self, &self.key)
        return text_bytes(&self.key)

    def at_end(self) -> bool:
        """Whether nothing is left. May read ahead."""
        if self.at == self.end:
            refill(self)
        return self.at == self.end

    def rest(self) -> bytes:
        """What was read ahead and not handed out yet: the beginning of what follows the RDB in the stream."""
        return self.buffer[self.at:]


cdef uint64_t checksum(Source self) noexcept:
    self.sum = crc64_of(self.sum, self.data + self.summed, self.at - self.summed)
    self.summed = self.at
    return self.sum


cdef int refill(Source self) except -1:
    """Replace a buffer that is used up. An empty one is the end."""
    cdef bytes buffer
    checksum(self)
    buffer = self.stream.read(READ_AHEAD)
    self.before += self.end
    self.buffer = buffer
    self.data = <const uint8_t*>PyBytes_AS_STRING(buffer)
    self.end = PyBytes_GET_SIZE(buffer)
    self.at = self.summed = 0
    return 0


cdef object ended(Source self, uint64_t missing):
    return self.error(f"unexpected end: {missing} more bytes expected")


# --- texts ---------------------------------------------------------------------------------------------------


cdef bytes text_bytes(Text* text):
    return PyBytes_FromStringAndSize(text.data, text.length)


cdef inline int make_room(Text* text, size_t room) except -1:
    cdef char* moved
    if room <= text.room:
        return 0
    room = max(room, 2 * text.room, <size_t>LEAST_ROOM)
    moved = <char*>resize(text.data, room)
    if moved == NULL:
        raise MemoryError
    text.data = moved
    text.room = room
    return 0


cdef inline int begin_text(Text* text) except -1:
    """Forget what was read into it, and the room that an uncommonly large one took."""
    text.length = 0
    if text.room > ROOM_KEPT:
        release(text.data)
        text.data = NULL
        text.room = 0
    return make_room(text, LEAST_ROOM)


cdef int gather(Source self, Text* text, uint64_t length) except -1:
    """Add `length` bytes to a text."""
    cdef size_t part
    while True:
        part = min(length, <uint64_t>(self.end - self.at))
        make_room(text, text.length + part)
        memcpy(text.data + text.length, self.data + self.at, part)
        self.at += part
        text.length += part
        length -= part
        if length == 0:
            return 0
        refill(self)
        if self.end == 0:
            raise ended(self, length)


# --- what everything is made of ------------------------------------------------------------------------------


cdef int source_byte(Source self) except -1:
    if self.at == self.end:
        refill(self)
        if self.end == 0:
            raise ended(self, 1)
    self.at += 1
    return self.data[self.at - 1]


cdef int source_read(Source self, void* out, size_t size) except -1:
    """A few bytes, to `out`."""
    cdef size_t part
    while size:
        if self.at == self.end:
            refill(self)
            if self.end == 0:
                raise ended(self, size)
        part = min(size, self.end - self.at)
        memcpy(out, self.data + self.at, part)
        self.at += part
        out = <char*>out + part
        size -= part
    return 0


cdef uint64_t big_endian(Source self, int size) except? 0:
    cdef uint64_t number = 0
    cdef uint8_t raw[8]
    cdef int i
    source_read(self, raw, size)
    for i in range(size):
        number = number << 8 | raw[i]
    return number


cdef int source_length(Source self, uint64_t* length) except -1:
    cdef int head = source_byte(self)
    if head < 0x40:
        length[0] = head
    elif head < 0x80:
        length[0] = (head & 0x3F) << 8 | source_byte(self)
    elif head == LENGTH_32:
        length[0] = big_endian(self, 4)
    elif head == LENGTH_64:
        length[0] = big_endian(self, 8)
    else:
        raise self.error(f"{head:#04x} where a length was expected")
    return 0


cdef int source_string(Source self, Text* text) except -1:
    """The string that comes, whatever its form."""
    cdef int head = source_byte(self)
    cdef uint64_t length
    begin_text(text)
    if head < 0x40:
        length = head
    elif head < 0x80:
        length = (head & 0x3F) << 8 | source_byte(self)
    elif head == LENGTH_32:
        length = big_endian(self, 4)
    elif head == LENGTH_64:
        length = big_endian(self, 8)
        if length > STRING_MAX:
            raise self.error(f"string of {length} bytes")
    elif head == STRING_LZF:
        return unpacked(self, text)
    elif STRING_INT8 <= head <= STRING_INT32:
        text.length = print_number(integer(self, head), text.data)
        return 0
    else:
        raise self.error(f"string of unknown encoding {head:#04x}")
    return gather(self, text, length)


cdef int64_t integer(Source self, int form) except? -1:
    cdef int8_t small
    cdef int16_t middle
    cdef int32_t large
    if form == STRING_INT8:
        source_read(self, &small, 1)
        return small
    if form == STRING_INT16:
        source_read(self, &middle, 2)
        return middle
    source_read(self, &large, 4)
    return large


cdef int unpacked(Source self, Text* text) except -1:
    """The rest of a compressed string."""
    cdef uint64_t size, length
    source_length(self, &size)
    source_length(self, &length)
    if length == 0 or length > STRING_MAX or (length - 1) // LZF_RATIO >= size:
        raise self.error(f"{size} compressed bytes cannot be {length} bytes")
    begin_text(&self.packed)
    gather(self, &self.packed, size)
    make_room(text, length)
    if not lzf_unpack(<uint8_t*>self.packed.data, size, <uint8_t*>text.data, length):
        raise self.error("damaged LZF data")
    text.length = length
    return 0
