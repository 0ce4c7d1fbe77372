"""Frame scanners for requests and replies; see frames.pxd.

What is accepted and which error is given follows Redis' networking.c: bounds on lengths, the strict number
format of string2ll (no plus, no leading zeros, no spaces), and limits on lines that do not end. Redis takes
any two bytes
for the CRLF after a header or an argument. So do we, but mark the frame irregular: such a frame must not
reach a worker as it is, because there it would share a connection with everybody else's requests.

Reply types: RESP3 specification
(https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md). Nesting needs no stack: a count
of values still to come grows by what an aggregate announces.
"""

from libc.stdint cimport int64_t
from libc.string cimport memchr, memset

from node.core.lengths cimport short_length
from node.words import UnbalancedQuotes, split_words

cdef enum:
    LINE_MAX = 65536        # bytes of a header or inline command that may come without an end (Redis' value)
    DIGITS_MAX = 20         # of a length: more cannot fit 64 bits

cdef RequestLimits DEFAULT_LIMITS = RequestLimits(2147483647, 512 * 1024 * 1024)


cdef bint read_number(const char* digits, const char* end, long long* number) noexcept nogil:
    """The decimal number that fills [digits, end), by the rules of string2ll. False if it is none."""
    cdef bint negative = False
    cdef long long value = 0
    if digits < end and digits[0] == c"-":
        negative = True
        digits += 1
    if digits >= end or end - digits >= DIGITS_MAX - 1:
        return False
    if digits[0] == c"0":
        number[0] = 0
        return not negative and digits + 1 == end
    while digits < end:
        if digits[0] < c"0" or digits[0] > c"9":
            return False
        value = value * 10 + (digits[0] - c"0")
        digits += 1
    number[0] = -value if negative else value
    return True


cdef int broken(RequestScan* scan, const char* error) noexcept nogil:
    scan.error = error
    return BROKEN


cdef int scan_request(
    const char* frame, Py_ssize_t available, RequestScan* scan, RequestLimits* limits
) noexcept nogil:
    cdef const char* end
    cdef const char* line
    cdef long long length
    if available == 0:
        return NEED_MORE
    if frame[0] != c"*":
        return scan_inline(frame, available, scan)
    if scan.at == 0:
        end = short_length(frame + 1, frame + available, <int64_t*>&length)
        if end == NULL:
            end = <const char*>memchr(frame, c"\r", available)
            if end == NULL:
                if available > LINE_MAX:
                    return broken(scan, "too big mbulk count string")
                return NEED_MORE
            if end + 2 > frame + available:
                return NEED_MORE
            if not read_number(frame + 1, end, &length):
                return broken(scan, "invalid multibulk length")
        if length > 2147483647:
            return broken(scan, "invalid multibulk length")
        if length > limits.arguments:
            return broken(scan, "unauthenticated multibulk length")
        scan.irregular = end[1] != c"\n"
        scan.at = end + 2 - frame
        scan.argc = length
        if length <= 0:
            return EMPTY
    while scan.seen < scan.argc:
        line = frame + scan.at
        if line >= frame + available:
            return NEED_MORE
        if line[0] != c"$":
            scan.culprit = line[0]
            return broken(scan, "expected '$', got '%c'")
        end = short_length(line + 1, frame + available, <int64_t*>&length)
        if end == NULL:
            end = <const char*>memchr(line, c"\r", frame + available - line)
            if end == NULL:
                if frame + available - line > LINE_MAX:
                    return broken(scan, "too big bulk count string")
                return NEED_MORE
            if not read_number(line + 1, end, &length) or length < 0:
                return broken(scan, "invalid bulk length")
        if length > 512 * 1024 * 1024:
            return broken(scan, "invalid bulk length")
        if length > limits.bulk:
            return broken(scan, "unauthenticated bulk length")
        line = end + 2
        if frame + available - line < length + 2:
            return NEED_MORE
        if end[1] != c"\n" or line[length] != c"\r" or line[length + 1] != c"\n":
            scan.irregular = True
        if scan.seen < KEPT_ARGS:
            scan.args[scan.seen].at = line - frame
            scan.args[scan.seen].length = length
        scan.seen += 1
        scan.at = line + length + 2 - frame
    return COMPLETE


cdef inline bint is_space(char character) noexcept nogil:
    return character == c" " or c"\t" <= character <= c"\r"


cdef int scan_inline(const char* frame, Py_ssize_t available, RequestScan* scan) noexcept nogil:
    """One line, ended by LF or CRLF. Its words are found by `request_arguments`."""
    cdef const char* end = <const char*>memchr(frame + scan.at, c"\n", available - scan.at)
    if end == NULL:
        scan.at = available
        return broken(scan, "too big inline request") if available > LINE_MAX else NEED_MORE
    scan.irregular = True
    scan.argc = 0
    scan.at = end + 1 - frame
    while frame < end and frame[0] != 0:
        if not is_space(frame[0]):
            return COMPLETE
        frame += 1
    return EMPTY


cdef inline bint is_line(char kind) noexcept nogil:
    """Types of which a reply is one line and nothing else."""
    return (
        kind == c"+" or kind == c"-" or kind == c":" or kind == c"_" or kind == c"," or kind == c"#"
        or kind == c"("
    )


