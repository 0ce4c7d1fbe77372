"""Lists."""

from node.commands.model import Command, counted, group, key, keys

# fmt: off
COMMANDS = group(
    "list",
    Command("blmove",     "6.2.0",  6, "write denyoom blocking", key("RW access delete"),
            key("RW insert", 2)),
    Command("blmpop",     "7.0.0", -5, "write blocking",         counted("RW access delete", 2)),
    Command("blpop",      "2.0.0", -3, "write blocking",         keys("RW access delete", last=-2)),
    Command("brpop",      "2.0.0", -3, "write blocking",         keys("RW access delete", last=-2)),
    Command("brpoplpush", "2.2.0",  4, "write denyoom blocking", key("RW access delete"),
            key("RW insert", 2)),
    Command("lindex",     "1.0.0",  3, "readonly",               key("RO access")),
    Command("linsert",    "2.2.0",  5, "write denyoom",          key("RW insert")),
    Command("llen",       "1.0.0",  2, "readonly fast",          key("RO")),
    Command("lmove",      "6.2.0",  5, "write denyoom",          key("RW access delete"),
            key("RW insert", 2)),
    Command("lmpop",      "7.0.0", -4, "write",                  counted("RW access delete")),
    Command("lpop",       "1.0.0", -2, "write fast",             key("RW access delete")),
    Command("lpos",       "6.0.6", -3, "readonly",               key("RO access")),
    Command("lpush",      "1.0.0", -3, "write denyoom fast",     key("RW insert")),
    Command("lpushx",     "2.2.0", -3, "write denyoom fast",     key("RW insert")),
    Command("lrange",     "1.0.0",  4, "readonly",               key("RO access")),
    Command("lrem",       "1.0.0",  4, "write",                  key("RW delete")),
    Command("lset",       "1.0.0",  4, "write denyoom",          key("RW update")),
    Command("ltrim",      "1.0.0",  4, "write",                  key("RW delete")),
    Command("rpop",       "1.0.0", -2, "write fast",             key("RW access delete")),
    Command("rpoplpush",  "1.2.0",  3, "write denyoom",          key("RW access delete"),
            key("RW insert", 2)),
    Command("rpush",      "1.0.0", -3, "write denyoom fast",     key("RW insert")),
    Command("rpushx",     "2.2.0", -3, "write denyoom fast",     key("RW insert")),
)
