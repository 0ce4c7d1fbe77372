"""A Lua state, and values across its border.

Lua reports errors by longjmp, which skips whatever C is on its way. So wherever Lua may raise, no frame owns a
Python object: Python is called first, its result kept in `pending`, its frame left; only then is anything pushed, from
borrowed references. Everything else runs inside `lua_cpcall`. The interpreter is never released meanwhile.

Python values for Lua: None, bool, int, float, bytes, list (None in it is false), dict, NULL_VALUE (the empty
light userdata), Ref, Function. Lua values for Python are the same; a table is a `Table` of as many levels as were
asked for, and a function, unless a Ref of it was wanted, an `Opaque` that knows its type.

Two limits hold while a script runs: its state may not grow beyond `memory_limit` (Lua raises "not enough memory"),
and every HOOK_COUNT instructions `on_interrupt()` is called once `interrupt_at` has passed; the bytes it returns
become an error that cannot be caught for long: the hook then strikes at each line.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t

cdef extern from "<malloc.h>" nogil:
    int malloc_trim(size_t keep)

from node.core.lua_api cimport *
from node.core.memory cimport release, resize
from node.core.timing cimport monotonic_ns

import math
from importlib.machinery import PathFinder
from importlib.util import find_spec

from node.errors import ReplyError, one_line
from node.replies import BigNumber, PairsReply, SetReply, Verbatim
from node.scripting.conversion import format_number, to_lua, truncated
from node.scripting.errors import BAD_ARGUMENTS, NO_COMMAND, CallError, LuaError

cdef extern from "<Python.h>":
    bint PyBytes_CheckExact(PyObject*)
    bint PyLong_CheckExact(PyObject*)
    bint PyFloat_CheckExact(PyObject*)
    bint PyList_CheckExact(PyObject*)
    bint PyTuple_CheckExact(PyObject*)
    bint PyDict_CheckExact(PyObject*)
    bint PyDict_Next(PyObject*, Py_ssize_t*, PyObject**, PyObject**)
    char* bytes_text "PyBytes_AS_STRING"(PyObject*)
    Py_ssize_t bytes_size "PyBytes_GET_SIZE"(PyObject*)
    double PyFloat_AS_DOUBLE(PyObject*)
    double long_as_double "PyLong_AsDouble"(PyObject*)
    PyObject* list_item "PyList_GET_ITEM"(PyObject*, Py_ssize_t)
    Py_ssize_t list_size "PyList_GET_SIZE"(PyObject*)
    PyObject* tuple_item "PyTuple_GET_ITEM"(PyObject*, Py_ssize_t)
    Py_ssize_t tuple_size "PyTuple_GET_SIZE"(PyObject*)
    Py_ssize_t dict_size "PyDict_Size"(PyObject*)
    void* type_of "(void *)Py_TYPE"(PyObject*)
    PyObject* PY_NONE "Py_None"
    PyObject* PY_TRUE "Py_True"
    PyObject* PY_FALSE "Py_False"
    void PyErr_Clear()

cdef enum:
    HOOK_COUNT = 10_000      # instructions between two looks at the clock: one may be a call of C that takes long
    REPLY_SLOTS = 7995       # levels of a result: where Redis finds Lua's stack full
    REPLY_ENDS = 1000        # of that kind, before the whole result is refused
    C_STACK = 8000           # slots a C function of Lua may have
    LARGEST_COPY = 1 << 30   # bytes that arguments or a result may become in Python
    NODE_COST = 64
    FAILED_TABLE = 1         # how a call of Python ended: an error for a field `err`,
    FAILED_TEXT = 2          # one for a string,
    DONE = 0                 # or a value
    PLAIN = 0                # what a Function is: any callable,
    CALL = 1                 # redis.call,
    PCALL = 2                # redis.pcall

STACK_LIMIT = "reached lua stack limit"
cdef object ARRAY = object()


class NeedsRoom(Exception):
    """A result is more deeply nested than the stack was prepared for."""


@cython.final
cdef class Null:
    """Lua's NULL as a light userdata: cjson.null."""

NULL_VALUE = Null()


@cython.final
cdef class Table:
    """What a Lua table holds: (key, value) in Lua's own order. Empty where it lies too deep."""
    cdef readonly list pairs
    type_name = "table"

    def __init__(self, list pairs not None):
        self.pairs = pairs


@cython.final
cdef class Opaque:
    """A Lua value that does not cross the border, by the name of its type."""
    cdef readonly str type_name

    def __init__(self, str type_name):
        self.type_name = type_name


@cython.final
cdef class Ref:
    """A Lua function that Python keeps."""
    cdef Lua lua
    cdef int number
    type_name = "function"

    def __dealloc__(self):
        if self.lua is not None and self.lua.state != NULL_STATE:
            luaL_unref(self.lua.state, REGISTRY, self.number)


