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
datatypes work on it in place with the functions of listpack.pxd, which trust the bytes; bytes from elsewhere go
through `pack_check` first. All changes are one operation, `pack_splice`: some bytes of elements give way to
others. Python gets `encode` and `decode`, and pieces of them for those that put elements together themselves.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove

from node.core.memory cimport malloc_usable_size, release, resize, take

HEADER_LENGTH = PACK_HEADER

cdef enum:
    LONGEST_HEAD = 9         # encoding byte and the largest integer
    LONGEST_BACKLEN = 5
    SHORT_TEXT = 64          # lengths below have 6 bits
    MIDDLE_TEXT = 4096       # lengths below have 12 bits
    LONGEST_NUMBER = 20      # digits of an int64, with the sign


class Malformed(ValueError):
    """A packed encoding that contradicts itself."""


# --- lengths -------------------------------------------------------------------------------------------------


cdef inline uint32_t backlen_size(uint32_t length) noexcept nogil:
    """Bytes of the backlen of an element of so many. Redis leaves the largest number of each size unused."""
    if length <= 127:
        return 1
    if length < 16383:
        return 2
    if length < 2097151:
        return 3
    return 4 if length < 268435455 else 5


cdef inline void put_backlen(uint8_t* out, uint32_t length, uint32_t size) noexcept nogil:
    cdef uint32_t i = size
    while i > 1:
        i -= 1
        out[i] = <uint8_t>(length & 0x7F | 0x80)
        length >>= 7
    out[0] = <uint8_t>length


cdef inline uint32_t body_length(const uint8_t* at) noexcept nogil:
    """Bytes of encoding and data; 0 for an unknown encoding."""
    cdef uint8_t first = at[0]
    if first < 0x80:
        return 1
    if first < 0xC0:
        return 1 + (first & 0x3F)
    if first < 0xE0:
        return 2
    if first < 0xF0:
        return 2 + ((<uint32_t>(first & 0x0F) << 8) | at[1])
    if first == 0xF0:
        return 5 + read_uint32(at + 1)
    if first <= 0xF3:
        return first - 0xF1 + 3
    return 9 if first == 0xF4 else 0


cdef inline uint32_t read_uint32(const uint8_t* data) noexcept nogil:
    cdef uint32_t number
    memcpy(&number, data, 4)
    return number


cdef uint32_t element_bytes(const uint8_t* at) noexcept nogil:
    """All bytes of the element at `at`."""
    cdef uint32_t length = body_length(at)
    return length + backlen_size(length)


# --- encoding ------------------------------------------------------------------------------------------------


cdef bint canonical_number(const char* text, size_t length, int64_t* number) noexcept nogil:
    """Whether `text` is what printing some int64 would give, which is then `number`."""
    cdef uint64_t magnitude = 0
    cdef size_t i = 0
    cdef bint negative
    if length == 0 or length > LONGEST_NUMBER:
        return False
    negative = text[0] == c"-"
    if negative:
        i = 1
    if length - i < 1 or length - i > 19:
        return False
    if text[i] == c"0":
        number[0] = 0
        return length == 1
    while i < length:
        if text[i] < c"0" or text[i] > c"9":
            return False
        magnitude = magnitude * 10 + <uint64_t>(text[i] - c"0")
        i += 1
    if magnitude > (<uint64_t>1 << 63) - (0 if negative else 1):
        return False
    number[0] = <int64_t>(0 - magnitude if negative else magnitude)
    return True


cdef size_t print_number(int64_t number, char* digits) noexcept nogil:
    """The decimal text of `number` into `digits`; returns its length."""
    cdef uint64_t magnitude = 0 - <uint64_t>number if number < 0 else <uint64_t>number
    cdef char[DIGITS] reversed_digits
    cdef size_t count = 0
    cdef size_t length = 0
    while True:
        reversed_digits[count] = <char>(c"0" + magnitude % 10)
        count += 1
        magnitude //= 10
        if magnitude == 0:
            break
    if number < 0:
        digits[0] = c"-"
        length = 1
    while count:
        count -= 1
        digits[length] = reversed_digits[count]
        length += 1
    return length


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


