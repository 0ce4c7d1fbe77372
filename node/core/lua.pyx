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
from cpython.bytes cimport PyBytes_GET_SIZE
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t

cdef extern from "<malloc.h>" nogil:
    int malloc_trim(size_t keep)

from node.core.lua_api cimport *
from node.core.lua_reply cimport ResultReader, load_for_replies
from node.core.lua_values cimport (
    LARGEST_COPY,
    PY_NONE,
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
from node.core.timing cimport monotonic_ns

from importlib.machinery import PathFinder
from importlib.util import find_spec

from node.errors import ReplyError
from node.scripting.conversion import format_number, to_lua
from node.scripting.errors import BAD_ARGUMENTS, NO_COMMAND, CallError, LuaError

cdef enum:
    HOOK_COUNT = 10_000      # instructions between two looks at the clock: one may be a call of C that takes long
    C_STACK = 8000           # slots a C function of Lua may have
    FAILED_TABLE = 1         # how a call of Python ended: an error for a field `err`,
    FAILED_TEXT = 2          # one for a string,
    DONE = 0                 # or a value

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
    cdef Lua lua = <Lua>owner(L)
    if lua.ask_command(L) == DONE:
        push_value(L, <PyObject*>lua.pending)
        return 1
    push_error_table(L, <PyObject*>lua.pending)
    return lua_error(L)


cdef int call_command_protected(lua_State* L) noexcept:
    """redis.pcall"""
    cdef Lua lua = <Lua>owner(L)
    if lua.ask_command(L) == DONE:
        push_value(L, <PyObject*>lua.pending)
    else:
        push_error_table(L, <PyObject*>lua.pending)
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


cdef int protected_run(lua_State* L) noexcept:
    """Run a script: `pending` is (handler, function, keys, arguments, table for KEYS and ARGV or None)."""
    cdef Lua lua = <Lua>owner(L)
    cdef PyObject* parts = <PyObject*>lua.pending
    cdef int arguments = 0
    lua.pending_args = lua.pending
    push_value(L, tuple_item(parts, 0))
    push_value(L, tuple_item(parts, 1))
    if tuple_item(parts, 4) == PY_NONE:
        push_value(L, tuple_item(parts, 2))
        push_value(L, tuple_item(parts, 3))
        arguments = 2
    else:
        push_value(L, tuple_item(parts, 4))
        lua_pushlstring(L, b"KEYS", 4)
        push_value(L, tuple_item(parts, 2))
        lua_rawset(L, -3)
        lua_pushlstring(L, b"ARGV", 4)
        push_value(L, tuple_item(parts, 3))
        lua_rawset(L, -3)
        lua_settop(L, -2)
    lua.killed = False
    lua.limited = True
    lua.status = lua_pcall(L, arguments, 1, 2)
    lua.limited = False
    if lua.status:
        lua.take_result(L, lua.keeper)
    elif lua_type(L, -1) != LUA_TTABLE:
        lua.take_reply(L, False)
    else:
        lua_replace(L, 1)
        lua_settop(L, 1)
        lua_checkstack(L, 64)
        lua.take_reply(L, False)
        if lua.results.needs_room:
            lua_checkstack(L, C_STACK - lua_gettop(L))
            lua.take_reply(L, True)
    return 0


@cython.final
cdef class Lua(State):
    """One Lua state. `memory_limit` in bytes; `on_interrupt()` returns None, or the text the script ends with."""

    cdef readonly int64_t memory
    cdef int64_t memory_limit
    cdef int64_t collect_above
    cdef public int64_t interrupt_at     # ns of the monotonic clock
    cdef public int resp                 # protocol of the script's replies and result
    cdef public object on_interrupt
    cdef public object on_command        # called with argv for redis.call; returns a reply value
    cdef readonly bint failed            # the last script has
    cdef bint limited                    # a script is running
    cdef readonly bint killed            # the script is to end: its error is on the way
    cdef int status
    cdef ResultReader results
    cdef object kill_text
    cdef object pending
    cdef object pending_args
    cdef list functions                  # what Lua holds by address
    cdef Function keeper

    def __cinit__(self, int64_t memory_limit, on_interrupt, on_command):
        load_library()
        self.memory_limit = memory_limit
        self.collect_above = memory_limit // 16
        self.on_interrupt = on_interrupt
        self.on_command = on_command
        self.resp = 2
        self.functions = []
        self.results = ResultReader()
        self.keeper = Function(None, depth=8, takes_functions=True)
        self.state = lua_newstate(allocate, <void*>self)
        if self.state == NULL:
            raise MemoryError
        luaL_openlibs(self.state)
        lua_sethook(self.state, on_count, MASK_COUNT, HOOK_COUNT)

    def __dealloc__(self):
        self.close()

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
        self.resp = 2
        self.pending = (handler, function, keys, args, globals_)
        result = self.protected(protected_run)
        if self.killed:
            self.killed = False
            lua_sethook(self.state, on_count, MASK_COUNT, HOOK_COUNT)
        if self.memory > self.collect_above:
            self.collect()
        self.failed = self.status != 0
        return result

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

    cdef int ask_command(self, lua_State* L) noexcept:
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
        except BaseException as bug:
            self.pending = f"ERR internal error: {type(bug).__name__}".encode()
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
