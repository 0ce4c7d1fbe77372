/* What the programs in C and Objective-C recite, on hiredis: the same source serves both languages. */

#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static redisContext *connect_to(const char *host, const char *port) {
    redisContext *context = redisConnect(host, atoi(port));
    if (!context || context->err) {
        fprintf(stderr, "%s\n", context ? context->errstr : "no memory");
        exit(1);
    }
    return context;
}

static redisReply *ask(redisContext *context, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(context, format, arguments);
    va_end(arguments);
    if (!reply) {
        fprintf(stderr, "%s\n", context->errstr);
        exit(1);
    }
    return reply;
}
