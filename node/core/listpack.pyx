"""The listpack: a list of strings and integers in one block, as Redis keeps its small collections.

    listpack = uint32(total bytes) uint16(count; 65535 means "count them") element* 0xFF
    element  = encoding data backlen
    backlen  = the length of encoding and data, in base 128, most significant digit first; every byte but the
               first has its top bit set, so that it can be read from its end

    encoding
    0xxxxxxx                       integer 0..127
    10xxxxxx                       string of up to 63 bytes
    110xxxxx xxxxxxxx              integer of 13 signed bits
    1110xxxx xxxxxxxx              string of up to 4095 bytes
    11110000 uint32                string
    11110001 .. 11110100           integer of 16, 24, 32, 64 signed bits

Fixed-size numbers are little-endian, the 12 and 13 bits in the encoding are big-endian. A string that is the
canonical decimal text of a 64-bit integer is stored as integer, so an integer reads back as its text.
Source: listpack.c of Redis.

It is the form in which small collections live in memory, in files and in DUMP's payloads alike. Compiled
datatypes work on it in place: listpack_walk.pyx reads, this file makes and changes. All changes are one operation,
`pack_splice`: some bytes of elements give way to others. Python gets `encode` and `decode`, and pieces of them for
those that put elements together themselves.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memmove

from node.core.integer_text cimport canonical_number
from node.core.listpack_walk cimport (
    LONGEST_BACKLEN,
    PACK_COUNT_UNKNOWN,
    PACK_END,
    PACK_FRAME,
    PACK_HEADER,
    backlen_size,
    element_as_bytes,
    element_bytes,
    pack_bytes,
    pack_check,
    put_backlen,
)
from node.core.memory cimport malloc_usable_size, release, resize, take

HEADER_LENGTH = PACK_HEADER

cdef enum:
    LONGEST_HEAD = 9         # encoding byte and the largest integer
    SHORT_TEXT = 64          # lengths below have 6 bits
    MIDDLE_TEXT = 4096       # lengths below have 12 bits


class Malformed(ValueError):
    """A packed encoding that contradicts itself."""


# --- encoding ------------------------------------------------------------------------------------------------


cdef inline uint32_t put_number(uint8_t* out, int64_t number) noexcept nogil:
    """Encoding and data of an integer; returns their length, at most LONGEST_HEAD."""
    cdef uint32_t width
    if 0 <= number < 128:
        out[0] = <uint8_t>number
        return 1
    if -4096 <= number < 4096:
        out[0] = <uint8_t>(0xC0 | ((number & 0x1FFF) >> 8))
        out[1] = <uint8_t>(number & 0xFF)
        return 2
    if -32768 <= number <= 32767:
        width = 2
        out[0] = 0xF1
    elif -8388608 <= number <= 8388607:
        width = 3
        out[0] = 0xF2
    elif -2147483648LL <= number <= 2147483647LL:
        width = 4
        out[0] = 0xF3
    else:
        width = 8
        out[0] = 0xF4
    memcpy(out + 1, &number, width)
    return 1 + width


cdef inline uint32_t put_text_head(uint8_t* out, size_t length) noexcept nogil:
    """The encoding of a string of `length` bytes, which follow it; returns the encoding's own length."""
    cdef uint32_t narrow = <uint32_t>length
    if length < SHORT_TEXT:
        out[0] = <uint8_t>(0x80 | length)
        return 1
    if length < MIDDLE_TEXT:
        out[0] = <uint8_t>(0xE0 | (length >> 8))
        out[1] = <uint8_t>(length & 0xFF)
        return 2
    out[0] = 0xF0
    memcpy(out + 1, &narrow, 4)
    return 5


cdef size_t number_size(int64_t number) noexcept nogil:
    """Bytes of the element that an integer becomes."""
    cdef uint8_t[LONGEST_HEAD] head
    return put_number(head, number) + 1


cdef size_t text_size(const char* text, size_t length) noexcept nogil:
    """Bytes of the element that `text` becomes."""
    cdef int64_t number
    cdef size_t body
    if canonical_number(text, length, &number):
        return number_size(number)
    body = length + (1 if length < SHORT_TEXT else 2 if length < MIDDLE_TEXT else 5)
    return body + backlen_size(<uint32_t>body)


# --- into room that is there ---------------------------------------------------------------------------------


cdef uint8_t* place_number(uint8_t* out, int64_t number) noexcept nogil:
    """Write the element that an integer becomes; returns where it ends."""
    cdef uint32_t body = put_number(out, number)
    out[body] = <uint8_t>body
    return out + body + 1


cdef uint8_t* place_text(uint8_t* out, const char* text, size_t length) noexcept nogil:
    """Write the element that `text` becomes; returns where it ends."""
    cdef int64_t number
    cdef uint32_t head, body, tail
    if canonical_number(text, length, &number):
        return place_number(out, number)
    head = put_text_head(out, length)
    body = head + <uint32_t>length
    tail = backlen_size(body)
    memcpy(out + head, text, length)
    put_backlen(out + body, body, tail)
    return out + body + tail


