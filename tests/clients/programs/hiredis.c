/* hiredis, the client library for C that those of many languages are made on. */

#include "hiredis.h"

static const char *prefix;

static void tell_pairs(const char *name, redisReply *reply) {
    printf("%s=%s=%s,%s=%s\n", name, reply->element[0]->str, reply->element[1]->str, reply->element[2]->str,
           reply->element[3]->str);
    freeReplyObject(reply);
}

static void strings(redisContext *client) {
    redisReply *reply = ask(client, "PING");
    printf("ping=%s\n", reply->str);
    freeReplyObject(reply);
    freeReplyObject(ask(client, "SET %s:binary %b", prefix, "a\0\r\n\xff$*", (size_t)7));
    reply = ask(client, "GET %s:binary", prefix);
    printf("binary=");
    for (size_t n = 0; n < (size_t)reply->len; n++) printf("%02x", (unsigned char)reply->str[n]);
    printf("\n");
    freeReplyObject(reply);
    reply = ask(client, "GET %s:missing", prefix);
    printf("missing=%s\n", reply->type == REDIS_REPLY_NIL ? "nil" : "something");
    freeReplyObject(reply);
    for (int n = 0; n < 1000; n++) redisAppendCommand(client, "INCR %s:counter", prefix);
    long long last = 0;
    for (int n = 0; n < 1000; n++) {
        redisGetReply(client, (void **)&reply);
        last = reply->integer;
        freeReplyObject(reply);
    }
    printf("pipeline=%lld\n", last);
}

static void collections(redisContext *client) {
    freeReplyObject(ask(client, "HSET %s:hash a 1 b 2", prefix));
    tell_pairs("hash", ask(client, "HGETALL %s:hash", prefix));
    freeReplyObject(ask(client, "ZADD %s:zset 1 one 2.5 two", prefix));
    tell_pairs("zset", ask(client, "ZRANGE %s:zset 0 -1 WITHSCORES", prefix));
    freeReplyObject(ask(client, "RPUSH %s:list 1 2 3", prefix));
    redisReply *reply = ask(client, "LRANGE %s:list 0 -1", prefix);
    printf("list=%s,%s,%s\n", reply->element[0]->str, reply->element[1]->str, reply->element[2]->str);
    freeReplyObject(reply);
    reply = ask(client, "INCR %s:list", prefix);
    printf("error=%.9s\n", reply->type == REDIS_REPLY_ERROR ? reply->str : "");
    freeReplyObject(reply);
    freeReplyObject(ask(client, "SET %s:fleeting 1 EX 100", prefix));
    reply = ask(client, "TTL %s:fleeting", prefix);
    printf("ttl=%lld\n", reply->integer);
    freeReplyObject(reply);
}

static void together(redisContext *client) {
    freeReplyObject(ask(client, "MULTI"));
    freeReplyObject(ask(client, "SET %s:number 1", prefix));
    freeReplyObject(ask(client, "INCR %s:number", prefix));
    redisReply *reply = ask(client, "EXEC");
    printf("transaction=%s,%lld\n", reply->element[0]->str, reply->element[1]->integer);
    freeReplyObject(reply);
    reply = ask(client, "EVAL %s 1 %s:script seven 7", "return {ARGV[1], tonumber(ARGV[2]) + 1}", prefix);
    printf("script=%s,%lld\n", reply->element[0]->str, reply->element[1]->integer);
    freeReplyObject(reply);
    int right = 0;
    for (int n = 0; n < 500; n++) {
        freeReplyObject(ask(client, "SET %s:spread:%d %d", prefix, n, n));
        reply = ask(client, "GET %s:spread:%d", prefix, n);
        right += reply->str && atoi(reply->str) == n;
        freeReplyObject(reply);
    }
    printf("spread=%d\n", right);
}

static void pubsub(redisContext *client, redisContext *subscriber) {
    redisReply *reply = ask(subscriber, "SUBSCRIBE %s:channel", prefix);
    freeReplyObject(reply);
    freeReplyObject(ask(client, "PUBLISH %s:channel hello", prefix));
    if (redisGetReply(subscriber, (void **)&reply) != REDIS_OK) exit(1);
    printf("pubsub=%s\n", reply->element[2]->str);
    freeReplyObject(reply);
    redisFree(subscriber);
}

int main(int count, char **words) {
    if (count < 5) return 2;
    prefix = words[4];
    redisContext *client = connect_to(words[2], words[3]);
    strings(client);
    collections(client);
    together(client);
    pubsub(client, connect_to(words[2], words[3]));
    redisFree(client);
    return 0;
}
