-- The sandbox, seen from inside: which names a script has, what it may not touch, how its errors are told.
--
-- Called once with the libraries to offer, and the table `redis` of the time when a library of functions is loaded,
-- which is all there is then, and a function that tells whether the script is being stopped. Returns what Python uses: `compile` (the function, or why not), `report` (what is told
-- of an error: its text and its place), `loading` (begin and end that time).
--
-- Rules. Read-only tables are proxies: an empty table in front of the contents, so that Lua itself calls
-- `refuse`; whatever goes around metamethods (rawset, setmetatable, next, table.insert ...) is wrapped. Functions
-- of Python are C functions of Lua, so scripts hold no Python object at all.

local libraries, redis_at_load, is_killed = ...
local getinfo = debug.getinfo
local error, type, tostring, select, unpack, rawget = error, type, tostring, select, unpack, rawget
local next, pairs, rawset, setmetatable, getmetatable = next, pairs, rawset, setmetatable, getmetatable
local pcall, xpcall, loadstring, setfenv = pcall, xpcall, loadstring, setfenv
local insert, remove, sort, setn, concat = table.insert, table.remove, table.sort, table.setn, table.concat
local find, sub = string.find, string.sub
local HERE = getinfo(1, "S").source
local READONLY = "Attempt to modify a readonly table"

-- read-only tables

local contents_of = {}
local visible_metatable = {}

local function refuse()
    error(READONLY, 2)
end

local function protect(contents, index)
    local metatable = { __index = contents, __newindex = refuse }
    local proxy = setmetatable({}, metatable)
    contents_of[proxy] = contents
    if index then
        setmetatable(contents, { __index = index })
        visible_metatable[proxy] = protect({ __index = index })
    end
    return proxy, metatable
end