cdef void pack_grown(uint8_t* pack, uint8_t* end, int64_t count) noexcept nogil:
    """So many elements were written where the end mark was, and end there."""
    cdef int64_t said = (<uint16_t*>(pack + 4))[0]
    end[0] = PACK_END
    (<uint32_t*>pack)[0] = <uint32_t>(end + 1 - pack)
    if said != PACK_COUNT_UNKNOWN:
        said += count
        (<uint16_t*>(pack + 4))[0] = <uint16_t>(said if said < PACK_COUNT_UNKNOWN else PACK_COUNT_UNKNOWN)


cdef bint place_anew(uint8_t* at, int64_t number) noexcept nogil:
    """Write an integer over the element at `at`, if it takes as many bytes."""
    cdef uint8_t[LONGEST_HEAD] head
    cdef uint32_t body = put_number(head, number)
    if element_bytes(at) != body + 1:
        return False
    memcpy(at, head, body)
    return True


# --- the whole pack ------------------------------------------------------------------------------------------


cdef uint8_t* pack_new(size_t capacity) noexcept nogil:
    """An empty pack in a block of at least `capacity` bytes."""
    cdef uint8_t* pack = <uint8_t*>take(capacity if capacity > PACK_FRAME else PACK_FRAME)
    if pack != NULL:
        (<uint32_t*>pack)[0] = PACK_FRAME
        (<uint16_t*>(pack + 4))[0] = 0
        pack[PACK_HEADER] = PACK_END
    return pack


cdef uint8_t* pack_copy(const uint8_t* pack) noexcept nogil:
    cdef uint8_t* made = <uint8_t*>take(pack_bytes(pack))
    if made != NULL:
        memcpy(made, pack, pack_bytes(pack))
    return made


cdef uint8_t* pack_trim(uint8_t* pack) noexcept nogil:
    """Give back room that the pack does not need; never NULL."""
    cdef uint8_t* moved
    if malloc_usable_size(pack) < pack_bytes(pack) + 32:
        return pack
    moved = <uint8_t*>resize(pack, pack_bytes(pack))
    return pack if moved == NULL else moved


# --- changing ------------------------------------------------------------------------------------------------


cdef uint8_t* pack_splice(
    uint8_t* pack, const uint8_t* at, size_t cut, int64_t cut_count, const uint8_t* body, size_t size, int64_t count
) noexcept nogil:
    """Put `count` encoded elements, the `size` bytes at `body`, in the place of `cut_count` ones, the `cut` bytes
    at `at`. Returns the pack, NULL without memory. `at` NULL is the end; `body` must not lie in the pack, and
    may be NULL if the caller fills the gap himself.
    """
    cdef uint32_t total = pack_bytes(pack)
    cdef size_t offset = total - 1 if at == NULL else at - pack
    cdef size_t after = total - cut + size
    cdef int64_t said = (<uint16_t*>(pack + 4))[0]
    cdef uint8_t* moved
    if after > 0xFFFFFFFFU:
        return NULL
    if after > total and after > malloc_usable_size(pack):
        moved = <uint8_t*>resize(pack, after)
        if moved == NULL:
            return NULL
        pack = moved
    if size != cut:
        memmove(pack + offset + size, pack + offset + cut, total - offset - cut)
    if body != NULL and size:
        memcpy(pack + offset, body, size)
    (<uint32_t*>pack)[0] = <uint32_t>after
    if said != PACK_COUNT_UNKNOWN:
        said += count - cut_count
        (<uint16_t*>(pack + 4))[0] = <uint16_t>(said if said < PACK_COUNT_UNKNOWN else PACK_COUNT_UNKNOWN)
    if after < total:
        pack = pack_trim(pack)
    return pack


cdef uint8_t* put(
    uint8_t* pack, const uint8_t* at, bint replace, const char* text, size_t length, int64_t number, uint8_t** placed
) noexcept nogil:
    """Insert before `at`, or replace what is there. `text` NULL: an integer."""
    cdef uint8_t[LONGEST_HEAD] head
    cdef size_t offset = pack_bytes(pack) - 1 if at == NULL else at - pack
    cdef size_t cut = element_bytes(at) if replace else 0
    cdef uint32_t head_size, body, tail_size
    if text == NULL or canonical_number(text, length, &number):
        head_size = body = put_number(head, number)
    elif length > PACK_LARGEST:
        return NULL
    else:
        head_size = put_text_head(head, length)
        body = head_size + <uint32_t>length
    tail_size = backlen_size(body)
    pack = pack_splice(pack, pack + offset, cut, 1 if replace else 0, NULL, body + tail_size, 1)
    if pack == NULL:
        return NULL
    memcpy(pack + offset, head, head_size)
    if body > head_size:
        memcpy(pack + offset + head_size, text, body - head_size)
    put_backlen(pack + offset + body, body, tail_size)
    if placed != NULL:
        placed[0] = pack + offset
    return pack


cdef uint8_t* pack_insert(
    uint8_t* pack, const uint8_t* at, const char* text, size_t length, uint8_t** placed
) noexcept nogil:
    """Put `text`, which must not lie in the pack, before `at`; NULL and the end mark are the end."""
    return put(pack, at, False, text if text != NULL else <const char*>"", length, 0, placed)