@cython.final
cdef class Function:
    """A callable for Lua. `depth`: levels of tables it is given, LuaError beyond if `too_deep` words one.
    `takes_functions`: as Refs."""
    cdef object callable
    cdef int depth
    cdef object too_deep
    cdef bint takes_functions
    cdef int kind

    def __init__(self, callable, int depth=1, too_deep=None, bint takes_functions=False):
        self.callable = callable
        self.depth = depth
        self.too_deep = too_deep
        self.takes_functions = takes_functions


cdef lua_State* NULL_STATE = NULL
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
    missing = lua_load(spec.origin.encode())
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


cdef inline void* owner(lua_State* L) noexcept:
    cdef void* ud
    lua_getallocf(L, &ud)
    return ud


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


cdef void push_bytes(lua_State* L, PyObject* text) noexcept:
    lua_pushlstring(L, bytes_text(text), bytes_size(text))


cdef void push_error_table(lua_State* L, PyObject* text) noexcept:
    lua_createtable(L, 0, 2)
    lua_pushlstring(L, b"err", 3)
    push_bytes(L, text)
    lua_rawset(L, -3)
    lua_pushlstring(L, b"ignore_error_stats_update", 25)
    lua_pushboolean(L, True)
    lua_rawset(L, -3)


cdef void push_value(lua_State* L, PyObject* value) noexcept:
    """Push a Python value; raises in Lua if there is no room for it. Owns no reference."""
    cdef Py_ssize_t i = 0
    cdef PyObject* key
    cdef PyObject* item
    if PyBytes_CheckExact(value):
        push_bytes(L, value)
    elif PyLong_CheckExact(value):
        lua_pushnumber(L, long_as_double(value))
    elif value == PY_NONE:
        lua_pushnil(L)
    elif value == PY_TRUE or value == PY_FALSE:
        lua_pushboolean(L, value == PY_TRUE)
    elif PyFloat_CheckExact(value):
        lua_pushnumber(L, PyFloat_AS_DOUBLE(value))
    elif PyList_CheckExact(value):
        make_room(L)
        lua_createtable(L, <int>list_size(value), 0)
        for i in range(list_size(value)):
            item = list_item(value, i)
            if item == PY_NONE:
                lua_pushboolean(L, False)
            else:
                push_value(L, item)
            lua_rawseti(L, -2, <int>i + 1)
    elif PyDict_CheckExact(value):
        make_room(L)
        lua_createtable(L, 0, <int>dict_size(value))
        while PyDict_Next(value, &i, &key, &item):
            push_value(L, key)
            push_value(L, item)
            lua_rawset(L, -3)
    elif type_of(value) == <void*>Table:
        make_room(L)
        lua_createtable(L, 0, 0)
        push_pairs(L, <PyObject*>(<Table>value).pairs)
    elif type_of(value) == <void*>Function:
        lua_pushlightuserdata(L, value)
        lua_pushcclosure(L, call_python if (<Function>value).kind == PLAIN else call_command, 1)
    elif type_of(value) == <void*>Ref:
        lua_rawgeti(L, REGISTRY, (<Ref>value).number)
    elif value == <PyObject*>NULL_VALUE:
        lua_pushlightuserdata(L, <void*>0)
    else:
        lua_pushnil(L)


cdef void push_pairs(lua_State* L, PyObject* pairs) noexcept:
    """Into the table on top. Lua raises for keys that are nil or NaN."""
    cdef Py_ssize_t i
    for i in range(list_size(pairs)):
        push_value(L, tuple_item(list_item(pairs, i), 0))
        push_value(L, tuple_item(list_item(pairs, i), 1))
        lua_rawset(L, -3)


cdef inline void make_room(lua_State* L) noexcept:
    if not lua_checkstack(L, 4):
        lua_pushlstring(L, b"stack overflow", 14)
        lua_error(L)


cdef bytes text_at(lua_State* L, int index):
    """Of a string; a number must not come here, which Lua would turn into a string in its place."""
    cdef size_t length = 0
    cdef const char* text = lua_tolstring(L, index, &length)
    return PyBytes_FromStringAndSize(text, length)


cdef object number_of(double value):
    if -9223372036854775808.0 <= value < 9223372036854775808.0 and value == <double><int64_t>value:
        return <int64_t>value
    return value


