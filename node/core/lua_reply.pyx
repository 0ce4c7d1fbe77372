"""The reply that a script's result makes (https://redis.io/docs/latest/develop/programmability/lua-api/).

A string, number or boolean is what it is, a table an array up to its first nil, or what its first field of a known name
says: err, ok, double, map, set, big_number, verbatim_string. Fields are read past metamethods, so nothing of the
script's runs meanwhile. What is plain, statuses and small arrays of what is plain, is written as it is read.

Redis finds Lua's stack full at a certain depth of nesting, and so do we, by count, though we need less of the stack;
little of it is prepared at first, and the result read once more where that does not do.
"""

cimport cython
from cpython.bytes cimport PyBytes_GET_SIZE
from libc.stdint cimport INT64_MIN, int64_t

from node.core.lua_api cimport *
from node.core.lua_values cimport LARGEST_COPY, NODE_COST, spend, text_at
from node.core.reply_writer cimport ReplyWriter

from node.errors import ReplyError, one_line
from node.replies import BigNumber, PairsReply, SetReply, Verbatim
from node.scripting.errors import LuaError

cdef enum:
    REPLY_SLOTS = 7995       # levels of a result: where Redis finds Lua's stack full
    REPLY_ENDS = 1000        # of that kind, before the whole result is refused
    FIRST_ROOM = 56          # levels the stack is prepared for at first

STACK_LIMIT = "reached lua stack limit"
cdef object ARRAY = object()


cdef const char* load_for_replies(const char* path) noexcept:
    """`lua_load`: each compiled file has functions of Lua of its own."""
    return lua_load(path)


cdef int64_t truncated(double value) noexcept:
    """A Lua number as an integer reply: as x86 converts a double to int64, which is what Redis sends."""
    if not -9223372036854775808.0 <= value < 9223372036854775808.0:  # also false for NaN
        return INT64_MIN
    return <int64_t>value


# --- without objects ---------------------------------------------------------------------------------------------

cdef const char** NAMES = [b"err", b"ok", b"double", b"map", b"set", b"big_number", b"verbatim_string"]
cdef size_t* NAME_LENGTHS = [3, 2, 6, 3, 3, 10, 15]


cdef bint write_plain(lua_State* L, ReplyWriter writer, int resp, size_t end, int* items, int levels) except -1:
    """Write the reply that the value on top makes, which stays, of a script that speaks RESP2. False: it is not plain,
    or would not end before `end` or within so many items or levels; what has been written is void then."""
    cdef int kind = lua_type(L, -1)
    cdef const char* text
    cdef size_t length
    if kind == LUA_TTABLE:
        return write_table(L, writer, resp, end, items, levels)
    if kind == LUA_TSTRING:
        text = lua_tolstring(L, -1, &length)
        if writer.length + length > end:
            return False
        writer.bulk(text, length)
    elif kind == LUA_TNUMBER:
        writer.line_of_int(c":", truncated(lua_tonumber(L, -1)))
    elif kind == LUA_TBOOLEAN and lua_toboolean(L, -1):
        writer.line_of_int(c":", 1)
    else:
        writer.null(resp)
    return True


cdef bint write_table(lua_State* L, ReplyWriter writer, int resp, size_t end, int* items, int levels) except -1:
    cdef int count = 0
    cdef int i
    if levels == 0 or not lua_checkstack(L, 4):
        return False
    for i in range(7):
        lua_pushlstring(L, NAMES[i], NAME_LENGTHS[i])
        lua_rawget(L, -2)
        if lua_type(L, -1) != LUA_TNIL:
            return i == 1 and write_status(L, writer)
        lua_settop(L, -2)
    lua_rawgeti(L, -1, 1)
    while lua_type(L, -1) != LUA_TNIL:
        lua_settop(L, -2)
        count += 1
        if count > items[0]:
            return False
        lua_rawgeti(L, -1, count + 1)
    lua_settop(L, -2)
    items[0] -= count
    writer.line_of_int(c"*", count)
    for i in range(1, count + 1):
        lua_rawgeti(L, -1, i)
        if not write_plain(L, writer, resp, end, items, levels - 1):
            return False
        lua_settop(L, -2)
    return True


cdef bint write_status(lua_State* L, ReplyWriter writer) except -1:
    """Write the status that is on top, and take it off."""
    cdef const char* text
    cdef size_t length, i
    if lua_type(L, -1) != LUA_TSTRING:
        return False
    text = lua_tolstring(L, -1, &length)
    for i in range(length):
        if <unsigned char>text[i] < c" ":
            return False
    writer.raw(b"+", 1)
    writer.raw(text, length)
    writer.raw(b"\r\n", 2)
    lua_settop(L, -2)
    return True


# --- as reply values ---------------------------------------------------------------------------------------------

class NeedsRoom(Exception):
    """A result is more deeply nested than the stack was prepared for."""


@cython.final
cdef class ResultReader:
    """Reads results of scripts, one at a time."""

    cdef object read(self, lua_State* L, int resp, bint again):
        """The reply value, in protocol `resp`, of what is on top of the stack, which stays. `again`: there is all the
        room now that a result may need; else `needs_room` tells that this was asked for in vain."""
        cdef int top = lua_gettop(L)
        made = None
        self.resp = resp
        self.needs_room = False
        self.room = REPLY_SLOTS + 1 if again else FIRST_ROOM
        self.ends = 0
        self.budget = LARGEST_COPY
        try:
            made = self.reply_at_top(L, 0)
        except NeedsRoom:
            self.needs_room = True
        except LuaError as error:
            error.__traceback__ = None
            made = ReplyError("ERR " + one_line(error.text))
        except BaseException as bug:
            made = ReplyError(f"ERR internal error: {type(bug).__name__}")
        lua_settop(L, top)
        return made

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
