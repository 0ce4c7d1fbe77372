"""Strings: the type with the most options on the fewest commands."""

from node.commands.model import Command, counted, group, key, keys

# fmt: off
COMMANDS = group(
    "string",
    Command("append",      "2.0.0",  3, "write denyoom fast", key("RW insert")),
    Command("decr",        "1.0.0",  2, "write denyoom fast", key("RW access update")),
    Command("decrby",      "1.0.0",  3, "write denyoom fast", key("RW access update")),
    Command("delifeq",     "9.0.0",  3, "write fast",         key("RM delete")),
    Command("get",         "1.0.0",  2, "readonly fast",      key("RO access")),
    Command("getdel",      "6.2.0",  2, "write fast",         key("RW access delete")),
    Command("getex",       "6.2.0", -2, "write fast",         key("RW access update")),
    Command("getrange",    "2.4.0",  4, "readonly",           key("RO access")),
    Command("getset",      "1.0.0",  3, "write denyoom fast", key("RW access update")),
    Command("incr",        "1.0.0",  2, "write denyoom fast", key("RW access update")),
    Command("incrby",      "1.0.0",  3, "write denyoom fast", key("RW access update")),
    Command("incrbyfloat", "2.6.0",  3, "write denyoom fast", key("RW access update")),
    Command("lcs",         "7.0.0", -3, "readonly",           key("RO access", last=1)),
    Command("mget",        "1.0.0", -2, "readonly fast",      keys("RO access"), route="multi_shard"),
    Command("mset",        "1.0.1", -3, "write denyoom",      keys("OW update", step=2),
            route="multi_shard all_succeeded"),
    Command("msetex",      "9.1.0", -4, "write denyoom",      counted("OW update", step=2),
            route="multi_shard all_succeeded"),
    Command("msetnx",      "1.0.1", -3, "write denyoom",      keys("OW insert", step=2)),
    Command("psetex",      "2.6.0",  4, "write denyoom",      key("OW update")),
    Command("set",         "1.0.0", -3, "write denyoom",      key("RW access update variable_flags")),
    Command("setex",       "2.0.0",  4, "write denyoom",      key("OW update")),
    Command("setnx",       "1.0.0",  3, "write denyoom fast", key("OW insert")),
    Command("setrange",    "2.2.0",  4, "write denyoom",      key("RW update")),
    Command("strlen",      "2.2.0",  2, "readonly fast",      key("RO")),
    Command("substr",      "1.0.0",  4, "readonly",           key("RO access")),
)