cdef object value_at(lua_State* L, int index, int depth, Function function, size_t* budget):
    """The Python value of a Lua value; tables are copied `depth` levels deep."""
    cdef int kind = lua_type(L, index)
    if kind <= LUA_TNIL:
        return None
    if kind == LUA_TBOOLEAN:
        return lua_toboolean(L, index)
    if kind == LUA_TNUMBER:
        return number_of(lua_tonumber(L, index))
    if kind == LUA_TSTRING:
        text = text_at(L, index)
        spend(budget, PyBytes_GET_SIZE(text))
        return text
    if kind == LUA_TTABLE:
        return table_at(L, index, depth, function, budget)
    if kind == LUA_TLIGHTUSERDATA and lua_touserdata(L, index) == <void*>0:
        return NULL_VALUE
    if kind == LUA_TFUNCTION and function.takes_functions:
        lua_pushvalue(L, index)
        return reference(<Lua>owner(L), luaL_ref(L, REGISTRY))
    return Opaque(lua_typename(L, kind).decode())


cdef Ref reference(Lua lua, int number):
    cdef Ref made = Ref.__new__(Ref)
    made.lua = lua
    made.number = number
    return made


cdef bint all_plain(list items):
    """Whether they need no conversion."""
    for item in items:
        kind = type(item)
        if kind is not bytes and kind is not int and item is not None:
            return False
    return True


cdef int spend(size_t* budget, size_t cost) except -1:
    if budget[0] < cost:
        raise LuaError("not enough memory")
    budget[0] -= cost
    return 0


cdef Table table_at(lua_State* L, int index, int depth, Function function, size_t* budget):
    cdef Table table = Table.__new__(Table)
    table.pairs = []
    if depth <= 0:
        if function.too_deep is not None:
            raise LuaError(function.too_deep)
        return table
    if not lua_checkstack(L, 4):
        raise LuaError("stack overflow")
    lua_pushvalue(L, index)
    lua_pushnil(L)
    while lua_next(L, -2):
        spend(budget, NODE_COST)
        key = value_at(L, -2, 0, function, budget)
        table.pairs.append((key, value_at(L, lua_gettop(L), depth - 1, function, budget)))
        lua_settop(L, -2)
    lua_settop(L, -2)
    return table


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
    """redis.call, redis.pcall."""
    cdef Function function = <Function>lua_touserdata(L, FIRST_UPVALUE)
    cdef Lua lua = <Lua>owner(L)
    if lua.ask_command(L) == DONE:
        push_value(L, <PyObject*>lua.pending)
        return 1
    push_error_table(L, <PyObject*>lua.pending)
    return 1 if function.kind == PCALL else lua_error(L)


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
        lua.take_reply(L)
    else:
        lua_replace(L, 1)
        lua_settop(L, 1)
        lua_checkstack(L, 64)
        lua.take_reply(L)
        if lua.needs_room:
            lua_checkstack(L, C_STACK - lua_gettop(L))
            lua.take_reply(L)
    return 0


