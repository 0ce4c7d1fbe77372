"""Lists, for compiled code beside them. See list.pyx."""

from libc.stdint cimport uint8_t

from node.core.quicklist_node cimport Quicklist

cdef class List:
    cdef uint8_t* pack      # while short
    cdef Quicklist* quick   # while long