local function no_such_global(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end

local function modifiable(t)
    if contents_of[t] then
        error(READONLY, 0)
    end
end

local function bad_argument(number, name, expected, got)
    error("bad argument #" .. number .. " to '" .. name .. "' (" .. expected .. " expected, got "
        .. type(got) .. ")", 3)
end

-- errors

-- The frame an error is reported at: the function that raised it, or its caller if that is a C function.
local function culprit()
    local level, skipped = 2, false
    while true do
        local frame = getinfo(level, "Sl")
        if not frame then
            return nil
        end
        if frame.source ~= HERE then
            if frame.what ~= "C" or skipped then
                return frame
            end
            skipped = true
        end
        level = level + 1
    end
end

local function where()
    local frame = culprit()
    if frame and frame.currentline > 0 then
        return frame.short_src .. ":" .. frame.currentline .. ": "
    end
    return ""
end

-- An error value as a script may see it: an error in a wrapper of ours is its caller's.
local function plain(value)
    if type(value) == "string" then
        local _, last = find(value, "^sandbox:%d+: ")
        return last and where() .. sub(value, last + 1) or value
    end
    return value
end

local function failed(ok, ...)
    if ok then
        return true, ...
    end
    local value = (...)
    if type(value) == "table" and type(rawget(value, "err")) == "string" then
        value = value.err
    end
    return false, value
end

local function resumed(ok, ...)
    if ok then
        return true, ...
    end
    return false, plain((...))
end

-- what scripts get in place of the functions that go around metamethods

local safe = {}

-- Not called by a name, so that Lua's errors do not mention one.
local FUNCTION = 0

function safe.pcall(f, ...)
    local count, arguments = select("#", ...), { [FUNCTION] = f, ... }
    return failed(xpcall(function() return arguments[FUNCTION](unpack(arguments, 1, count)) end, plain))
end

-- Lua calls the handler of an error that the hook raises before the hook has ended, so with hooks switched off:
-- it could run forever. A script that is being stopped gets no more handlers.
function safe.xpcall(f, handler)
    return xpcall(f, function(value)
        if is_killed() then
            return value
        end
        return handler(plain(value))
    end)
end

function safe.next(t, key)
    if type(t) ~= "table" then
        bad_argument(1, "next", "table", t)
    end
    return next(contents_of[t] or t, key)
end

function safe.pairs(t)
    if type(t) ~= "table" then
        bad_argument(1, "pairs", "table", t)
    end
    if contents_of[t] then
        return safe.next, t, nil
    end
    return pairs(t)
end

function safe.rawget(t, key)
    if type(t) ~= "table" then
        bad_argument(1, "rawget", "table", t)
    end
    return rawget(contents_of[t] or t, key)
end

function safe.rawset(t, ...)
    modifiable(t)
    return rawset(t, ...)
end

function safe.setmetatable(t, ...)
    modifiable(t)
    return setmetatable(t, ...)
end

local string_metatable

function safe.getmetatable(value)
    local kind = type(value)
    if kind == "string" then
        return string_metatable
    end
    if kind ~= "table" then
        return nil
    end
    if contents_of[value] then
        return visible_metatable[value]
    end
    return getmetatable(value)
end

local globals = {}
local environment

function safe.loadstring(text, name)
    if type(text) == "string" and sub(text, 1, 1) == "\27" then
        return nil, "attempt to load a binary chunk"
    end
    local f, message = loadstring(text, name)
    if not f then
        return nil, message
    end
    return setfenv(f, environment)
end

function safe.load(reader, name)
    local pieces = {}
    while true do
        local piece = reader()
        if piece == nil or piece == "" then
            break
        end
        if type(piece) ~= "string" then
            error("reader function must return a string", 0)
        end
        pieces[#pieces + 1] = piece
    end
    return safe.loadstring(concat(pieces), name or "=(load)")
end

-- the environment

local function pick(source, names)
    local picked = {}
    for name in string.gmatch(names, "%S+") do
        picked[name] = source[name]
    end
    return picked
end

for name, value in pairs(pick(_G, "_VERSION assert collectgarbage error gcinfo ipairs rawequal select tonumber "
    .. "tostring type unpack")) do
    globals[name] = value
end
for name, f in pairs(safe) do
    globals[name] = f
end

local tables = pick(table, "concat foreach foreachi getn maxn")
function tables.insert(t, ...)
    modifiable(t)
    return insert(t, ...)
end
function tables.remove(t, ...)
    modifiable(t)
    return remove(t, ...)
end
function tables.sort(t, ...)
    modifiable(t)
    return sort(t, ...)
end
function tables.setn(t, ...)
    modifiable(t)
    return setn(t, ...)
end

local coroutines = pick(coroutine, "create running status wrap yield")
local resume = coroutine.resume
function coroutines.resume(...)
    return resumed(resume(...))
end

globals.table = protect(tables)
globals.coroutine = protect(coroutines)
globals.string = protect(pick(string,
    "byte char dump find format gfind gmatch gsub len lower match rep reverse sub upper"))
globals.math = protect(pick(math, "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log "
    .. "log10 max min mod modf pi pow rad random randomseed sin sinh sqrt tan tanh"))
globals.os = protect({ clock = os.clock })
for name, library in pairs(libraries) do
    globals[name] = protect(library)
end
string_metatable = protect({ __index = globals.string })

-- Lua's own table of globals becomes the contents of the environment: Python puts KEYS and ARGV there.
local contents = _G
for name in next, contents do
    contents[name] = nil
end
for name, value in next, globals do
    contents[name] = value
end
local environment_metatable
environment, environment_metatable = protect(contents, no_such_global)
contents._G = environment

local at_load = setmetatable({ redis = protect(redis_at_load, no_such_global) }, { __index = no_such_global })

-- what Python calls

local function compile(source, name)
    local f, message = loadstring(source, name)
    if not f then
        return message
    end
    return setfenv(f, environment)
end

local function report(value)
    value = plain(value)
    local text, counted = value, false
    if type(value) == "table" then
        text = rawget(value, "err")
        text = type(text) == "string" and text or "ERR unknown error"
        counted = rawget(value, "ignore_error_stats_update") == true
    else
        text = "ERR " .. tostring(value)
    end
    local frame = culprit()
    return { text, counted, frame and frame.source .. ":" .. frame.currentline }
end

local function loading(begins)
    local visible = begins and at_load or contents
    environment_metatable.__index = visible
    contents_of[environment] = visible
end

return { compile = compile, report = report, loading = loading }
