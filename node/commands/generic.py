"""Generic: commands on keys of any type."""

from node.commands.model import Command, after, group, key, keys, unknown

# fmt: off
COMMANDS = group(
    "generic",
    Command("copy",        "6.2.0", -3, "write denyoom", key("RO access"), key("OW update", 2)),
    Command("del",         "1.0.0", -2, "write",         keys("RM delete"), route="multi_shard agg_sum"),
    Command("dump",        "2.6.0",  2, "readonly",      key("RO access"), varies="output"),
    Command("exists",      "1.0.0", -2, "readonly fast", keys("RO"), route="multi_shard agg_sum"),
    Command("expire",      "1.0.0", -3, "write fast",    key("RW update")),
    Command("expireat",    "1.2.0", -3, "write fast",    key("RW update")),
    Command("expiretime",  "7.0.0",  2, "readonly fast", key("RO access")),
    Command("keys",        "1.0.0",  2, "readonly",      acl="keyspace dangerous", varies="order",
            route="all_shards"),
    Command("migrate",     "2.6.0", -6, "write",         key("RW access delete", 3),
            after("KEYS", "RW access delete incomplete", -2, last=-1), acl="keyspace dangerous",
            varies="output"),
    Command("move",        "1.0.0",  3, "write fast",    key("RW access update")),
    Command("persist",     "2.2.0",  2, "write fast",    key("RW update")),
    Command("pexpire",     "2.6.0", -3, "write fast",    key("RW update")),
    Command("pexpireat",   "2.6.0", -3, "write fast",    key("RW update")),
    Command("pexpiretime", "7.0.0",  2, "readonly fast", key("RO access")),
    Command("pttl",        "2.6.0",  2, "readonly fast", key("RO access"), varies="output"),
    Command("randomkey",   "1.0.0",  1, "readonly",      varies="output", route="all_shards special"),
    Command("rename",      "1.0.0",  3, "write",         key("RW access delete"), key("OW update", 2)),
    Command("renamenx",    "1.0.0",  3, "write fast",    key("RW access delete"), key("OW insert", 2)),
    Command("restore",     "2.6.0", -4, "write denyoom", key("OW update"), acl="keyspace dangerous"),
    Command("scan",        "2.8.0", -2, "readonly",      varies="output", route="special special"),
    Command("sort",        "1.0.0", -2, "write denyoom", key("RO access"), unknown("RO access"),
            unknown("OW update"), acl="set sortedset list dangerous"),
    Command("sort_ro",     "7.0.0", -2, "readonly",      key("RO access"), unknown("RO access"),
            acl="set sortedset list dangerous"),
    Command("touch",       "3.2.1", -2, "readonly fast", keys("RO"), route="multi_shard agg_sum"),
    Command("ttl",         "1.0.0",  2, "readonly fast", key("RO access"), varies="output"),
    Command("type",        "1.0.0",  2, "readonly fast", key("RO")),
    Command("unlink",      "4.0.0", -2, "write fast",    keys("RM delete"), route="multi_shard agg_sum"),
    Command("wait",        "3.0.0",  3, "blocking",      acl="connection", route="all_shards agg_min"),
    Command("waitaof",     "7.2.0",  4, "blocking",      acl="connection", route="all_shards agg_min"),

    Command("object", "2.2.3", -2, subcommands=(
        Command("encoding", "2.2.3",  3, "readonly",      key("RO", 2), varies="output"),
        Command("freq",     "4.0.0",  3, "readonly",      key("RO", 2), varies="output"),
        Command("help",     "6.2.0",  2, "loading stale"),
        Command("idletime", "2.2.3",  3, "readonly",      key("RO", 2), varies="output"),
        Command("refcount", "2.2.3",  3, "readonly",      key("RO", 2), varies="output"),
    )),
)
