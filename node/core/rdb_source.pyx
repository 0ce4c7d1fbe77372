"""Where RDB bytes come from: a buffered reader that knows its offset and its checksum, reads the strings and lengths
of which everything in RDB is made, and never trusts a length.

A length found in the data is only a claim: memory is taken as bytes arrive, at most `READ_AHEAD` ahead, so a damaged
file cannot make the reader allocate more than the file holds. The checksum covers what has been handed out, and is
brought up to date once per buffer, not once per field.

Nearly everything lies whole in the buffer, and who is in a hurry may look at it there (`find_length`, `find_string`)
instead of having it copied. What is not all there, or not right, is not found; then the careful way reads on, or says
what is wrong.

A stream may have nothing to give for now, and raise Starved: one that comes over the network. Then the entry at hand is
given up (`rewind`), and read again from its beginning when more has come; the buffer keeps it until then (`resumable`).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from node.core.crc64 cimport crc64_of
from node.core.integer_text cimport print_number
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


class Starved(Exception):
    """A stream has nothing to give for now, and has not ended."""


cdef class Source:
    """Reads `stream`; `name` is what errors call it. `resumable`: the stream may raise Starved."""

    def __cinit__(self, stream, str name not None, bint resumable=False):
        self.stream = stream
        self.name = name
        self.resumable = resumable
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
        return crc64_of(self.sum, self.data + self.summed, self.at - self.summed)

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

    def mark(self) -> None:
        """An entry begins here, or what else is read as a whole."""
        mark(self)

    def rewind(self) -> int:
        """Back to where `mark` was called last. How many bytes are there from then on: it takes more."""
        self.at = self.kept
        return self.end - self.at

    def at_end(self) -> bool:
        """Whether nothing is left. May read ahead."""
        if self.at == self.end:
            refill(self)
        return self.at == self.end

    def rest(self) -> bytes:
        """What was read ahead and not handed out yet: the beginning of what follows the RDB in the stream."""
        return self.buffer[self.at:]


cdef int refill(Source self) except -1:
    """Replace a buffer that is used up, but for what may be read again. An empty one is the end."""
    cdef bytes buffer = self.stream.read(READ_AHEAD)
    cdef size_t used = self.kept if self.resumable and len(buffer) else self.end
    self.sum = crc64_of(self.sum, self.data + self.summed, used - self.summed)
    self.before += used
    if used < self.end:
        buffer = self.buffer[used:] + buffer
    self.at -= used
    self.buffer = buffer
    self.data = <const uint8_t*>PyBytes_AS_STRING(buffer)
    self.end = PyBytes_GET_SIZE(buffer)
    self.kept = self.summed = 0
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


cdef int keep_key(Source self, const char* key, size_t length) except -1:
    """Make it the `last_key`."""
    begin_text(&self.key)
    make_room(&self.key, length)
    memcpy(self.key.data, key, length)
    self.key.length = length
    return 0


# --- what lies whole in the buffer -----------------------------------------------------------------------------


cdef const uint8_t* find_length(const uint8_t* at, const uint8_t* end, uint64_t* length) noexcept nogil:
    """Read a length of less than 4 GB at `at`; returns what follows it, NULL if it is not all there, or is none."""
    if at >= end:
        return NULL
    if at[0] < 0x40:
        length[0] = at[0]
        return at + 1
    if at[0] < 0x80:
        if end - at < 2:
            return NULL
        length[0] = <uint64_t>(at[0] & 0x3F) << 8 | at[1]
        return at + 2
    if at[0] != LENGTH_32 or end - at < 5:
        return NULL
    length[0] = <uint64_t>at[1] << 24 | <uint64_t>at[2] << 16 | <uint64_t>at[3] << 8 | at[4]
    return at + 5


cdef const uint8_t* find_string(const uint8_t* at, const uint8_t* end, Piece* piece) noexcept nogil:
    """The string at `at`; returns what follows it, NULL if it is not all there, or is none."""
    cdef uint64_t size, length
    if at < end and at[0] >= STRING_INT8:
        if at[0] != STRING_LZF:
            return find_number(at, end, piece)
        at = find_length(at + 1, end, &size)
        if at == NULL:
            return NULL
        at = find_length(at, end, &length)
        if at == NULL or size > <uint64_t>(end - at) or length == 0 or (length - 1) // LZF_RATIO >= size:
            return NULL
        piece.packed = True
    else:
        at = find_length(at, end, &size)
        if at == NULL or size > <uint64_t>(end - at):
            return NULL
        length = size
        piece.packed = False
    piece.data = at
    piece.size = size
    piece.length = length
    return at + size


cdef const uint8_t* find_number(const uint8_t* at, const uint8_t* end, Piece* piece) noexcept nogil:
    cdef int8_t small
    cdef int16_t middle
    cdef int32_t number
    cdef int width = 1 << (at[0] - STRING_INT8)
    if at[0] > STRING_INT32 or end - at < 1 + width:
        return NULL
    if width == 1:
        memcpy(&small, at + 1, sizeof(small))
        number = small
    elif width == 2:
        memcpy(&middle, at + 1, sizeof(middle))
        number = middle
    else:
        memcpy(&number, at + 1, sizeof(number))
    piece.data = <uint8_t*>piece.digits
    piece.size = piece.length = print_number(number, piece.digits)
    piece.packed = False
    return at + 1 + width


cdef bint copy_piece(Piece* piece, char* out) noexcept nogil:
    """The string, to `out`; False if its compressed data is damaged."""
    if piece.packed:
        return lzf_unpack(piece.data, piece.size, <uint8_t*>out, piece.length)
    memcpy(out, piece.data, piece.length)
    return True


cdef int keep_packed_key(Source self, Piece* piece) except -1:
    """Make it the `last_key`; returns False if its data is damaged."""
    begin_text(&self.key)
    make_room(&self.key, piece.length)
    self.key.length = piece.length
    return copy_piece(piece, self.key.data)
