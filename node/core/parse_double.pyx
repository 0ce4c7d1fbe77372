"""Text to double, by the rules of Redis' string2d: what strtod reads, all of it, and nothing that is no number.

So infinities and hexadecimal floats are numbers; leading spaces, NaN, and numbers that overflow or vanish are not.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport ERANGE, errno
from libc.math cimport isinf, isnan
from libc.stdlib cimport strtod

cdef extern from "<ctype.h>" nogil:
    int isspace(int character)


cdef bint read_double(const char* text, size_t length, double* value) noexcept nogil:
    """False where it is no number. What follows the text has to be there and no part of a number: a NUL, a CR."""
    cdef char* end
    global errno
    if length == 0 or isspace(<unsigned char>text[0]):
        return False
    errno = 0
    value[0] = strtod(text, &end)
    return (
        end == text + length
        and not isnan(value[0])
        and not (errno == ERANGE and (isinf(value[0]) or value[0] == 0))
    )


def parse_double(bytes text not None) -> float | None:
    """None where it is no number."""
    cdef double value
    if not read_double(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), &value):
        return None
    return value
