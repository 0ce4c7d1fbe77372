-- A script's result as one flat list of tags and values, which is quicker to carry over to Python than tables
-- one by one: { "array", 2, "number", 1, "string", "x" }.
--
-- A table is what its first field of a known name and type says (err, ok, double, map, set, big_number,
-- verbatim_string, in this order), an array up to its first nil otherwise. Metamethods are not asked.
-- Redis stops where its room on Lua's C stack ends: SLOTS, and what each level takes of them, give the same
-- depth. A table that contains itself more than once has more such ends than could ever be sent: after
-- LEAVES of them it is an error. Calls in last position are Lua's tail calls, without which its own stack
-- would end first.

local SLOTS, LEAVES = 7995, 1000
local error, next, rawget, type = error, next, rawget, type

local out, size, leaves
local export

local function put(tag, value)
    out[size + 1], out[size + 2] = tag, value
    size = size + 2
end

local function put_pairs(tag, t, used)
    put(tag, 0)
    local at, count = size, 0
    for key, value in next, t do
        export(key, used + 3)
        if tag == "map" then
            export(value, used + 3)
        end
        count = count + 1
    end
    out[at] = count
end

local function put_array(t, used)
    put("array", 0)
    local at, count = size, 0
    local value = rawget(t, 1)
    while value ~= nil do
        count = count + 1
        export(value, used + 1)
        value = rawget(t, count + 1)
    end
    out[at] = count
end

local function put_table(t, used)
    local value = rawget(t, "err")
    if type(value) == "string" then
        return put("error", value)
    end
    value = rawget(t, "ok")
    if type(value) == "string" then
        return put("status", value)
    end
    value = rawget(t, "double")
    if type(value) == "number" then
        return put("double", value)
    end
    value = rawget(t, "map")
    if type(value) == "table" then
        return put_pairs("map", value, used)
    end
    value = rawget(t, "set")
    if type(value) == "table" then
        return put_pairs("set", value, used)
    end
    value = rawget(t, "big_number")
    if type(value) == "string" then
        return put("big_number", value)
    end
    value = rawget(t, "verbatim_string")
    if type(value) == "table" then
        local text, format = rawget(value, "string"), rawget(value, "format")
        if type(text) == "string" and type(format) == "string" then
            put("verbatim_string", text)
            size = size + 1
            out[size] = format
            return
        end
    end
    return put_array(t, used)
end

function export(value, used)
    local kind = type(value)
    if used >= SLOTS then
        leaves = leaves + 1
        if leaves > LEAVES then
            error("reached lua stack limit", 0)
        end
        put("error", "ERR reached lua stack limit")
    elseif kind == "table" then
        return put_table(value, used)
    elseif kind == "string" or kind == "number" or kind == "boolean" then
        put(kind, value)
    else
        put("null", 0)
    end
end

-- The flat list for the table `t`.
return function(t)
    out, size, leaves = {}, 0, 0
    put_table(t, 0)
    return out
end