cdef int64_t pack_check(const uint8_t* data, size_t length) noexcept nogil:
    """The number of elements in `data`, -1 if it is no listpack. Every length in it is checked."""
    cdef size_t at = PACK_HEADER
    cdef size_t end, room
    cdef uint32_t body, size
    cdef int64_t count = 0
    cdef uint16_t said
    cdef uint8_t[LONGEST_BACKLEN] backlen
    if length < PACK_FRAME or read_uint32(data) != length or data[length - 1] != PACK_END:
        return -1
    end = length - 1
    while at < end:
        room = end - at
        if data[at] >= 0xE0 and room < 2:
            return -1
        # a length of 32 bits must not wrap around once the encoding is added
        if data[at] == 0xF0 and (room < 6 or read_uint32(data + at + 1) > room):
            return -1
        body = body_length(data + at)
        if body == 0 or body >= room:
            return -1
        size = backlen_size(body)
        if size > room - body:
            return -1
        put_backlen(backlen, body, size)
        if memcmp(backlen, data + at + body, size) != 0:
            return -1
        at += body + size
        count += 1
    memcpy(&said, data + 4, 2)
    return -1 if said != PACK_COUNT_UNKNOWN and said != count else count


cdef uint32_t pack_count(uint8_t* pack) noexcept nogil:
    """How many elements there are. Beyond 65534 they must be counted."""
    cdef uint32_t count = (<uint16_t*>(pack + 4))[0]
    cdef uint8_t* at
    if count != PACK_COUNT_UNKNOWN:
        return count
    count = 0
    at = pack + PACK_HEADER
    while at[0] != PACK_END:
        at += element_bytes(at)
        count += 1
    if count < PACK_COUNT_UNKNOWN:
        (<uint16_t*>(pack + 4))[0] = <uint16_t>count
    return count


# --- walking -------------------------------------------------------------------------------------------------


cdef uint8_t* pack_first(uint8_t* pack) noexcept nogil:
    """The first element, NULL where there is none."""
    return NULL if pack[PACK_HEADER] == PACK_END else pack + PACK_HEADER


cdef uint8_t* pack_last(uint8_t* pack) noexcept nogil:
    """The last element, NULL where there is none."""
    return pack_prev(pack, pack + pack_bytes(pack) - 1)


cdef uint8_t* pack_next(uint8_t* pack, const uint8_t* at) noexcept nogil:
    """The element behind `at`, NULL behind the last."""
    at += element_bytes(at)
    return NULL if at[0] == PACK_END else <uint8_t*>at


cdef uint8_t* pack_prev(uint8_t* pack, const uint8_t* at) noexcept nogil:
    """The element before `at`, which may be the end mark; NULL before the first."""
    cdef uint32_t length = 0
    cdef uint32_t shift = 0
    if at == pack + PACK_HEADER:
        return NULL
    at -= 1
    while at[0] & 0x80:
        length |= <uint32_t>(at[0] & 0x7F) << shift
        shift += 7
        at -= 1
    length |= <uint32_t>at[0] << shift
    return <uint8_t*>at - length


cdef uint8_t* pack_seek(uint8_t* pack, int64_t index) noexcept nogil:
    """The element of an index, negative ones counted from the end; NULL where there is none."""
    cdef int64_t count = pack_count(pack)
    cdef uint8_t* at
    if index < 0:
        index += count
    if index < 0 or index >= count:
        return NULL
    if index <= count // 2:
        at = pack + PACK_HEADER
        while index:
            at += element_bytes(at)
            index -= 1
        return at
    at = pack + pack_bytes(pack) - 1
    while index < count:
        at = pack_prev(pack, at)
        index += 1
    return at


# --- one element ---------------------------------------------------------------------------------------------


