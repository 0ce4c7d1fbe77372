"""Text to double, by the rules of Redis' string2d: what strtod reads, all of it, and nothing that is no number.

So infinities and hexadecimal floats are numbers; leading spaces, NaN, and numbers that overflow or vanish are not.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport ERANGE, errno
from libc.math cimport isinf, isnan
from libc.stdlib cimport strtod

cdef extern from "<ctype.h>" nogil:
    int isspace(int character)


def parse_double(bytes text not None) -> float | None:
    """None where it is no number."""
    cdef const char* data = PyBytes_AS_STRING(text)
    cdef Py_ssize_t length = PyBytes_GET_SIZE(text)
    cdef char* end
    cdef double value
    global errno
    if length == 0 or isspace(<unsigned char>data[0]):
        return None
    errno = 0
    value = strtod(data, &end)
    if end != data + length or isnan(value) or (errno == ERANGE and (isinf(value) or value == 0)):
        return None
    return value
