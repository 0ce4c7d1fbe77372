"""The C interface of Lua 5.1, as far as lua.pyx uses it (https://www.lua.org/manual/5.1/manual.html#3).

Lua itself is the one that lupa brings along. Its functions are taken out of lupa's library when the first
Lua state is made, by name, so that a worker without scripts does not load it and there is nothing to
link with. The macros of lua.h are written out here.
"""

cdef extern from *:
    """
    #include <dlfcn.h>
    #include <stddef.h>

    typedef struct lua_State lua_State;
    typedef struct lua_Debug lua_Debug;
    typedef int (*lua_CFunction)(lua_State *L);
    typedef void *(*lua_Alloc)(void *ud, void *ptr, size_t osize, size_t nsize);
    typedef void (*lua_Hook)(lua_State *L, lua_Debug *ar);

    #define LUA_FUNCTIONS(X) \\
        X(lua_State *, lua_newstate, (lua_Alloc f, void *ud)) \\
        X(void, lua_close, (lua_State *L)) \\
        X(int, lua_cpcall, (lua_State *L, lua_CFunction f, void *ud)) \\
        X(void, lua_call, (lua_State *L, int nargs, int nresults)) \\
        X(int, lua_pcall, (lua_State *L, int nargs, int nresults, int handler)) \\
        X(int, lua_error, (lua_State *L)) \\
        X(int, lua_gettop, (lua_State *L)) \\
        X(void, lua_settop, (lua_State *L, int index)) \\
        X(void, lua_pushvalue, (lua_State *L, int index)) \\
        X(void, lua_replace, (lua_State *L, int index)) \\
        X(int, lua_checkstack, (lua_State *L, int extra)) \\
        X(int, lua_type, (lua_State *L, int index)) \\
        X(const char *, lua_typename, (lua_State *L, int type)) \\
        X(int, lua_toboolean, (lua_State *L, int index)) \\
        X(double, lua_tonumber, (lua_State *L, int index)) \\
        X(const char *, lua_tolstring, (lua_State *L, int index, size_t *length)) \\
        X(void *, lua_touserdata, (lua_State *L, int index)) \\
        X(void, lua_pushnil, (lua_State *L)) \\
        X(void, lua_pushboolean, (lua_State *L, int value)) \\
        X(void, lua_pushnumber, (lua_State *L, double value)) \\
        X(void, lua_pushlstring, (lua_State *L, const char *text, size_t length)) \\
        X(void, lua_pushlightuserdata, (lua_State *L, void *pointer)) \\
        X(void, lua_pushcclosure, (lua_State *L, lua_CFunction f, int upvalues)) \\
        X(void, lua_concat, (lua_State *L, int count)) \\
        X(void, lua_createtable, (lua_State *L, int items, int fields)) \\
        X(void, lua_rawget, (lua_State *L, int index)) \\
        X(void, lua_rawgeti, (lua_State *L, int index, int n)) \\
        X(void, lua_rawset, (lua_State *L, int index)) \\
        X(void, lua_rawseti, (lua_State *L, int index, int n)) \\
        X(int, lua_next, (lua_State *L, int index)) \\
        X(int, lua_gc, (lua_State *L, int what, int data)) \\
        X(lua_Alloc, lua_getallocf, (lua_State *L, void **ud)) \\
        X(int, lua_sethook, (lua_State *L, lua_Hook f, int mask, int count)) \\
        X(int, lua_gethookmask, (lua_State *L)) \\
        X(void, luaL_openlibs, (lua_State *L)) \\
        X(int, luaL_loadbuffer, (lua_State *L, const char *text, size_t size, const char *name)) \\
        X(void, luaL_where, (lua_State *L, int level)) \\
        X(int, luaL_ref, (lua_State *L, int table)) \\
        X(void, luaL_unref, (lua_State *L, int table, int ref))

    #define LUA_POINTER(result, name, arguments) static result (*name) arguments;
    LUA_FUNCTIONS(LUA_POINTER)

    /* The first name that `path` does not have, or NULL; what dlerror says if it cannot be loaded. */
    static const char *lua_load(const char *path) {
        void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
        if (!library)
            return dlerror();
    #define LUA_FIND(result, name, arguments) \\
        if (!(*(void **)&name = dlsym(library, #name))) \\
            return #name;
        LUA_FUNCTIONS(LUA_FIND)
        return NULL;
    }
    """
    ctypedef struct lua_State:
        pass
    ctypedef struct lua_Debug:
        pass
    ctypedef int (*lua_CFunction)(lua_State*) noexcept
    ctypedef void* (*lua_Alloc)(void*, void*, size_t, size_t) noexcept
    ctypedef void (*lua_Hook)(lua_State*, lua_Debug*) noexcept

    const char* lua_load(const char* path)
    lua_State* lua_newstate(lua_Alloc f, void* ud)
    void lua_close(lua_State*)
    int lua_cpcall(lua_State*, lua_CFunction f, void* ud)
    void lua_call(lua_State*, int arguments, int results)
    int lua_pcall(lua_State*, int arguments, int results, int handler)
    int lua_error(lua_State*)
    int lua_gettop(lua_State*)
    void lua_settop(lua_State*, int index)
    void lua_pushvalue(lua_State*, int index)
    void lua_replace(lua_State*, int index)
    int lua_checkstack(lua_State*, int extra)
    int lua_type(lua_State*, int index)
    const char* lua_typename(lua_State*, int type)
    bint lua_toboolean(lua_State*, int index)
    double lua_tonumber(lua_State*, int index)
    const char* lua_tolstring(lua_State*, int index, size_t* length)
    void* lua_touserdata(lua_State*, int index)
    void lua_pushnil(lua_State*)
    void lua_pushboolean(lua_State*, bint value)
    void lua_pushnumber(lua_State*, double value)
    void lua_pushlstring(lua_State*, const char* text, size_t length)
    void lua_pushlightuserdata(lua_State*, void* pointer)
    void lua_pushcclosure(lua_State*, lua_CFunction f, int upvalues)
    void lua_concat(lua_State*, int count)
    void lua_createtable(lua_State*, int items, int fields)
    void lua_rawget(lua_State*, int index)
    void lua_rawgeti(lua_State*, int index, int n)
    void lua_rawset(lua_State*, int index)
    void lua_rawseti(lua_State*, int index, int n)
    bint lua_next(lua_State*, int index)
    int lua_gc(lua_State*, int what, int data)
    lua_Alloc lua_getallocf(lua_State*, void** ud)
    int lua_sethook(lua_State*, lua_Hook f, int mask, int count)
    int lua_gethookmask(lua_State*)
    void luaL_openlibs(lua_State*)
    int luaL_loadbuffer(lua_State*, const char* text, size_t size, const char* name)
    void luaL_where(lua_State*, int level)
    int luaL_ref(lua_State*, int table)
    void luaL_unref(lua_State*, int table, int ref)

cdef enum:
    LUA_TNIL = 0
    LUA_TBOOLEAN = 1
    LUA_TLIGHTUSERDATA = 2
    LUA_TNUMBER = 3
    LUA_TSTRING = 4
    LUA_TTABLE = 5
    LUA_TFUNCTION = 6
    REGISTRY = -10000
    GLOBALS = -10002
    FIRST_UPVALUE = -10003
    SECOND_UPVALUE = -10004
    GC_COLLECT = 2
    MASK_LINE = 4
    MASK_COUNT = 8
