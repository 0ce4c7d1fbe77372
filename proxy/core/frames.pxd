"""Where does this request, this reply, end? Found in place, without building anything.

Both scanners work on a frame that begins at `frame` and of which `available` bytes have arrived. A scan
struct of zeros stands before the first byte. NEED_MORE is a value, not an error: call again with the same
struct and more bytes (at whatever address), and scanning continues where it stopped, so that a frame of a
million arguments arriving in a thousand pieces is read once, not a thousand times.
"""

cdef enum:
    KEPT_ARGS = 6           # spans of the first arguments: enough for the name and the key of any command

cdef enum Scanned:
    NEED_MORE = 0
    COMPLETE = 1            # scan.at is the length of the frame
    EMPTY = 2               # likewise, but it asks for nothing (`*0`, a blank line) and gets no answer
    BROKEN = -1             # not RESP; for a request scan.error says it in Redis' words

cdef struct Span:
    Py_ssize_t at           # offset from the beginning of the frame
    Py_ssize_t length

cdef struct RequestLimits:
    long long arguments     # most elements of a request
    long long bulk          # longest argument in bytes

cdef struct RequestScan:
    Py_ssize_t at           # the next byte to look at
    long long argc          # elements the frame declares; words of an inline command
    long long seen          # elements found so far
    bint irregular          # inline, or not to a strict reader's taste: to be forwarded, encode it anew
    Span args[KEPT_ARGS]
    const char* error
    char culprit            # the character that stood for '$', where the error names it

cdef struct ReplyScan:
    Py_ssize_t at
    long long missing       # values that must still come, this one and those nested in it
    bint begun

cdef int scan_request(
    const char* frame, Py_ssize_t available, RequestScan* scan, RequestLimits* limits
) noexcept nogil

# After BROKEN: what Redis says after `ERR Protocol error: `.
cdef str error_text(RequestScan* scan)

cdef int scan_reply(const char* frame, Py_ssize_t available, ReplyScan* scan) noexcept nogil
