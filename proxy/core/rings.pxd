"""Rings of structs: what is not answered yet, oldest at `head`. Head and tail count on for ever; modulo the size,
a power of two, they are indexes."""

from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy


cdef inline void* larger_ring(
    void* ring, size_t width, uint64_t size, uint64_t larger, uint64_t head, uint64_t tail
) except NULL:
    """A ring of `larger` places instead of `size`, each of `width` bytes; the former is freed."""
    cdef uint64_t i
    cdef char* fresh = <char*>malloc(larger * width)
    if fresh == NULL:
        raise MemoryError()
    for i in range(head, tail):
        memcpy(fresh + (i & (larger - 1)) * width, <char*>ring + (i & (size - 1)) * width, width)
    free(ring)
    return fresh
