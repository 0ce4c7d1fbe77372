"""What redis.call does without Python: a command whose row has a compiled handler goes to it straight from Lua's stack.

The words of the request are Lua's own strings where they lie, which stay while the function is called; the reply is
written behind the replies of the clients, read from there into Lua, and forgotten. So no object is made.

Everything that needs a look takes the other way, `Calls.execute` of node/scripting, which is complete and tells what
is wrong: a gate that is closed, a caller with restricted rights, a write in a script that may not, keys that are not
plainly here, RESP3, wrong arity, and whatever the compiled handler itself leaves to the Python handler.
"""

from libc.stdint cimport int64_t

from node.core.double_digits cimport DOUBLE_TEXT, print_double
from node.core.command_rows cimport row_called
from node.core.engine cimport DIRECT, Client, Engine, Request, Row
from node.core.keyspace cimport make_key
from node.core.lua_api cimport *
from node.core.lua_values cimport Ref
from node.core.memory cimport release, resize
from node.core.request_reader cimport spans_push

from node.core.command_rows import GATE_RESTRICTED, GATE_TRACKING

cdef unsigned int TRACKING = GATE_TRACKING
cdef unsigned int RESTRICTED = GATE_RESTRICTED


cdef const char* load_for_calls(const char* path) noexcept:
    """`lua_load`: each compiled file has functions of Lua of its own."""
    return lua_load(path)


cdef class Runnable:
    """A script or a function. `flags`: what it declares, None for nothing at all. `globals_`: what gets its KEYS and
    ARGV, None for a function, which gets them as arguments. `report`: makes an error of what Lua raised."""

    def __init__(self, str name not None, bytes source not None, Ref function not None, flags, Ref report, Ref globals_):
        self.name = name
        self.digest = name.encode()
        self.source = source
        self.function = function
        self.flags = flags
        self.report = report
        self.globals_ = globals_
        # What declares no flags may cross slots, and nothing else that a flag would allow.
        self.is_read_only = flags is not None and "no-writes" in flags
        self.may_exceed_memory = flags is not None and "allow-oom" in flags
        self.may_cross_slots = flags is None or "allow-cross-slot-keys" in flags

    @property
    def kind(self) -> str:
        """By the command that kills it: SCRIPT or FUNCTION."""
        return "FUNCTION" if self.globals_ is None else "SCRIPT"