cdef int scan_reply(const char* frame, Py_ssize_t available, ReplyScan* scan) noexcept nogil:
    cdef const char* limit = frame + available
    cdef const char* at = frame + scan.at
    cdef const char* end
    cdef long long length
    if not scan.begun:
        scan.begun = True
        scan.missing = 1
    while scan.missing > 0:
        if at >= limit:
            return NEED_MORE
        if at[0] == c"$":
            end = short_length(at + 1, limit, <int64_t*>&length)
            if end != NULL and end[1] == c"\n":
                if limit - (end + 2) < length + 2:
                    return NEED_MORE
                at = end + 2 + length + 2
                scan.missing -= 1
                scan.at = at - frame
                continue
        end = <const char*>memchr(at, c"\n", limit - at)
        if end == NULL:
            return NEED_MORE
        if is_line(at[0]):
            scan.missing -= 1
            at = end + 1
        else:
            if end - at < 3 or not read_number(at + 1, end - 1, &length) or length < -1:
                return BROKEN
            if at[0] == c"$" or at[0] == c"=" or at[0] == c"!":
                if length >= 0:
                    if limit - (end + 1) < length + 2:
                        return NEED_MORE
                    end += length + 2
                scan.missing -= 1
            elif length > 2147483647:
                return BROKEN
            elif at[0] == c"*" or at[0] == c"~" or at[0] == c">":
                scan.missing += max(length, 0) - 1
            elif at[0] == c"%":
                scan.missing += 2 * max(length, 0) - 1
            elif at[0] == c"|":  # an attribute belongs to the value that follows it
                scan.missing += 2 * max(length, 0)
            else:
                return BROKEN
            at = end + 1
        scan.at = at - frame
    return COMPLETE


class ProtocolError(ValueError):
    """A frame that is not RESP. The text is what Redis says after `ERR Protocol error: `."""


cdef str error_text(RequestScan* scan):
    cdef str text = scan.error.decode("ascii")
    if "%c" in text:
        text = text.replace("%c", chr(<unsigned char>scan.culprit))
    return text


def request_arguments(bytes frame not None) -> list:
    """The arguments of one complete request, given as an array or inline. Raises ProtocolError."""
    cdef list argv = []
    cdef const char* data = frame
    cdef const char* end
    cdef const char* at
    cdef const char* limit = data + len(frame)
    cdef long long length
    if not frame.startswith(b"*"):
        try:
            return split_words(frame)
        except UnbalancedQuotes:
            raise ProtocolError("unbalanced quotes in request") from None
    at = <const char*>memchr(data, c"\r", len(frame)) + 2
    while at < limit:
        end = <const char*>memchr(at, c"\r", limit - at)
        read_number(at + 1, end, &length)
        argv.append(end[2:2 + length])
        at = end + 2 + length + 2
    return argv


def reply_elements(bytes reply not None) -> list:
    """The elements of one array, set, push or map reply, each still as its raw bytes. Empty for a null array.

    Raises ProtocolError if `reply` is anything else.
    """
    cdef const char* data = reply
    cdef const char* end = <const char*>memchr(data, c"\n", len(reply))
    cdef const char* limit = data + len(reply)
    cdef long long announced
    cdef ReplyScan scan
    cdef list elements = []
    cdef bint aggregate = data[0] in (c"*", c"~", c">", c"%")
    if end == NULL or not aggregate or not read_number(data + 1, end - 1, &announced):
        raise ProtocolError("an aggregate reply was expected")
    end += 1
    while end < limit:
        memset(&scan, 0, sizeof(scan))
        if scan_reply(end, limit - end, &scan) != COMPLETE:
            raise ProtocolError("a reply breaks off")
        elements.append(end[:scan.at])
        end += scan.at
    if len(elements) != max(announced, 0) * (2 if data[0] == c"%" else 1):
        raise ProtocolError("a reply breaks off")
    return elements


cdef class RequestScanner:
    """The request scanner as a Python object, for tests: feed bytes, take (argv, irregular) out.

    `unauthenticated` applies the limits for clients that still owe a password.
    """

    cdef RequestScan scan
    cdef bytearray pending
    cdef RequestLimits limits

    def __cinit__(self, bint unauthenticated=False):
        self.pending = bytearray()
        memset(&self.scan, 0, sizeof(self.scan))
        self.limits = RequestLimits(10, 16384) if unauthenticated else DEFAULT_LIMITS

    def feed(self, bytes data not None) -> list:
        """The requests that `data` completes, as (arguments, irregular). Raises ProtocolError."""
        cdef list found = []
        cdef int result
        cdef bytes frame
        self.pending += data
        while True:
            frame = bytes(self.pending)
            result = scan_request(frame, len(frame), &self.scan, &self.limits)
            if result == BROKEN:
                raise ProtocolError(error_text(&self.scan))
            if result == NEED_MORE:
                return found
            if result == COMPLETE:
                found.append((request_arguments(frame[:self.scan.at]), bool(self.scan.irregular)))
            del self.pending[:self.scan.at]
            memset(&self.scan, 0, sizeof(self.scan))


cdef class ReplyScanner:
    """The reply scanner as a Python object: feed bytes, take whole replies out as raw bytes."""

    cdef ReplyScan scan
    cdef bytearray pending

    def __cinit__(self):
        self.pending = bytearray()
        memset(&self.scan, 0, sizeof(self.scan))

    def feed(self, bytes data not None) -> list:
        """The replies that `data` completes. Raises ProtocolError if it cannot be a reply."""
        cdef list found = []
        cdef int result
        cdef bytes frame
        self.pending += data
        while True:
            frame = bytes(self.pending)
            result = scan_reply(frame, len(frame), &self.scan)
            if result == BROKEN:
                raise ProtocolError("not a reply")
            if result == NEED_MORE:
                return found
            found.append(frame[:self.scan.at])
            del self.pending[:self.scan.at]
            memset(&self.scan, 0, sizeof(self.scan))
