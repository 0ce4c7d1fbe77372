"""Sets."""

from node.commands.model import Command, counted, group, key, keys

# fmt: off
COMMANDS = group(
    "set",
    Command("sadd",        "1.0.0", -3, "write denyoom fast", key("RW insert")),
    Command("scard",       "1.0.0",  2, "readonly fast",      key("RO")),
    Command("sdiff",       "1.0.0", -2, "readonly",           keys("RO access"), varies="order"),
    Command("sdiffstore",  "1.0.0", -3, "write denyoom",      key("OW update"), keys("RO access", 2)),
    Command("sinter",      "1.0.0", -2, "readonly",           keys("RO access"), varies="order"),
    Command("sintercard",  "7.0.0", -3, "readonly",           counted("RO access")),
    Command("sinterstore", "1.0.0", -3, "write denyoom",      key("OW update"), keys("RO access", 2)),
    Command("sismember",   "1.0.0",  3, "readonly fast",      key("RO")),
    Command("smembers",    "1.0.0",  2, "readonly",           key("RO access"), varies="order"),
    Command("smismember",  "6.2.0", -3, "readonly fast",      key("RO access")),
    Command("smove",       "1.0.0",  4, "write fast",         key("RW access delete"), key("RW insert", 2)),
    Command("spop",        "1.0.0", -2, "write fast",         key("RW access delete"), varies="output"),
    Command("srandmember", "1.0.0", -2, "readonly",           key("RO access"), varies="output"),
    Command("srem",        "1.0.0", -3, "write fast",         key("RW delete")),
    Command("sscan",       "2.8.0", -3, "readonly",           key("RO access"), varies="output"),
    Command("sunion",      "1.0.0", -2, "readonly",           keys("RO access"), varies="order"),
    Command("sunionstore", "1.0.0", -3, "write denyoom",      key("OW update"), keys("RO access", 2)),
)
