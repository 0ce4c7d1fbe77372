"""Reply values (node/replies.py) to RESP2 or RESP3 bytes, in one growing buffer.

Compiled handlers call the cdef methods and never make an object; everything else goes through `encode`.
An integer of more than 64 bits, as counters of streams can be brought to, wraps around as those of Redis do.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.long cimport PyLong_AsUnsignedLongLongMask
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int64_t

from node.core.double_digits cimport DOUBLE_TEXT, print_double
from node.core.memory cimport release, resize, take

from node.errors import ReplyError
from node.replies import (
    NO_REPLY,
    NULL_ARRAY,
    Attributed,
    BigNumber,
    Encoded,
    PairsReply,
    Push,
    Replies,
    SetReply,
    Verbatim,
)

cdef enum:
    INITIAL_CAPACITY = 16 * 1024
    KEPT_CAPACITY = 1024 * 1024

cdef object _ReplyError = ReplyError
cdef object _NULL_ARRAY = NULL_ARRAY
cdef object _NO_REPLY = NO_REPLY
cdef object _SetReply = SetReply
cdef object _PairsReply = PairsReply
cdef object _Push = Push
cdef object _Replies = Replies
cdef object _Verbatim = Verbatim
cdef object _Encoded = Encoded
cdef object _Attributed = Attributed
cdef object _BigNumber = BigNumber


cdef class ReplyWriter:
    def __cinit__(self):
        self.data = <char*>take(INITIAL_CAPACITY)
        if self.data == NULL:
            raise MemoryError
        self.capacity = INITIAL_CAPACITY

    def __dealloc__(self):
        release(self.data)

    cdef int grow(self, size_t more) except -1:
        cdef size_t capacity = self.capacity
        cdef char* data
        while self.length + more > capacity:
            capacity *= 2
        data = <char*>resize(self.data, capacity)
        if data == NULL:
            raise MemoryError
        self.data = data
        self.capacity = capacity
        return 0

    cdef void shrink(self) noexcept:
        """Give back what a big reply needed. Call when empty."""
        cdef char* data
        if self.capacity > KEPT_CAPACITY:
            data = <char*>resize(self.data, INITIAL_CAPACITY)
            if data != NULL:
                self.data = data
                self.capacity = INITIAL_CAPACITY

    cdef ReplyWriter hand_over(self):
        """What has been written, as it lies there, leaving this writer empty."""
        cdef ReplyWriter taken = ReplyWriter()
        cdef char* data
        taken.data, self.data = self.data, taken.data
        taken.capacity, self.capacity = self.capacity, taken.capacity
        taken.length, self.length = self.length, 0
        data = <char*>resize(taken.data, taken.length)
        if data != NULL:
            taken.data = data
            taken.capacity = taken.length
        return taken

    def __len__(self) -> int:
        return self.length

    cdef int bulk(self, const char* text, size_t length) except -1:
        self.reserve(length + MOST_AROUND)
        self.length = put_bulk(self.data + self.length, text, length) - self.data
        return 0

    cdef int null(self, int resp) except -1:
        if resp == 2:
            return self.raw(b"$-1\r\n", 5)
        return self.raw(b"_\r\n", 3)

    cdef int encode(self, object value, int resp) except -1:
        """Append one reply value. `resp` is the protocol version, 2 or 3."""
        cdef const char* text
        cdef Py_ssize_t length
        cdef type kind = type(value)
        if kind is bytes:
            self.bulk(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
        elif kind is int:
            self.line_of_int(c":", <int64_t>PyLong_AsUnsignedLongLongMask(value))
        elif value is None:
            self.null(resp)
        elif kind is str:
            text = PyUnicode_AsUTF8AndSize(value, &length)
            self.raw(b"+", 1)
            self.raw(text, length)
            self.raw(b"\r\n", 2)
        elif kind is list or kind is tuple:
            self.line_of_int(c"*", len(value))
            self.encode_items(value, resp)
        elif kind is bool:
            if resp == 2:
                self.raw(b":1\r\n" if value else b":0\r\n", 4)
            else:
                self.raw(b"#t\r\n" if value else b"#f\r\n", 4)
        elif kind is float:
            self.encode_float(value, resp)
        elif kind is dict:
            self.line_of_int(c"*" if resp == 2 else c"%", len(value) * (2 if resp == 2 else 1))
            for key, item in value.items():
                self.encode(key, resp)
                self.encode(item, resp)
        elif kind is _PairsReply:
            self.line_of_int(c"*" if resp == 2 else c"%", len(value.pairs) * (2 if resp == 2 else 1))
            for key, item in value.pairs:
                self.encode(key, resp)
                self.encode(item, resp)
        elif kind is _SetReply:
            self.line_of_int(c"*" if resp == 2 else c"~", len(value.items))
            self.encode_items(value.items, resp)
        elif kind is _Push:
            self.line_of_int(c"*" if resp == 2 else c">", len(value.items))
            self.encode_items(value.items, resp)
        elif kind is _Replies:
            self.encode_items(value.items, resp)
        elif kind is _Encoded:
            self.raw_object(value.data)
        elif kind is _Attributed:
            if resp == 3:
                self.line_of_int(c"|", len(value.pairs))
                for pair in value.pairs:
                    self.encode_items(pair, resp)
            self.encode(value.value, resp)
        elif kind is _Verbatim:
            self.encode_verbatim(value, resp)
        elif kind is _BigNumber:
            if resp == 2:
                self.encode(value.digits.encode(), resp)
            else:
                digits = b"(" + value.digits.encode() + b"\r\n"
                self.raw(digits, len(digits))
        elif value is _NULL_ARRAY:
            if resp == 2:
                self.raw(b"*-1\r\n", 5)
            else:
                self.raw(b"_\r\n", 3)
        elif value is _NO_REPLY:
            return 0
        elif isinstance(value, _ReplyError):
            self.encode_error(value.text)
        elif kind is memoryview or kind is bytearray:
            data = bytes(value)
            self.bulk(data, len(data))
        else:
            raise TypeError(f"not a reply value: {value!r}")
        return 0

    cdef int encode_items(self, object items, int resp) except -1:
        for item in items:
            self.encode(item, resp)
        return 0

    cdef int encode_error(self, str text) except -1:
        cdef bytes raw = text.encode("utf-8", "surrogateescape")
        self.raw(b"-", 1)
        self.raw(raw, len(raw))
        return self.raw(b"\r\n", 2)

    cdef int encode_verbatim(self, value, int resp) except -1:
        cdef bytes text = value.text
        if resp == 2:
            return self.bulk(text, len(text))
        return self.raw_object(b"=%d\r\n%b:%b\r\n" % (len(text) + 4, value.format.encode(), text))

    cdef int raw_object(self, bytes data) except -1:
        return self.raw(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cdef int encode_float(self, double value, int resp) except -1:
        cdef char text[DOUBLE_TEXT]
        cdef size_t length = print_double(value, text)
        if resp == 2:
            return self.bulk(text, length)
        self.raw(b",", 1)
        self.raw(text, length)
        return self.raw(b"\r\n", 2)

    def take(self) -> bytes:
        """What has been written, leaving the writer empty."""
        data = PyBytes_FromStringAndSize(self.data, self.length)
        self.length = 0
        self.shrink()
        return data

    def write(self, value, int resp) -> None:
        self.encode(value, resp)


def encode_reply(value, int resp=2) -> bytes:
    """One reply value as RESP bytes."""
    cdef ReplyWriter writer = ReplyWriter()
    writer.encode(value, resp)
    return writer.take()


def encode_command(argv) -> bytes:
    """A command as RESP bytes, the form in which it is replicated and logged."""
    parts = [b"*%d\r\n" % len(argv)]
    for argument in argv:
        parts.append(b"$%d\r\n%b\r\n" % (len(argument), argument))
    return b"".join(parts)
