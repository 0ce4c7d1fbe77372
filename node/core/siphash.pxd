"""SipHash-1-3, the hash of keys: with a secret, so that nobody can choose keys that collide.

Source: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF"; one round per word, three at the end.
"""

from libc.stdint cimport uint8_t, uint64_t

from node.core.words cimport few_at, word_at

cdef struct Sip:
    uint64_t a, b, c, d

cdef inline uint64_t rotated(uint64_t x, int bits) noexcept nogil:
    return x << bits | x >> (64 - bits)

cdef inline void sip_round(Sip* s) noexcept nogil:
    s.a += s.b
    s.c += s.d
    s.b = rotated(s.b, 13) ^ s.a
    s.d = rotated(s.d, 16) ^ s.c
    s.a = rotated(s.a, 32)
    s.c += s.b
    s.a += s.d
    s.b = rotated(s.b, 17) ^ s.c
    s.d = rotated(s.d, 21) ^ s.a
    s.c = rotated(s.c, 32)

cdef inline uint64_t siphash(const uint64_t* secret, const void* data, size_t length) noexcept nogil:
    """64 bits of `data`, by a `secret` of two words."""
    cdef Sip s
    cdef const uint8_t* at = <const uint8_t*>data
    cdef const uint8_t* end = at + (length & ~<size_t>7)
    cdef uint64_t word
    cdef uint64_t last = <uint64_t>length << 56
    s.a = secret[0] ^ 0x736F6D6570736575ULL
    s.b = secret[1] ^ 0x646F72616E646F6DULL
    s.c = secret[0] ^ 0x6C7967656E657261ULL
    s.d = secret[1] ^ 0x7465646279746573ULL
    while at != end:
        word = word_at(at)
        s.d ^= word
        sip_round(&s)
        s.a ^= word
        at += 8
    if length & 7:
        if length > 8:    # the last eight bytes, less those that were taken
            last |= word_at(at + (length & 7) - 8) >> (64 - 8 * (length & 7))
        else:
            last |= few_at(at, length)
    s.d ^= last
    sip_round(&s)
    s.a ^= last
    s.c ^= 0xFF
    sip_round(&s)
    sip_round(&s)
    sip_round(&s)
    return s.a ^ s.b ^ s.c ^ s.d
