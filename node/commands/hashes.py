"""Hashes, with the expiry of single fields that Redis 7.4 began and both forks carry on."""

from node.commands.model import Command, group, key

# fmt: off
COMMANDS = group(
    "hash",
    Command("hdel",         "2.0.0", -3, "write fast",         key("RW delete")),
    Command("hexists",      "2.0.0",  3, "readonly fast",      key("RO")),
    Command("hexpire",      "7.4.0", -6, "write fast",         key("RW update")),
    Command("hexpireat",    "7.4.0", -6, "write fast",         key("RW update")),
    Command("hexpiretime",  "7.4.0", -5, "readonly fast",      key("RO access")),
    Command("hget",         "2.0.0",  3, "readonly fast",      key("RO access")),
    Command("hgetall",      "2.0.0",  2, "readonly",           key("RO access"), varies="order"),
    Command("hgetdel",      "8.0.0", -5, "write fast",         key("RW access delete")),
    Command("hgetex",       "8.0.0", -5, "write fast",         key("RW access update")),
    Command("hincrby",      "2.0.0",  4, "write denyoom fast", key("RW access update")),
    Command("hincrbyfloat", "2.6.0",  4, "write denyoom fast", key("RW access update")),
    Command("hkeys",        "2.0.0",  2, "readonly",           key("RO access"), varies="order"),
    Command("hlen",         "2.0.0",  2, "readonly fast",      key("RO")),
    Command("hmget",        "2.0.0", -3, "readonly fast",      key("RO access")),
    Command("hmset",        "2.0.0", -4, "write denyoom fast", key("RW update")),
    Command("hpersist",     "7.4.0", -5, "write fast",         key("RW update")),
    Command("hpexpire",     "7.4.0", -6, "write fast",         key("RW update")),
    Command("hpexpireat",   "7.4.0", -6, "write fast",         key("RW update")),
    Command("hpexpiretime", "7.4.0", -5, "readonly fast",      key("RO access")),
    Command("hpttl",        "7.4.0", -5, "readonly fast",      key("RO access"), varies="output"),
    Command("hrandfield",   "6.2.0", -2, "readonly",           key("RO access"), varies="output"),
    Command("hscan",        "2.8.0", -3, "readonly",           key("RO access"), varies="output"),
    Command("hset",         "2.0.0", -4, "write denyoom fast", key("RW update")),
    Command("hsetex",       "8.0.0", -6, "write denyoom fast", key("RW update")),
    Command("hsetnx",       "2.0.0",  4, "write denyoom fast", key("RW insert")),
    Command("hstrlen",      "3.2.0",  3, "readonly fast",      key("RO")),
    Command("httl",         "7.4.0", -5, "readonly fast",      key("RO access"), varies="output"),
    Command("hvals",        "2.0.0",  2, "readonly",           key("RO access"), varies="order"),
)
