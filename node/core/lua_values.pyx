"""Values across Lua's border.

Python values for Lua: None, bool, int, float, bytes, list (None in it is false), dict, NULL_VALUE (the empty
light userdata), Ref, Function. Lua values for Python are the same; a table is a `Table` of as many levels as were
asked for, and a function, unless a Ref of it was wanted, an `Opaque` that knows its type. What a script returns is
read in another way, lua_reply.pyx.

What pushes may raise in Lua, which skips whatever C is on its way: it works on borrowed references and owns none. What
reads may raise in Python and does nothing that Lua could raise for, but for want of memory.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t

from node.core.lua_api cimport *

from node.scripting.errors import LuaError

cdef extern from "<Python.h>":
    bint PyBytes_CheckExact(PyObject*)
    bint PyLong_CheckExact(PyObject*)
    bint PyFloat_CheckExact(PyObject*)
    bint PyList_CheckExact(PyObject*)
    bint PyDict_CheckExact(PyObject*)
    bint PyDict_Next(PyObject*, Py_ssize_t*, PyObject**, PyObject**)
    double PyFloat_AS_DOUBLE(PyObject*)
    double long_as_double "PyLong_AsDouble"(PyObject*)
    PyObject* list_item "PyList_GET_ITEM"(PyObject*, Py_ssize_t)
    Py_ssize_t list_size "PyList_GET_SIZE"(PyObject*)
    Py_ssize_t dict_size "PyDict_Size"(PyObject*)
    void* type_of "(void *)Py_TYPE"(PyObject*)
    PyObject* PY_TRUE "Py_True"
    PyObject* PY_FALSE "Py_False"


cdef const char* load_for_values(const char* path) noexcept:
    """`lua_load`: each compiled file has functions of Lua of its own."""
    return lua_load(path)


@cython.final
cdef class Null:
    """Lua's NULL as a light userdata: cjson.null."""

NULL_VALUE = Null()


@cython.final
cdef class Table:
    """What a Lua table holds: (key, value) in Lua's own order. Empty where it lies too deep."""
    type_name = "table"

    def __init__(self, list pairs not None):
        self.pairs = pairs


@cython.final
cdef class Opaque:
    """A Lua value that does not cross the border, by the name of its type."""

    def __init__(self, str type_name):
        self.type_name = type_name


cdef class State:
    """A Lua state, as far as its values need it: lua.pyx makes it."""


@cython.final
cdef class Ref:
    """A Lua function that Python keeps."""
    type_name = "function"

    def __dealloc__(self):
        if self.home is not None and self.home.state != NULL:
            luaL_unref(self.home.state, REGISTRY, self.number)


@cython.final
cdef class Function:
    """A callable for Lua. `depth`: levels of tables it is given, LuaError beyond if `too_deep` words one.
    `takes_functions`: as Refs."""

    def __init__(self, callable, int depth=1, too_deep=None, bint takes_functions=False):
        self.callable = callable
        self.depth = depth
        self.too_deep = too_deep
        self.takes_functions = takes_functions


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
        push_function(L, value)
    elif type_of(value) == <void*>Ref:
        lua_rawgeti(L, REGISTRY, (<Ref>value).number)
    elif value == <PyObject*>NULL_VALUE:
        lua_pushlightuserdata(L, <void*>0)
    else:
        lua_pushnil(L)


cdef void push_function(lua_State* L, PyObject* function) noexcept:
    """One that no state keeps would not outlive this: there is none then."""
    if (<Function>function).entry == NULL:
        lua_pushnil(L)
    else:
        lua_pushlightuserdata(L, function)
        lua_pushcclosure(L, (<Function>function).entry, 1)


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
        return reference(<State>owner(L), luaL_ref(L, REGISTRY))
    return Opaque(lua_typename(L, kind).decode())


cdef Ref reference(State home, int number):
    cdef Ref made = Ref.__new__(Ref)
    made.home = home
    made.number = number
    return made


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
