"""What requests cost, put down to slots and keys. See slot_use.pyx."""

from node.core.engine cimport Client, Engine, Request

cdef int serve_counted(Engine engine, Client client, Request* request) except -1
