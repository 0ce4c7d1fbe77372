"""Values across Lua's border, for compiled code: see lua_values.pyx."""

from cpython.ref cimport PyObject

from node.core.lua_api cimport lua_CFunction, lua_getallocf, lua_State

cdef extern from "<Python.h>":
    bint PyTuple_CheckExact(PyObject*)
    char* bytes_text "PyBytes_AS_STRING"(PyObject*)
    Py_ssize_t bytes_size "PyBytes_GET_SIZE"(PyObject*)
    PyObject* tuple_item "PyTuple_GET_ITEM"(PyObject*, Py_ssize_t)
    Py_ssize_t tuple_size "PyTuple_GET_SIZE"(PyObject*)
    PyObject* PY_NONE "Py_None"

cdef enum:
    LARGEST_COPY = 1 << 30   # bytes that arguments or a result may become in Python
    NODE_COST = 64           # bytes that a table's item becomes in Python, besides its text

cdef class State:
    cdef lua_State* state    # NULL once it is closed

cdef class Null:
    pass

cdef class Table:
    cdef readonly list pairs

cdef class Opaque:
    cdef readonly str type_name

cdef class Ref:
    cdef readonly State home
    cdef int number

cdef class Function:
    cdef object callable
    cdef int depth
    cdef object too_deep
    cdef bint takes_functions
    cdef lua_CFunction entry # what Lua calls: NULL until a state keeps this

cdef const char* load_for_values(const char* path) noexcept

cdef inline void* owner(lua_State* L) noexcept:
    """The State that `L` is, or is a coroutine of."""
    cdef void* ud
    lua_getallocf(L, &ud)
    return ud

# --- to Lua: each may raise there --------------------------------------------------------------------------------

cdef void push_bytes(lua_State* L, PyObject* text) noexcept
cdef void push_error_table(lua_State* L, PyObject* text) noexcept
cdef void push_value(lua_State* L, PyObject* value) noexcept

# --- from Lua. `budget`: bytes they may still take; LuaError beyond -------------------------------------------------

cdef bytes text_at(lua_State* L, int index)
cdef object number_of(double value)
cdef object value_at(lua_State* L, int index, int depth, Function function, size_t* budget)
cdef Ref reference(State home, int number)
cdef int spend(size_t* budget, size_t cost) except -1
