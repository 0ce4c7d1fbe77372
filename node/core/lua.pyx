"""A Lua state: what runs in it, and within what limits.

Lua reports errors by longjmp, which skips whatever C is on its way. So wherever Lua may raise, no frame owns a
Python object: Python is called first, its result kept in `pending`, its frame left; only then is anything pushed, from
borrowed references. Everything else runs inside `lua_cpcall`. The interpreter is never released meanwhile.

What values become on the other side is told in lua_values.pyx, for results of scripts in lua_reply.pyx.

Two limits hold while a script runs: its state may not grow beyond `memory_limit` (Lua raises "not enough memory"),
and every HOOK_COUNT instructions `on_interrupt()` is called once `interrupt_at` has passed; the bytes it returns
become an error that cannot be caught for long: the hook then strikes at each line.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t

cdef extern from "<malloc.h>" nogil:
    int malloc_trim(size_t keep)

from node.core.lua_api cimport *
from node.core.lua_reply cimport ResultReader, load_for_replies, truncated, write_plain
from node.core.lua_values cimport (
    LARGEST_COPY,
    Function,
    PyTuple_CheckExact,
    Ref,
    State,
    bytes_size,
    bytes_text,
    load_for_values,
    number_of,
    owner,
    push_bytes,
    push_error_table,
    push_value,
    reference,
    spend,
    text_at,
    tuple_item,
    tuple_size,
    value_at,
)
from node.core.memory cimport release, resize
from node.core.reply_writer cimport ReplyWriter
from node.core.request_reader cimport Span, spans_free, spans_push
from node.core.script_calls cimport ScriptCalls, load_for_calls, push_reply
from node.core.timing cimport monotonic_ns

from importlib.machinery import PathFinder
from importlib.util import find_spec

from node.errors import ReplyError
from node.scripting.conversion import format_number, to_lua
from node.scripting.errors import BAD_ARGUMENTS, NO_COMMAND, CallError, LuaError

cdef enum:
    HOOK_COUNT = 10_000      # instructions between two looks at the clock: one may be a call of C that takes long
    PLAIN_ITEMS = 100_000    # of a result that is written as it is read,
    PLAIN_LEVELS = 8
    PLAIN_SIZE = 64 << 20    # bytes
    C_STACK = 8000           # slots a C function of Lua may have
    NO_REF = -2              # no Ref has this number
    FAILED_TABLE = 1         # how a call of Python ended: an error for a field `err`,
    FAILED_TEXT = 2          # one for a string,
    DONE = 0                 # or a value,
    SERVED = 3               # or a reply that `calls` has

cdef bint _loaded = False


cdef int load_library() except -1:
    global _loaded
    cdef const char* missing
    if _loaded:
        return 0
    folders = find_spec("lupa").submodule_search_locations
    spec = PathFinder.find_spec("lua51", folders)
    if spec is None:
        raise ImportError("lupa has no Lua 5.1")
    path = spec.origin.encode()
    missing = lua_load(path)
    if missing == NULL:
        missing = load_for_calls(path)
    if missing == NULL:
        missing = load_for_values(path)
    if missing == NULL:
        missing = load_for_replies(path)
    if missing != NULL:
        raise ImportError(f"Lua 5.1 of lupa ({spec.origin}): {missing.decode()}")
    _loaded = True
    return 0


cdef void* allocate(void* ud, void* block, size_t before, size_t size) noexcept:
    cdef Lua lua = <Lua>ud
    cdef void* moved
    if size == 0:
        lua.memory -= before
        release(block)
        return NULL
    if lua.limited and size > before and lua.memory + <int64_t>(size - before) > lua.memory_limit:
        return NULL
    moved = resize(block, size)
    if moved != NULL:
        lua.memory += <int64_t>size - <int64_t>before
    return moved


cdef void on_count(lua_State* L, lua_Debug* ar) noexcept:
    """The hook: look whether the script has run long enough to be interrupted, or is to end."""
    cdef Lua lua = <Lua>owner(L)
    if not lua.killed:
        if lua_gethookmask(L) & MASK_LINE:  # of a script before
            lua_sethook(L, on_count, MASK_COUNT, HOOK_COUNT)
        if monotonic_ns() < lua.interrupt_at or not lua.limited:
            return
        if not lua.interrupted():
            return
        lua.killed = True
    lua_sethook(L, on_count, MASK_LINE, 0)
    push_error_table(L, <PyObject*>lua.kill_text)
    lua_error(L)


cdef bint all_plain(list items):
    """Whether they need no conversion."""
    for item in items:
        kind = type(item)
        if kind is not bytes and kind is not int and item is not None:
            return False
    return True


cdef int call_python(lua_State* L) noexcept:
    """A Function is called from Lua."""
    cdef Function function = <Function>lua_touserdata(L, FIRST_UPVALUE)
    cdef Lua lua = <Lua>owner(L)
    cdef PyObject* pending
    cdef Py_ssize_t i
    cdef int ended = lua.ask_python(L, function)
    pending = <PyObject*>lua.pending
    if ended == DONE:
        if not PyTuple_CheckExact(pending):
            push_value(L, pending)
            return 1
        if not lua_checkstack(L, <int>tuple_size(pending) + 4):
            lua_pushlstring(L, b"too many results to unpack", 26)
            return lua_error(L)
        for i in range(tuple_size(pending)):
            push_value(L, tuple_item(pending, i))
        return <int>tuple_size(pending)
    if ended == FAILED_TEXT:
        luaL_where(L, 1)
        push_bytes(L, pending)
        lua_concat(L, 2)
    else:
        push_error_table(L, pending)
    return lua_error(L)


cdef int call_command(lua_State* L) noexcept:
    """redis.call"""
    cdef int ended = (<Lua>owner(L)).execute(L)
    if ended == SERVED:
        push_reply(L, (<Lua>owner(L)).calls)
        return 1
    if ended == DONE:
        push_value(L, <PyObject*>(<Lua>owner(L)).pending)
        return 1
    push_error_table(L, <PyObject*>(<Lua>owner(L)).pending)
    return lua_error(L)


cdef int call_command_protected(lua_State* L) noexcept:
    """redis.pcall"""
    cdef int ended = (<Lua>owner(L)).execute(L)
    if ended == SERVED:
        push_reply(L, (<Lua>owner(L)).calls)
    elif ended == DONE:
        push_value(L, <PyObject*>(<Lua>owner(L)).pending)
    else:
        push_error_table(L, <PyObject*>(<Lua>owner(L)).pending)
    return 1


cdef int protected_load(lua_State* L) noexcept:
    """Compile `pending`, (source, name): a Ref of the function, or the message."""
    cdef Lua lua = <Lua>owner(L)
    cdef PyObject* source = tuple_item(<PyObject*>lua.pending, 0)
    cdef PyObject* name = tuple_item(<PyObject*>lua.pending, 1)
    lua.limited = True
    if luaL_loadbuffer(L, bytes_text(source), bytes_size(source), bytes_text(name)):
        lua.limited = False
        lua.take_result(L, lua.keeper)
    else:
        lua.limited = False
        lua.pending = reference(lua, luaL_ref(L, REGISTRY))
    return 0


cdef int protected_call(lua_State* L) noexcept:
    """Call `pending`, (Ref, its arguments): the one result."""
    cdef Lua lua = <Lua>owner(L)
    cdef PyObject* parts = <PyObject*>lua.pending
    cdef Py_ssize_t i
    lua.pending_args = lua.pending  # stays while its parts are pushed
    for i in range(tuple_size(parts)):
        push_value(L, tuple_item(parts, i))
    lua.status = lua_pcall(L, <int>tuple_size(parts) - 1, 1, 0)
    lua.take_result(L, lua.keeper)
    return 0


cdef void push_words(lua_State* L, const char* base, Span* words, size_t count) noexcept:
    """Push the table of these words."""
    cdef size_t i
    lua_createtable(L, <int>count, 0)
    for i in range(count):
        lua_pushlstring(L, base + words[i].start, words[i].length)
        lua_rawseti(L, -2, <int>i + 1)


cdef int start_script(lua_State* L) noexcept:
    """Give a script its keys and arguments, and call it. The argument is a Launch."""
    cdef Launch* launch = <Launch*>lua_touserdata(L, 1)
    if launch.globals_ == NO_REF:
        lua_rawgeti(L, REGISTRY, launch.function)
        push_words(L, launch.base, launch.words, launch.keys)
        push_words(L, launch.base, launch.words + launch.keys, launch.count - launch.keys)
        lua_call(L, 2, 1)
        return 1
    lua_rawgeti(L, REGISTRY, launch.globals_)
    lua_pushlstring(L, b"KEYS", 4)
    push_words(L, launch.base, launch.words, launch.keys)
    lua_rawset(L, -3)
    lua_pushlstring(L, b"ARGV", 4)
    push_words(L, launch.base, launch.words + launch.keys, launch.count - launch.keys)
    lua_rawset(L, -3)
    lua_rawgeti(L, REGISTRY, launch.function)
    lua_call(L, 0, 1)
    return 1


cdef int read_outcome(lua_State* L) noexcept:
    """What a script returned, or its error, which is the argument, into `pending`."""
    cdef Lua lua = <Lua>owner(L)
    if lua.status:
        lua.take_result(L, lua.keeper)
        return 0
    lua_checkstack(L, 64)
    lua.take_reply(L, False)
    if lua.results.needs_room:
        lua_checkstack(L, C_STACK - lua_gettop(L))
        lua.take_reply(L, True)
    return 0


cdef int write_plain_outcome(lua_State* L) noexcept:
    """Write what a script returned, which is the argument, for who waits for it."""
    (<Lua>owner(L)).write(L)
    return 0


@cython.final
cdef class Lua(State):
    """One Lua state. `memory_limit` in bytes; `on_interrupt()` returns None, or the text the script ends with.
    `on_command(argv)` returns the reply value of what redis.call was given, unless `calls` can do it without."""

    def __cinit__(self, int64_t memory_limit, on_interrupt, on_command, ScriptCalls calls=None):
        load_library()
        self.memory_limit = memory_limit
        self.collect_above = memory_limit // 16
        self.on_interrupt = on_interrupt
        self.on_command = on_command
        self.calls = calls
        self.resp = 2
        self.functions = []
        self.results = ResultReader()
        self.keeper = Function(None, depth=8, takes_functions=True)
        self.state = lua_newstate(allocate, <void*>self)
        if self.state == NULL:
            raise MemoryError
        luaL_openlibs(self.state)
        lua_sethook(self.state, on_count, MASK_COUNT, HOOK_COUNT)
        lua_pushcclosure(self.state, start_script, 0)
        self.starter = luaL_ref(self.state, REGISTRY)
        lua_pushcclosure(self.state, read_outcome, 0)
        self.reader = luaL_ref(self.state, REGISTRY)
        lua_pushcclosure(self.state, write_plain_outcome, 0)
        self.scribe = luaL_ref(self.state, REGISTRY)

    def __dealloc__(self):
        self.close()
        spans_free(&self.words)

    cpdef close(self):
        """Give back all memory at once: who refers to whom in here only a garbage collection would find out.
        Nothing may be called afterwards."""
        cdef lua_State* state = self.state
        self.state = NULL
        if state != NULL:
            lua_close(state)

    # --- for Python ----------------------------------------------------------------------------------

    def function(self, callable, **options):
        """A Function that lives as long as this state."""
        return self.keep(Function(callable, **options))

    def keep(self, Function function not None):
        """The same Function, which from now on lives as long as this state."""
        if function.entry == NULL:
            function.entry = call_python
        self.functions.append(function)
        return function

    def command_function(self, bint protected):
        """redis.call, or redis.pcall."""
        cdef Function made = self.function(None)
        made.entry = call_command_protected if protected else call_command
        return made

    def globals(self):
        """A Ref of the table of globals."""
        lua_pushvalue(self.state, GLOBALS)
        return reference(self, luaL_ref(self.state, REGISTRY))

    def load(self, bytes source not None, bytes name not None):
        """Compile a chunk called `name` (as luaL_loadbuffer has it): a Ref, or bytes that say why not."""
        self.pending = (source, name)
        return self.protected(protected_load)

    def call(self, Ref function not None, *args):
        """The first result of a Lua function. Raises LuaError. Not for scripts."""
        self.pending = (function, *args)
        result = self.protected(protected_call)
        if self.status:
            raise LuaError(result if type(result) is bytes else b"error object is not a string")
        return result

    def run(self, Ref handler not None, Ref function not None, list keys not None, list args not None, globals_):
        """Run a script: its reply value, or what `handler` made of its error if it has `failed`.

        `globals_`: a Ref of the table that gets KEYS and ARGV; None to call it with the two as arguments.
        """
        self.spread(keys, args)
        self.launch(handler, function, globals_, NULL, self.words.items, len(keys), self.words.count)
        return self.outcome()

    cdef int spread(self, list keys, list args) except -1:
        """Let `words` be where these are."""
        self.words.count = 0
        for words in (keys, args):
            for word in words:
                if spans_push(&self.words, <size_t>PyBytes_AS_STRING(word), PyBytes_GET_SIZE(word)) < 0:
                    raise MemoryError
        return 0

    cdef int launch(
        self, Ref handler, Ref function, Ref globals_, const char* base, Span* words, size_t keys, size_t count
    ) noexcept:
        """The same for words that lie at `base`, the first `keys` of them keys; they need not stay. What it comes to
        must be asked for: `write_outcome`, or `outcome`."""
        cdef lua_State* L = self.state
        self.launched.function = function.number
        self.launched.globals_ = NO_REF if globals_ is None else globals_.number
        self.launched.base, self.launched.words = base, words
        self.launched.keys, self.launched.count = keys, count
        self.resp = 2
        lua_rawgeti(L, REGISTRY, handler.number)
        lua_rawgeti(L, REGISTRY, self.starter)
        lua_pushlightuserdata(L, &self.launched)
        self.killed = False
        self.limited = True
        self.status = lua_pcall(L, 1, 1, 1)
        self.limited = False
        self.failed = self.status != 0
        return 0

    cdef bint write_outcome(self, ReplyWriter reply, int resp) except -1:
        """Write the reply that the script came to, if that is plain; else False, and `outcome` has it."""
        cdef lua_State* L = self.state
        cdef const char* text
        cdef size_t length
        cdef int kind
        if self.status:
            return False
        kind = lua_type(L, -1)
        if kind == LUA_TSTRING:
            text = lua_tolstring(L, -1, &length)
            reply.bulk(text, length)
        elif kind == LUA_TNUMBER:
            reply.line_of_int(c":", truncated(lua_tonumber(L, -1)))
        elif kind == LUA_TNIL:
            reply.null(resp)
        elif kind != LUA_TTABLE or self.resp != 2 or not self.write_table(reply, resp):
            return False
        self.clear()
        return True

    cdef bint write_table(self, ReplyWriter reply, int resp) except -1:
        cdef lua_State* L = self.state
        cdef size_t begin = reply.length
        cdef int top = lua_gettop(L)
        self.writer, self.writer_resp, self.written = reply, resp, False
        lua_rawgeti(L, REGISTRY, self.scribe)
        lua_pushvalue(L, -2)
        if lua_pcall(L, 1, 0, 0):
            self.written = False
        self.writer = None
        lua_settop(L, top)
        if not self.written:
            reply.length = begin
        return self.written

    cdef int write(self, lua_State* L) noexcept:
        cdef int items = PLAIN_ITEMS
        cdef size_t end = self.writer.length + PLAIN_SIZE
        try:
            self.written = write_plain(L, self.writer, self.writer_resp, end, &items, PLAIN_LEVELS)
        except MemoryError:
            self.written = False
        return 0

    cdef object outcome(self):
        """The reply value that the script came to, or what its handler made of its error."""
        cdef lua_State* L = self.state
        lua_rawgeti(L, REGISTRY, self.reader)
        lua_pushvalue(L, -2)
        if lua_pcall(L, 1, 0, 0):
            self.status = 1
            self.failed = True
            self.take_result(L, self.keeper)
        self.clear()
        result, self.pending, self.pending_args = self.pending, None, None
        return result

    cdef int clear(self) except -1:
        """Make ready for the next script."""
        lua_settop(self.state, 0)
        if self.killed:
            self.killed = False
            lua_sethook(self.state, on_count, MASK_COUNT, HOOK_COUNT)
        if self.memory > self.collect_above:
            self.collect()
        return 0

    def collect(self):
        """Free what is not used any more, and give it back to the system."""
        lua_gc(self.state, GC_COLLECT, 0)
        malloc_trim(0)
        self.collect_above = max(self.memory_limit // 16, 2 * self.memory)

    cdef object protected(self, lua_CFunction function):
        cdef int failed
        self.status = 0
        failed = lua_cpcall(self.state, function, NULL)
        self.limited = False
        if failed:
            self.status = failed
            self.take_result(self.state, self.keeper)
            lua_settop(self.state, 0)
        result, self.pending, self.pending_args = self.pending, None, None
        return result

    # --- for Lua: each leaves its result in `pending` and raises nothing -------------------------------

    cdef bint interrupted(self) noexcept:
        """Whether the script is to end, with `kill_text`."""
        try:
            self.kill_text = self.on_interrupt()
        except BaseException as bug:
            self.kill_text = f"ERR internal error: {type(bug).__name__}".encode()
        return self.kill_text is not None

    cdef int ask_python(self, lua_State* L, Function function) noexcept:
        cdef int i
        cdef size_t budget = LARGEST_COPY
        cdef list args = []
        try:
            for i in range(1, lua_gettop(L) + 1):
                args.append(value_at(L, i, function.depth, function, &budget))
            self.pending = function.callable(*args)
        except CallError as error:
            error.__traceback__ = None  # some are constants, which would keep the frames of every raise
            self.pending = error.text
            return FAILED_TABLE
        except LuaError as error:
            error.__traceback__ = None
            self.pending = error.text
            return FAILED_TEXT
        except BaseException as bug:
            self.pending = f"internal error: {type(bug).__name__}".encode()
            return FAILED_TEXT
        return DONE

    cdef int execute(self, lua_State* L) noexcept:
        """redis.call. SERVED: the reply is with `calls`."""
        try:
            if self.calls is not None:
                if self.calls.serve(L):
                    return SERVED
                self.calls.prepare_once()
            return self.ask_command(L)
        except BaseException as bug:
            self.pending = f"ERR internal error: {type(bug).__name__}".encode()
        return FAILED_TABLE

    cdef int ask_command(self, lua_State* L) except -1:
        cdef int i, kind
        cdef size_t budget = LARGEST_COPY
        cdef list argv = []
        try:
            for i in range(1, lua_gettop(L) + 1):
                kind = lua_type(L, i)
                if kind == LUA_TSTRING:
                    text = text_at(L, i)
                    spend(&budget, PyBytes_GET_SIZE(text))
                    argv.append(text)
                elif kind == LUA_TNUMBER:
                    number = number_of(lua_tonumber(L, i))
                    argv.append(format_number(number))
                else:
                    raise BAD_ARGUMENTS
            if not argv:
                raise NO_COMMAND
            return self.take_command_reply(self.on_command(argv))
        except CallError as error:
            error.__traceback__ = None  # some are constants, which would keep the frames of every raise
            self.pending = error.text
        except LuaError as error:
            error.__traceback__ = None
            self.pending = b"ERR " + error.text
        return FAILED_TABLE

    cdef int take_command_reply(self, value) except -1:
        kind = type(value)
        if kind is bytes or kind is int:
            self.pending = value
        elif kind is ReplyError:
            self.pending = value.raw
            return FAILED_TABLE
        elif self.resp == 2 and kind is list and all_plain(<list>value):
            self.pending = value
        else:
            self.pending = to_lua(value, self.resp)
        return DONE

    cdef int take_result(self, lua_State* L, Function function) noexcept:
        cdef size_t budget = LARGEST_COPY
        try:
            self.pending = value_at(L, lua_gettop(L), function.depth, function, &budget)
        except BaseException as bug:
            self.pending = str(bug).encode()
        return 0

    cdef int take_reply(self, lua_State* L, bint again) noexcept:
        """The script's result, on top of the stack, as a reply value."""
        self.pending = self.results.read(L, self.resp, again)
        return 0
