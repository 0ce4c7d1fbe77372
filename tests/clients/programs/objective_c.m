// Objective-C, on hiredis: what an application for a phone's backend would do.

#import <objc/Object.h>

#include "hiredis.h"

@interface Client : Object {
    redisContext *context;
    const char *prefix;
}
+ (Client *)connectedTo:(const char *)host port:(const char *)port prefix:(const char *)prefix;
- (void)recite;
@end

extern id class_createInstance(Class, unsigned long);

@implementation Client
+ (Client *)connectedTo:(const char *)host port:(const char *)port prefix:(const char *)prefix {
    Client *client = class_createInstance(self, 0);
    client->context = connect_to(host, port);
    client->prefix = prefix;
    return client;
}

- (void)tell:(const char *)name of:(redisReply *)reply {
    if (reply->type == REDIS_REPLY_INTEGER)
        printf("%s=%lld\n", name, reply->integer);
    else
        printf("%s=%s\n", name, reply->type == REDIS_REPLY_NIL ? "nil" : reply->str);
    freeReplyObject(reply);
}

- (void)recite {
    [self tell:"ping" of:ask(context, "PING")];
    [self tell:"missing" of:ask(context, "GET %s:missing", prefix)];
    freeReplyObject(ask(context, "SET %s:fleeting 1 EX 100", prefix));
    [self tell:"ttl" of:ask(context, "TTL %s:fleeting", prefix)];
    int right = 0;
    for (int n = 0; n < 500; n++) {
        freeReplyObject(ask(context, "SET %s:spread:%d %d", prefix, n, n));
        redisReply *reply = ask(context, "GET %s:spread:%d", prefix, n);
        right += reply->str && atoi(reply->str) == n;
        freeReplyObject(reply);
    }
    printf("spread=%d\n", right);
}
@end

int main(int count, char **words) {
    if (count < 5) return 2;
    [[Client connectedTo:words[2] port:words[3] prefix:words[4]] recite];
    return 0;
}
