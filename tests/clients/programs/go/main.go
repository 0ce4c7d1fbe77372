// redigo, and redisc for clusters.
package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/gomodule/redigo/redis"
	"github.com/mna/redisc"
)

var mode, prefix string

func key(name string) string { return prefix + ":" + name }

func tell(name string, value any) { fmt.Printf("%s=%v\n", name, value) }

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func main() {
	mode, prefix = os.Args[1], os.Args[4]
	address := os.Args[2] + ":" + os.Args[3]
	if mode == "cluster" {
		cluster := &redisc.Cluster{StartupNodes: []string{address}}
		defer cluster.Close()
		connect := func(name string) redis.Conn {
			conn := must(cluster.Dial())
			if err := redisc.BindConn(conn, key(name)); err != nil {
				panic(err)
			}
			return must(redisc.RetryConn(conn, 3, 0))
		}
		spread(connect)
		conn := connect("list")
		collections(conn, conn, conn, conn)
		return
	}
	conn := must(redis.Dial("tcp", address))
	tell("ping", must(redis.String(conn.Do("PING"))))
	pipeline(conn)
	transaction(conn)
	script(conn)
	collections(conn, conn, conn, conn)
	spread(func(string) redis.Conn { return conn })
	pubsub(conn, must(redis.Dial("tcp", address)))
}

func pipeline(conn redis.Conn) {
	for n := 0; n < 1000; n++ {
		conn.Send("INCR", key("counter"))
	}
	conn.Flush()
	last := 0
	for n := 0; n < 1000; n++ {
		last = must(redis.Int(conn.Receive()))
	}
	tell("pipeline", last)
	must(conn.Do("SET", key("binary"), must(hex.DecodeString("61000d0aff242a"))))
	tell("binary", hex.EncodeToString(must(redis.Bytes(conn.Do("GET", key("binary"))))))
	_, err := redis.String(conn.Do("GET", key("missing")))
	tell("missing", strings.TrimPrefix(err.Error(), "redigo: ")[:3])
}

func transaction(conn redis.Conn) {
	conn.Send("MULTI")
	conn.Send("SET", key("number"), 1)
	conn.Send("INCR", key("number"))
	values := must(redis.Values(conn.Do("EXEC")))
	tell("transaction", fmt.Sprintf("%s,%d", values[0], values[1]))
}

func script(conn redis.Conn) {
	source := redis.NewScript(1, "return {ARGV[1], tonumber(ARGV[2]) + 1}")
	values := must(redis.Values(source.Do(conn, key("script"), "seven", 7)))
	tell("script", fmt.Sprintf("%s,%d", values[0], values[1]))
}

func collections(hash, list, zset, set redis.Conn) {
	if mode != "cluster" {
		must(hash.Do("HSET", key("hash"), "a", 1, "b", 2))
		fields := must(redis.StringMap(hash.Do("HGETALL", key("hash"))))
		tell("hash", "a="+fields["a"]+",b="+fields["b"])
		must(zset.Do("ZADD", key("zset"), 1, "one", 2.5, "two"))
		scores := must(redis.Strings(zset.Do("ZRANGE", key("zset"), 0, -1, "WITHSCORES")))
		tell("zset", scores[0]+"="+scores[1]+","+scores[2]+"="+scores[3])
		must(set.Do("SADD", key("set"), "x", "y"))
		members := must(redis.Strings(set.Do("SMEMBERS", key("set"))))
		sort.Strings(members)
		tell("set", strings.Join(members, ","))
	}
	must(list.Do("RPUSH", key("list"), 1, 2, 3))
	tell("list", strings.Join(must(redis.Strings(list.Do("LRANGE", key("list"), 0, -1))), ","))
	_, err := list.Do("INCR", key("list"))
	tell("error", strings.Fields(err.Error())[0])
}

func spread(connect func(string) redis.Conn) {
	right := 0
	for n := 0; n < 500; n++ {
		name := fmt.Sprintf("spread:%d", n)
		conn := connect(name)
		must(conn.Do("SET", key(name), n))
		if must(redis.Int(conn.Do("GET", key(name)))) == n {
			right++
		}
		if mode == "cluster" {
			conn.Close()
		}
	}
	tell("spread", right)
}

func pubsub(publisher, conn redis.Conn) {
	subscriber := redis.PubSubConn{Conn: conn}
	if err := subscriber.Subscribe(key("channel")); err != nil {
		panic(err)
	}
	for {
		switch message := subscriber.Receive().(type) {
		case redis.Subscription:
			must(publisher.Do("PUBLISH", key("channel"), "hello"))
		case redis.Message:
			tell("pubsub", string(message.Data))
			return
		case error:
			panic(message)
		}
	}
}
