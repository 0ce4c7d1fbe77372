"""LZF, the light compression of strings in RDB files.

    packed  = (literal | repeat)*
    literal = 000nnnnn byte{n + 1}                   bytes as they are
    repeat  = nnnooooo oooooooo                      n + 2 bytes again, from o + 1 bytes before (n of 1 to 6)
            | 111ooooo nnnnnnnn oooooooo             n + 9 bytes again

The packer looks for repeats of three bytes or more by a table from (a hash of) three bytes to where they stood last.
Which repeats it finds, and when it gives up, is as in liblzf, so that what is packed, and DUMP shows, is the same bytes
as Redis': hence the hash, the two places noted behind a repeat, and the ends that it leaves alone.
The table is never cleared: a place is noted as a number that grows from text to text, so that what a former text
left is too low to count.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

cdef enum:
    BITS = 16
    FARTHEST = 1 << 13
    LONGEST = 264
    UNROLLED = 16           # bytes that liblzf compares at once, where so many are left
    LITERALS = 32           # bytes that one literal holds

cdef uint32_t SEEN[1 << BITS]
cdef uint32_t turn = 0      # places up to this one are of former texts


cdef inline uint32_t hash_of(const uint8_t* at) noexcept nogil:
    cdef uint32_t three = <uint32_t>at[0] << 16 | <uint32_t>at[1] << 8 | at[2]
    return ((three >> (24 - BITS)) - three * 5) & ((1 << BITS) - 1)


cdef inline uint8_t* behind_literals(uint8_t* out, size_t count) noexcept nogil:
    """Where they would end, with the head of the next literal."""
    return out + count + count // LITERALS + 1


cdef inline uint8_t* put_literals(uint8_t* out, const uint8_t* text, size_t count) noexcept nogil:
    cdef size_t part
    while count:
        part = count if count < LITERALS else LITERALS
        out[0] = <uint8_t>(part - 1)
        memcpy(out + 1, text, part)
        out += part + 1
        text += part
        count -= part
    return out


cdef inline uint8_t* put_repeat(uint8_t* out, uint32_t distance, uint32_t count) noexcept nogil:
    distance -= 1
    count -= 2
    if count < 7:
        out[0] = <uint8_t>(count << 5 | distance >> 8)
    else:
        out[0] = <uint8_t>(7 << 5 | distance >> 8)
        out += 1
        out[0] = <uint8_t>(count - 7)
    out[1] = <uint8_t>distance
    return out + 2


cdef uint32_t begin_turn(size_t length) noexcept nogil:
    """The number of a text's first place, which is too low for any that counts."""
    global turn
    cdef uint32_t before
    if turn > 0xFFFFFFFFU - <uint32_t>length - 1:
        memset(SEEN, 0, sizeof(SEEN))
        turn = 0
    before = turn
    turn += <uint32_t>length
    return before


cdef inline size_t repeated(const uint8_t* at, const uint8_t* was, size_t left) noexcept nogil:
    """How many bytes are the same, of which three are known to be; the text's last two stay out of most repeats."""
    cdef size_t count = 3
    cdef size_t most = left - 2 if left - 2 < LONGEST else LONGEST
    if UNROLLED < most < UNROLLED + 3:
        most = UNROLLED + 3
    while count < most and at[count] == was[count]:
        count += 1
    return count


