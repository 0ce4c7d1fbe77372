"""Streams."""

from node.commands.model import Command, after, group, key

# fmt: off
COMMANDS = group(
    "stream",
    Command("xack",       "5.0.0", -4, "write fast",         key("RW update")),
    Command("xackdel",    "8.2.0", -6, "write fast",         key("RW update delete")),
    Command("xadd",       "5.0.0", -5, "write denyoom fast", key("RW update"), varies="output"),
    Command("xautoclaim", "6.2.0", -6, "write fast",         key("RW delete"), varies="output"),
    Command("xclaim",     "5.0.0", -6, "write fast",         key("RW update"), varies="output"),
    Command("xdel",       "5.0.0", -3, "write fast",         key("RW delete")),
    Command("xdelex",     "8.2.0", -5, "write fast",         key("RW delete")),
    Command("xlen",       "5.0.0",  2, "readonly fast",      key("RO")),
    Command("xpending",   "5.0.0", -3, "readonly",           key("RO access"), varies="output"),
    Command("xrange",     "5.0.0", -4, "readonly",           key("RO access")),
    Command("xread",      "5.0.0", -4, "readonly blocking",
            after("STREAMS", "RO access", 1, last=-1, limit=2)),
    Command("xreadgroup", "5.0.0", -7, "write blocking",
            after("STREAMS", "RO access", 4, last=-1, limit=2)),
    Command("xrevrange",  "5.0.0", -4, "readonly",           key("RO access")),
    Command("xsetid",     "5.0.0", -3, "write denyoom fast", key("RW update")),
    Command("xtrim",      "5.0.0", -4, "write",              key("RW delete"), varies="output"),

    Command("xgroup", "5.0.0", -2, subcommands=(
        Command("create",         "5.0.0", -5, "write denyoom", key("RW insert", 2)),
        Command("createconsumer", "6.2.0",  5, "write denyoom", key("RW insert", 2)),
        Command("delconsumer",    "5.0.0",  5, "write",         key("RW delete", 2)),
        Command("destroy",        "5.0.0",  4, "write",         key("RW delete", 2)),
        Command("help",           "5.0.0",  2, "loading stale"),
        Command("setid",          "5.0.0", -5, "write",         key("RW update", 2)),
    )),

    Command("xinfo", "5.0.0", -2, subcommands=(
        Command("consumers", "5.0.0",  4, "readonly",      key("RO access", 2), varies="output"),
        Command("groups",    "5.0.0",  3, "readonly",      key("RO access", 2)),
        Command("help",      "5.0.0",  2, "loading stale"),
        Command("stream",    "5.0.0", -3, "readonly",      key("RO access", 2)),
    )),
)
