# redis-rb, which knows clusters by itself.

require "redis"

mode, host, port, PREFIX = ARGV
CLUSTER = mode == "cluster"
url = "redis://#{host}:#{port}"
client = CLUSTER ? Redis.new(cluster: [url]) : Redis.new(url: url)

def key(name) = "#{PREFIX}:#{name}"
def tell(name, value) = puts("#{name}=#{value}")

tell "ping", client.ping
client.set key("binary"), ["61000d0aff242a"].pack("H*")
tell "binary", client.get(key("binary")).unpack1("H*")
tell "missing", client.get(key("missing")).nil? ? "nil" : "something"
unless CLUSTER
  tell "pipeline", client.pipelined { |pipeline| 1000.times { pipeline.incr key("counter") } }.last
  tell "transaction", client.multi { |multi| multi.set key("number"), 1; multi.incr key("number") }.join(",")
end
client.hset key("hash"), { "a" => 1, "b" => 2 }
tell "hash", client.hgetall(key("hash")).sort.map { |pair| pair.join("=") }.join(",")
client.rpush key("list"), [1, 2, 3]
tell "list", client.lrange(key("list"), 0, -1).join(",")
client.zadd key("zset"), [[1, "one"], [2.5, "two"]]
scores = client.zrange(key("zset"), 0, -1, with_scores: true)
tell "zset", scores.map { |member, score| "#{member}=#{score == score.to_i ? score.to_i : score}" }.join(",")
client.sadd key("set"), ["x", "y"]
tell "set", client.smembers(key("set")).sort.join(",")
tell "script", client.eval("return {ARGV[1], tonumber(ARGV[2]) + 1}", [key("script")], ["seven", 7]).join(",")
begin
  client.incr key("list")
rescue Redis::CommandError => error
  tell "error", error.message.split.first
end
client.set key("fleeting"), 1, ex: 100
tell "ttl", client.ttl(key("fleeting"))
client.rpush key("queue"), "job"
tell "queue", client.blpop(key("queue"), timeout: 1)[1]
tag = CLUSTER ? "{m}" : "m"
client.set key("#{tag}:1"), 1
client.set key("#{tag}:3"), 3
tell "mget", client.mget(*[1, 2, 3].map { |number| key("#{tag}:#{number}") }).map { |value| value || "nil" }.join(",")
client.set key("big"), "x" * (1 << 20)
tell "big", client.get(key("big")).size
500.times { |number| client.set key("spread:#{number}"), number }
tell "spread", 500.times.count { |number| client.get(key("spread:#{number}")) == number.to_s }
unless CLUSTER
  heard = nil
  Redis.new(url: url).subscribe(key("channel")) do |on|
    on.subscribe { client.publish key("channel"), "hello" }
    on.message { |_, message| heard = message; raise StopIteration }
  rescue StopIteration
    nil
  end rescue StopIteration
  tell "pubsub", heard
end