cdef void element_get(const uint8_t* at, Element* out) noexcept nogil:
    """What the element at `at` is: a string inside the pack, or an integer."""
    cdef uint8_t first = at[0]
    cdef int64_t number = 0
    cdef uint32_t width
    out.text = NULL
    if first < 0x80:
        out.number = first
    elif first < 0xC0:
        out.text = <const char*>at + 1
        out.length = first & 0x3F
    elif first < 0xE0:
        number = (<int64_t>(first & 0x1F) << 8) | at[1]
        out.number = number - 0x2000 if number >= 0x1000 else number
    elif first < 0xF0:
        out.text = <const char*>at + 2
        out.length = (<uint32_t>(first & 0x0F) << 8) | at[1]
    elif first == 0xF0:
        out.text = <const char*>at + 5
        out.length = read_uint32(at + 1)
    else:
        width = 8 if first == 0xF4 else first - 0xF1 + 2
        memcpy(&number, at + 1, width)
        # the sign, from the top of `width` bytes to the top of eight
        out.number = <int64_t>(<uint64_t>number << (64 - 8 * width)) >> (64 - 8 * width)


cdef const char* element_text(const uint8_t* at, char* digits, size_t* length) noexcept nogil:
    """The element as text: inside the pack, or printed into `digits`, which has room for DIGITS bytes."""
    cdef Element element
    element_get(at, &element)
    if element.text != NULL:
        length[0] = element.length
        return element.text
    length[0] = print_number(element.number, digits)
    return digits


cdef bytes element_as_bytes(const uint8_t* at):
    cdef char[DIGITS] digits
    cdef size_t length
    cdef const char* text = element_text(at, digits, &length)
    return PyBytes_FromStringAndSize(text, length)


cdef inline bint equals(
    const uint8_t* at, const char* text, size_t length, bint is_number, int64_t number
) noexcept nogil:
    """Whether the element is `text`, which is `number` if `is_number`."""
    cdef Element element
    element_get(at, &element)
    if element.text == NULL:
        return is_number and element.number == number
    return element.length == length and memcmp(element.text, text, length) == 0


cdef bint element_equals(const uint8_t* at, const char* text, size_t length) noexcept nogil:
    cdef int64_t number = 0
    cdef bint is_number = canonical_number(text, length, &number)
    return equals(at, text, length, is_number, number)


cdef uint8_t* pack_find(
    uint8_t* pack, const uint8_t* start, const char* text, size_t length, uint32_t skip
) noexcept nogil:
    """The first element, of each `skip + 1` from `start` on, that is `text`; NULL where there is none.

    With fields and values in turn, `skip` 1 looks at the fields alone. `start` may be NULL: an empty pack.
    """
    cdef int64_t number = 0
    cdef bint is_number = canonical_number(text, length, &number)
    cdef uint32_t left
    if start == NULL:
        return NULL
    while start[0] != PACK_END:
        if 0x80 <= start[0] < 0xC0:  # short text, as most are
            if (start[0] & 0x3F) == length and memcmp(start + 1, text, length) == 0:
                return <uint8_t*>start
        elif equals(start, text, length, is_number, number):
            return <uint8_t*>start
        start = behind(start)
        left = skip
        while left and start[0] != PACK_END:
            start = behind(start)
            left -= 1
    return NULL


cdef inline const uint8_t* behind(const uint8_t* at) noexcept nogil:
    """The element behind `at`, or the end mark."""
    if at[0] < 0x80:
        return at + 2
    if at[0] < 0xC0:
        return at + 2 + (at[0] & 0x3F)
    return at + element_bytes(at)


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


def canonical_integer(bytes text not None) -> int | None:
    """The 64-bit integer whose decimal text is exactly `text`, or None."""
    cdef int64_t number
    if canonical_number(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), &number):
        return number
    return None


def element_at(bytes blob not None, Py_ssize_t at) -> tuple[bytes, int]:
    """The element that begins at `at` in sound bytes, and where the next one begins."""
    cdef const uint8_t* element = <const uint8_t*>PyBytes_AS_STRING(blob) + at
    return element_as_bytes(element), at + element_bytes(element)
