-- redis-lua, on LuaSocket.

local redis = require "redis"
local mode, host, port, prefix = unpack(arg)
local client = redis.connect(host, tonumber(port))

local function key(name) return prefix .. ":" .. name end
local function tell(name, value) print(name .. "=" .. tostring(value)) end
local function hex(text) return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

tell("ping", client:ping() and "PONG" or "silence")
client:set(key("binary"), "a\0\r\n\255$*")
tell("binary", hex(client:get(key("binary"))))
tell("missing", client:get(key("missing")) == nil and "nil" or "something")
local replies = client:pipeline(function(pipeline)
  for _ = 1, 1000 do pipeline:incr(key("counter")) end
end)
tell("pipeline", replies[1000])
client:hmset(key("hash"), "a", 1, "b", 2)
local fields = client:hgetall(key("hash"))
tell("hash", "a=" .. fields.a .. ",b=" .. fields.b)
client:rpush(key("list"), 1, 2, 3)
tell("list", table.concat(client:lrange(key("list"), 0, -1), ","))
client:zadd(key("zset"), 1, "one", 2.5, "two")
local pairs_of = client:zrange(key("zset"), 0, -1, { withscores = true })
tell("zset", pairs_of[1][1] .. "=" .. pairs_of[1][2] .. "," .. pairs_of[2][1] .. "=" .. pairs_of[2][2])
client:sadd(key("set"), "x", "y")
local members = client:smembers(key("set"))
table.sort(members)
tell("set", table.concat(members, ","))
local done = client:transaction(function(t) t:set(key("number"), 1); t:incr(key("number")) end)
tell("transaction", (done[1] and "OK" or "no") .. "," .. done[2])
tell("script", table.concat(client:eval("return {ARGV[1], tonumber(ARGV[2]) + 1}", 1, key("script"), "seven", 7), ","))
local fine, message = pcall(client.incr, client, key("list"))
tell("error", not fine and message:match("WRONGTYPE") or message)
client:setex(key("fleeting"), 100, 1)
tell("ttl", client:ttl(key("fleeting")))
client:rpush(key("queue"), "job")
tell("queue", client:blpop(key("queue"), 1)[2])
client:set(key("m:1"), 1)
client:set(key("m:3"), 3)
local values = client:mget(key("m:1"), key("m:2"), key("m:3"))
tell("mget", values[1] .. "," .. (values[2] or "nil") .. "," .. values[3])
client:set(key("big"), ("x"):rep(2 ^ 20))
tell("big", #client:get(key("big")))
local right = 0
for number = 0, 499 do client:set(key("spread:" .. number), number) end
for number = 0, 499 do
  if client:get(key("spread:" .. number)) == tostring(number) then right = right + 1 end
end
tell("spread", right)
local publisher = redis.connect(host, tonumber(port))
for message, abort in client:pubsub({ subscribe = { key("channel") } }) do
  if message.kind == "subscribe" then publisher:publish(key("channel"), "hello") end
  if message.kind == "message" then tell("pubsub", message.payload); abort() end
end