cdef size_t lzf_pack(const uint8_t* text, size_t length, uint8_t* out, size_t room) noexcept nogil:
    """Pack a text (of less than 2 GiB) into up to `room` bytes; returns how many, 0 if it does not fit."""
    cdef const uint8_t* at = text
    cdef const uint8_t* end = text + length
    cdef const uint8_t* waiting = text      # what has not been put out yet
    cdef const uint8_t* was
    cdef uint8_t* begin = out
    cdef uint8_t* limit = out + room
    cdef uint32_t before = begin_turn(length)
    cdef uint32_t place, hash
    cdef size_t count
    while at + 2 < end:
        hash = hash_of(at)
        place = SEEN[hash]
        SEEN[hash] = before + <uint32_t>(at - text)
        was = text + (place - before)
        if place <= before or at - was > FARTHEST or memcmp(at, was, 3) != 0:
            at += 1
            continue
        count = at - waiting
        if behind_literals(out, count) + (4 if count % LITERALS else 3) >= limit:
            return 0
        out = put_literals(out, waiting, count)
        count = repeated(at, was, end - at)
        out = put_repeat(out, <uint32_t>(at - was), <uint32_t>count)
        at += count
        waiting = at
        if at + 2 < end:
            SEEN[hash_of(at - 2)] = before + <uint32_t>(at - 2 - text)
            SEEN[hash_of(at - 1)] = before + <uint32_t>(at - 1 - text)
    if behind_literals(out, at - waiting) + 3 > limit:
        return 0
    return put_literals(out, waiting, end - waiting) - begin


cdef bint lzf_unpack(const uint8_t* packed, size_t size, uint8_t* out, size_t length) noexcept nogil:
    """Unpack into exactly `length` bytes; False where the packed bytes do not make so many."""
    cdef const uint8_t* end = packed + size
    cdef uint8_t* begin = out
    cdef uint8_t* limit = out + length
    cdef size_t count, distance
    while packed < end:
        count = packed[0]
        packed += 1
        if count < LITERALS:
            count += 1
            if count > <size_t>(end - packed) or count > <size_t>(limit - out):
                return False
            copy(out, packed, count, <size_t>(end - packed) >= LITERALS and <size_t>(limit - out) >= LITERALS)
            packed += count
            out += count
            continue
        distance = (count & 31) << 8
        count >>= 5
        if count == 7 and packed < end:
            count += packed[0]
            packed += 1
        if packed == end:
            return False
        distance += <size_t>packed[0] + 1
        packed += 1
        count += 2
        if distance > <size_t>(out - begin) or count > <size_t>(limit - out):
            return False
        repeat(out, distance, count, <size_t>(limit - out) >= LITERALS)
        out += count
    return out == limit


cdef inline void copy(uint8_t* out, const uint8_t* text, size_t count, bint has_room) noexcept nogil:
    """`count` bytes. `has_room`: LITERALS bytes may be read and written, so that short texts take two moves and no
    call."""
    if has_room and count <= LITERALS:
        memcpy(out, text, LITERALS // 2)
        if count > LITERALS // 2:
            memcpy(out + LITERALS // 2, text + LITERALS // 2, LITERALS // 2)
    else:
        memcpy(out, text, count)


cdef inline void repeat(uint8_t* out, size_t distance, size_t count, bint has_room) noexcept nogil:
    """`count` of the bytes from `distance` before `out`, which may be among those that this puts out."""
    cdef const uint8_t* text = out - distance
    if distance >= count:
        copy(out, text, count, has_room and distance >= LITERALS)
        return
    if distance == 1:
        memset(out, text[0], count)
        return
    while count > distance:     # what there is to repeat doubles each time
        memcpy(out, text, distance)
        out += distance
        count -= distance
        distance *= 2
    memcpy(out, text, count)


def compress(bytes text not None, size_t room):
    """`text` packed, or None if that takes more than `room` bytes."""
    cdef bytes out = PyBytes_FromStringAndSize(NULL, room)
    cdef size_t size = lzf_pack(
        <const uint8_t*>PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), <uint8_t*>PyBytes_AS_STRING(out), room
    )
    return out[:size] if size else None


def decompress(bytes packed not None, size_t length):
    """The `length` bytes that `packed` stands for, or None if it does not."""
    cdef bytes out = PyBytes_FromStringAndSize(NULL, length)
    cdef bint sound = lzf_unpack(
        <const uint8_t*>PyBytes_AS_STRING(packed), PyBytes_GET_SIZE(packed),
        <uint8_t*>PyBytes_AS_STRING(out), length,
    )
    return out if sound else None