cdef class ScriptCalls:
    """The state of the script that is running, as far as its commands depend on it, and the way of those that are
    compiled. `client` executes them; it is no connection's."""

    def __cinit__(self, Client client not None, bint clustered, *of_subclasses):
        self.engine = client.engine
        self.client = client
        self.clustered = clustered
        self.slot = -1

    def __dealloc__(self):
        release(self.numbers)

    cdef int begin(self, Client caller, Runnable script, bint read_only) except -1:
        """`caller` has sent `script`; the calls from here on are its."""
        cdef Client client = self.client
        client.db = caller.db
        client.resp = 2
        client.obeyed, client.replicated = caller.obeyed, caller.replicated
        client.gate = caller.gate & TRACKING
        self.caller = caller
        self.restricted = caller.gate & RESTRICTED != 0
        self.script = script
        self.read_only = read_only or script.is_read_only
        self.wrote = False
        self.slot = -1
        return 0

    cdef int end(self) except -1:
        """The script has come to its end."""
        if self.prepared:
            self.dismiss()
            self.prepared = False
        self.caller = None
        self.script = None
        return 0

    cpdef prepare_once(self):
        """Let `client` be all that the caller is. Compiled handlers do without."""
        if not self.prepared:
            self.prepared = True
            self.prepare()

    def prepare(self):
        """For who has more to take over."""

    def dismiss(self):
        """The opposite."""

    cdef bint serve(self, lua_State* L) except -1:
        """Execute the command on Lua's stack. True: its reply is to be had by `push_reply`. False: nothing has
        happened."""
        cdef Engine engine = self.engine
        cdef Client client = self.client
        cdef Request request
        cdef Row* row
        cdef const char* name
        cdef size_t length
        cdef int count = lua_gettop(L)
        cdef bint done = False
        if client.resp != 2 or count == 0 or lua_type(L, 1) != LUA_TSTRING:
            return False
        name = lua_tolstring(L, 1, &length)
        row = row_called(engine, name, length)
        if (
            row == NULL
            or row.compiled == NULL
            or not row.in_scripts
            or (client.gate | engine.gate) & row.mask
            or (count != row.arity if row.arity > 0 else count < -row.arity)
            or (row.is_write and self.read_only)
            or self.restricted
        ):
            return False
        cdef size_t kept = engine.spans.count
        request.row = row
        request.base = NULL      # words lie anywhere: spans hold their addresses
        request.first = kept
        request.count = count
        request.is_inline = True # there is no frame, as there is none of a line
        request.is_line = False
        try:
            if self.read_words(L, &request, count) and self.is_in_slot(&request):
                self.reply_begin = engine.reply.length
                self.wrote |= row.is_write
                done = engine.serve_within(client, &request)
        finally:
            engine.spans.count = kept
        return done

    cdef bint read_words(self, lua_State* L, Request* request, int count) except -1:
        """Let the request's words be what is on Lua's stack. False: that takes a look."""
        cdef Engine engine = self.engine
        cdef const char* text
        cdef char* digits
        cdef double number
        cdef size_t length
        cdef int kind, i
        for i in range(1, count + 1):
            kind = lua_type(L, i)
            if kind == LUA_TSTRING:
                text = lua_tolstring(L, i, &length)
            elif kind == LUA_TNUMBER:
                number = lua_tonumber(L, i)
                if number != number or number == 0 or not self.have_room(count):
                    return False
                digits = self.numbers + i * DOUBLE_TEXT
                length = print_double(number, digits)
                text = digits
            else:
                return False
            if i == request.row.first_key + 1 and i > 1:
                make_key(&request.key, text, length)
            if spans_push(&engine.spans, <size_t>text, length) < 0:
                return False
        return True

    cdef bint have_room(self, int count) noexcept:
        cdef void* numbers
        if count >= self.number_room:
            numbers = resize(self.numbers, (count + 1) * DOUBLE_TEXT)
            if numbers == NULL:
                return False
            self.numbers = <char*>numbers
            self.number_room = count + 1
        return True

    cdef bint is_in_slot(self, Request* request) noexcept:
        """Whether the keys are where the script's others are, as far as that matters."""
        if not self.clustered or request.row.first_key == 0 or self.client.obeyed:
            return True
        if request.key.slot != self.slot and self.slot != -1 and not self.script.may_cross_slots:
            return False
        self.slot = request.key.slot
        return True


# --- replies -----------------------------------------------------------------------------------------------------


cdef void push_reply(lua_State* L, ScriptCalls calls) noexcept:
    """Push the reply of the command that was served last. Lua raises where it has no memory for it: it is forgotten
    before."""
    calls.engine.reply.length = calls.reply_begin
    push_value(L, calls.engine.reply.data + calls.reply_begin)


cdef const char* push_value(lua_State* L, const char* reply) noexcept:
    """Push the Lua value of a reply in RESP2, whose end is returned."""
    cdef const char* text
    cdef int64_t number, i
    cdef char kind = reply[0]
    if kind == c"$":
        text = read_number(reply + 1, &number)
        if number < 0:
            lua_pushboolean(L, False)
            return text
        lua_pushlstring(L, text, number)
        return text + number + 2
    if kind == c":":
        text = read_number(reply + 1, &number)
        lua_pushnumber(L, <double>number)
        return text
    if kind == c"*":
        text = read_number(reply + 1, &number)
        if number < 0:
            lua_pushboolean(L, False)
            return text
        lua_createtable(L, <int>number, 0)
        for i in range(number):
            text = push_value(L, text)
            lua_rawseti(L, -2, <int>i + 1)
        return text
    text = reply + 1
    while text[0] != c"\r":
        text += 1
    lua_createtable(L, 0, 1)
    lua_pushlstring(L, b"err" if kind == c"-" else b"ok", 3 if kind == c"-" else 2)
    lua_pushlstring(L, reply + 1, text - reply - 1)
    lua_rawset(L, -3)
    return text + 2


cdef const char* read_number(const char* digits, int64_t* number) noexcept:
    """A line that is an integer; returns the start of the next."""
    cdef bint negative = digits[0] == c"-"
    cdef unsigned long long magnitude = 0
    if negative:
        digits += 1
    while digits[0] != c"\r":
        magnitude = magnitude * 10 + (digits[0] - c"0")
        digits += 1
    number[0] = <int64_t>(0 - magnitude) if negative else <int64_t>magnitude
    return digits + 2
