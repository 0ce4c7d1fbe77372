"""The hash of keys. See key_hash.pyx."""

from libc.stdint cimport uint32_t, uint64_t

from node.core.siphash cimport siphash

cdef struct Secret:
    uint64_t words[2]

cdef Secret secret

cdef inline uint32_t hash_of(const char* key, size_t length) noexcept nogil:
    """The upper half of the key's 64-bit hash."""
    return <uint32_t>(siphash(secret.words, key, length) >> 32)