@cython.final
cdef class Lua:
    """One Lua state. `memory_limit` in bytes; `on_interrupt()` returns None, or the text the script ends with."""

    cdef lua_State* state
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
    cdef bint needs_room
    cdef int room
    cdef int status
    cdef int ends
    cdef size_t budget                   # bytes a result may still take
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
        self.keeper = Function(None, depth=8, takes_functions=True)
        self.state = lua_newstate(allocate, <void*>self)
        if self.state == NULL_STATE:
            raise MemoryError
        luaL_openlibs(self.state)
        lua_sethook(self.state, on_count, MASK_COUNT, HOOK_COUNT)

    def __dealloc__(self):
        self.close()

    cpdef close(self):
        """Give back all memory at once: who refers to whom in here only a garbage collection would find out.
        Nothing may be called afterwards."""
        cdef lua_State* state = self.state
        self.state = NULL_STATE
        if state != NULL_STATE:
            lua_close(state)

    # --- for Python ----------------------------------------------------------------------------------

    def function(self, callable, **options):
        """A Function that lives as long as this state."""
        made = Function(callable, **options)
        self.functions.append(made)
        return made

    def keep(self, Function function not None):
        """The same Function, which from now on lives as long as this state."""
        self.functions.append(function)
        return function

    def command_function(self, bint protected):
        """redis.call, or redis.pcall."""
        cdef Function made = self.function(None)
        made.kind = PCALL if protected else CALL
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
        self.room = 56
        result = self.protected(protected_run)
        self.room = 0
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

    cdef int take_reply(self, lua_State* L) noexcept:
        """The script's result, on top of the stack, as a reply value."""
        cdef int top = lua_gettop(L)
        self.needs_room = False
        self.ends = 0
        self.budget = LARGEST_COPY
        try:
            self.pending = self.reply_at_top(L, 0)
        except NeedsRoom:
            self.needs_room = True
            self.room = REPLY_SLOTS + 1
        except LuaError as error:
            error.__traceback__ = None
            self.pending = ReplyError("ERR " + one_line(error.text))
        except BaseException as bug:
            self.pending = ReplyError(f"ERR internal error: {type(bug).__name__}")
        lua_settop(L, top)
        return 0

    cdef object reply_at_top(self, lua_State* L, int used):
        """The reply value of the Lua value on top, which is popped. `used`: slots that Redis would have used."""
        cdef int kind
        cdef int i
        kind = lua_type(L, -1)
        if used >= REPLY_SLOTS:
            self.ends += 1
            if self.ends > REPLY_ENDS:
                raise LuaError(STACK_LIMIT)
            made = ReplyError("ERR " + STACK_LIMIT)
        elif kind == LUA_TSTRING:
            made = text_at(L, -1)
            spend(&self.budget, PyBytes_GET_SIZE(made))
        elif kind == LUA_TNUMBER:
            made = truncated(lua_tonumber(L, -1))
        elif kind == LUA_TBOOLEAN:
            made = lua_toboolean(L, -1)
            if self.resp == 2:
                made = 1 if made else None
        elif kind == LUA_TTABLE:
            if used >= self.room:
                raise NeedsRoom
            made = self.special_reply(L, used)
            if made is ARRAY:
                made = []
                i = 1
                lua_rawgeti(L, -1, i)
                while lua_type(L, -1) != LUA_TNIL:
                    spend(&self.budget, NODE_COST)
                    (<list>made).append(self.reply_at_top(L, used + 1))
                    i += 1
                    lua_rawgeti(L, -1, i)
                lua_settop(L, -2)
        else:
            made = None
        lua_settop(L, -2)
        return made

    cdef int field(self, lua_State* L, const char* name, size_t length) noexcept:
        """Push a field of the table on top, metamethods aside; the type of its value."""
        lua_pushlstring(L, name, length)
        lua_rawget(L, -2)
        return lua_type(L, -1)

    cdef object special_reply(self, lua_State* L, int used):
        """What the table on top, which stays, says it is by the first field of a known name and type, or ARRAY."""
        made = ARRAY
        if self.field(L, b"err", 3) == LUA_TSTRING:
            text = one_line(text_at(L, -1).replace(b"\0", b""))
            lua_settop(L, -2)
            counted = self.field(L, b"ignore_error_stats_update", 25) == LUA_TBOOLEAN and lua_toboolean(L, -1)
            lua_settop(L, -2)
            return ReplyError(text, counted=counted)
        lua_settop(L, -2)
        if self.field(L, b"ok", 2) == LUA_TSTRING:
            made = one_line(text_at(L, -1).replace(b"\0", b""))
        lua_settop(L, -2)
        if made is not ARRAY:
            return made
        if self.field(L, b"double", 6) == LUA_TNUMBER:
            made = lua_tonumber(L, -1)
        lua_settop(L, -2)
        if made is not ARRAY:
            return made
        if self.field(L, b"map", 3) == LUA_TTABLE:
            made = PairsReply(self.pairs_at_top(L, used, True))
        lua_settop(L, -2)
        if made is not ARRAY:
            return made
        if self.field(L, b"set", 3) == LUA_TTABLE:
            made = SetReply(self.pairs_at_top(L, used, False))
        lua_settop(L, -2)
        if made is not ARRAY:
            return made
        if self.field(L, b"big_number", 10) == LUA_TSTRING:
            made = BigNumber(one_line(text_at(L, -1)))
        lua_settop(L, -2)
        if made is not ARRAY:
            return made
        if self.field(L, b"verbatim_string", 15) == LUA_TTABLE:
            made = self.verbatim_at_top(L)
        lua_settop(L, -2)
        return made

    cdef object pairs_at_top(self, lua_State* L, int used, bint with_values):
        """(key, value), or keys alone, of the table on top."""
        cdef list pairs = []
        lua_pushnil(L)
        while lua_next(L, -2):
            spend(&self.budget, NODE_COST)
            if with_values:
                lua_pushvalue(L, -2)
                key = self.reply_at_top(L, used + 4)
                pairs.append((key, self.reply_at_top(L, used + 3)))
            else:
                lua_settop(L, -2)
                lua_pushvalue(L, -1)
                pairs.append(self.reply_at_top(L, used + 3))
        return pairs

    cdef object verbatim_at_top(self, lua_State* L):
        made = ARRAY
        if self.field(L, b"string", 6) == LUA_TSTRING:
            lua_pushvalue(L, -2)
            if self.field(L, b"format", 6) == LUA_TSTRING:
                made = Verbatim(text_at(L, -3), text_at(L, -1).decode("latin-1"))
            lua_settop(L, -3)
        lua_settop(L, -2)
        return made