cdef uint8_t* pack_insert_number(
    uint8_t* pack, const uint8_t* at, int64_t number, uint8_t** placed
) noexcept nogil:
    return put(pack, at, False, NULL, 0, number, placed)


cdef uint8_t* pack_replace(
    uint8_t* pack, const uint8_t* at, const char* text, size_t length, uint8_t** placed
) noexcept nogil:
    """Put `text`, which must not lie in the pack, in the place of the element at `at`."""
    return put(pack, at, True, text if text != NULL else <const char*>"", length, 0, placed)


cdef uint8_t* pack_replace_number(
    uint8_t* pack, const uint8_t* at, int64_t number, uint8_t** placed
) noexcept nogil:
    return put(pack, at, True, NULL, 0, number, placed)


cdef uint8_t* pack_append(uint8_t* pack, const char* text, size_t length) noexcept nogil:
    return pack_insert(pack, NULL, text, length, NULL)


cdef uint8_t* pack_append_number(uint8_t* pack, int64_t number) noexcept nogil:
    return pack_insert_number(pack, NULL, number, NULL)


cdef uint8_t* pack_prepend(uint8_t* pack, const char* text, size_t length) noexcept nogil:
    return pack_insert(pack, pack + PACK_HEADER, text, length, NULL)


cdef uint8_t* pack_delete(uint8_t* pack, const uint8_t* at, uint32_t count, uint8_t** following) noexcept nogil:
    """Remove up to `count` elements from `at` on. `following` is then the one in their place, NULL at the end."""
    cdef size_t offset = at - pack
    cdef const uint8_t* end = at
    cdef int64_t removed = 0
    while removed < count and end[0] != PACK_END:
        end += element_bytes(end)
        removed += 1
    pack = pack_splice(pack, at, end - at, removed, NULL, 0, 0)
    if following != NULL:
        following[0] = NULL if pack[offset] == PACK_END else pack + offset
    return pack


# --- for Python ----------------------------------------------------------------------------------------------


def encode(elements) -> bytes:
    """A listpack of `elements`, an iterable of bytes; integers packed."""
    cdef uint8_t* pack = pack_new(128)
    cdef uint8_t* grown
    cdef bytes element
    if pack == NULL:
        raise MemoryError
    try:
        for element in elements:
            grown = pack_append(pack, PyBytes_AS_STRING(element), PyBytes_GET_SIZE(element))
            if grown == NULL:
                raise MemoryError
            pack = grown
        return PyBytes_FromStringAndSize(<char*>pack, pack_bytes(pack))
    finally:
        release(pack)


def decode(bytes blob not None) -> list[bytes]:
    """The elements, integers as decimal text. Every length is checked; raises Malformed."""
    cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(blob)
    cdef int64_t count = pack_check(at, PyBytes_GET_SIZE(blob))
    cdef list elements = []
    if count < 0:
        raise Malformed("listpack with wrong lengths in it")
    at += PACK_HEADER
    while count:
        elements.append(element_as_bytes(at))
        at += element_bytes(at)
        count -= 1
    return elements


def frame(bytes body not None, int64_t count) -> bytes:
    """A listpack of `count` elements that are encoded already."""
    cdef uint32_t total = <uint32_t>PyBytes_GET_SIZE(body) + PACK_FRAME
    cdef uint16_t said = <uint16_t>min(count, PACK_COUNT_UNKNOWN)
    cdef bytes blob = PyBytes_FromStringAndSize(NULL, total)
    cdef char* data = PyBytes_AS_STRING(blob)
    memcpy(data, &total, 4)
    memcpy(data + 4, &said, 2)
    memcpy(data + PACK_HEADER, PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body))
    data[total - 1] = <char>PACK_END
    return blob


def encode_element(bytes element not None) -> bytes:
    """Encoding, data and backlen of one element."""
    cdef int64_t number
    cdef uint8_t[LONGEST_HEAD] head
    cdef uint8_t[LONGEST_BACKLEN] tail
    cdef uint32_t length, size
    if canonical_number(PyBytes_AS_STRING(element), PyBytes_GET_SIZE(element), &number):
        return encode_integer(number)
    length = put_text_head(head, PyBytes_GET_SIZE(element))
    size = backlen_size(length + <uint32_t>PyBytes_GET_SIZE(element))
    put_backlen(tail, length + <uint32_t>PyBytes_GET_SIZE(element), size)
    return (<char*>head)[:length] + element + (<char*>tail)[:size]


def encode_integer(int64_t number) -> bytes:
    """The element that is a signed integer of 64 bits."""
    cdef uint8_t[LONGEST_HEAD + 1] head
    cdef uint32_t length = put_number(head, number)
    put_backlen(head + length, length, 1)
    return PyBytes_FromStringAndSize(<char*>head, length + 1)


def element_at(bytes blob not None, Py_ssize_t at) -> tuple[bytes, int]:
    """The element that begins at `at` in sound bytes, and where the next one begins."""
    cdef const uint8_t* element = <const uint8_t*>PyBytes_AS_STRING(blob) + at
    return element_as_bytes(element), at + element_bytes(element)
