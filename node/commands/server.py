"""Server: looking at a worker and running it."""

from node.commands.model import Command, group, key

# fmt: off
COMMANDS = group(
    "server",
    Command("bgrewriteaof",   "1.0.0",   1, "admin noscript no_async_loading"),
    Command("bgsave",         "1.0.0",  -1, "admin noscript no_async_loading"),
    Command("dbsize",         "1.0.0",   1, "readonly fast",                      acl="keyspace",
            route="all_shards agg_sum"),
    Command("debug",          "1.0.0",  -2, "admin noscript loading stale"),
    Command("failover",       "6.2.0",  -1, "admin noscript stale"),
    Command("flushall",       "1.0.0",  -1, "write",                              acl="keyspace dangerous",
            route="all_shards all_succeeded"),
    Command("flushdb",        "1.0.0",  -1, "write",                              acl="keyspace dangerous",
            route="all_shards all_succeeded"),
    Command("info",           "1.0.0",  -1, "loading stale",                      acl="dangerous",
            varies="output", route="all_shards special"),
    Command("lastsave",       "1.0.0",   1, "loading stale fast",                 acl="admin dangerous",
            varies="output"),
    Command("lolwut",         "5.0.0",  -1, "readonly fast"),
    Command("monitor",        "1.0.0",   1, "admin noscript loading stale"),
    Command("psync",          "2.8.0",  -3, "admin noscript no_async_loading no_multi"),
    Command("replconf",       "3.0.0",  -1, "admin noscript loading stale allow_busy"),
    Command("replicaof",      "5.0.0",   3, "admin noscript stale no_async_loading"),
    Command("restore-asking", "3.0.0",  -4, "write denyoom asking",               key("OW update"),
            acl="keyspace dangerous"),
    Command("role",           "2.8.12",  1, "noscript loading stale fast",        acl="admin dangerous"),
    Command("save",           "1.0.0",   1, "admin noscript no_async_loading no_multi"),
    Command("shutdown",       "1.0.0",  -1, "admin noscript loading stale no_multi allow_busy"),
    Command("slaveof",        "1.0.0",   3, "admin noscript stale no_async_loading"),
    Command("swapdb",         "4.0.0",   3, "write fast",                         acl="keyspace dangerous"),
    Command("sync",           "1.0.0",   1, "admin noscript no_async_loading no_multi"),
    Command("time",           "2.6.0",   1, "loading stale fast",                 varies="output"),

    Command("acl", "6.0.0", -2, subcommands=(
        Command("cat",     "6.0.0", -2, "noscript loading stale"),
        Command("deluser", "6.0.0", -3, "admin noscript loading stale", route="all_nodes all_succeeded"),
        Command("dryrun",  "7.0.0", -4, "admin noscript loading stale"),
        Command("genpass", "6.0.0", -2, "noscript loading stale"),
        Command("getuser", "6.0.0",  3, "admin noscript loading stale"),
        Command("help",    "6.0.0",  2, "loading stale"),
        Command("list",    "6.0.0",  2, "admin noscript loading stale"),
        Command("load",    "6.0.0",  2, "admin noscript loading stale"),
        Command("log",     "6.0.0", -2, "admin noscript loading stale"),
        Command("save",    "6.0.0",  2, "admin noscript loading stale", route="all_nodes all_succeeded"),
        Command("setuser", "6.0.0", -3, "admin noscript loading stale", route="all_nodes all_succeeded"),
        Command("users",   "6.0.0",  2, "admin noscript loading stale"),
        Command("whoami",  "6.0.0",  2, "noscript loading stale"),
    )),

    Command("command", "2.8.13", -1, "loading stale", acl="connection", varies="order", subcommands=(
        Command("count",           "2.8.13",  2, "loading stale", acl="connection"),
        Command("docs",            "7.0.0",  -2, "loading stale", acl="connection", varies="order"),
        Command("getkeys",         "2.8.13", -3, "loading stale", acl="connection"),
        Command("getkeysandflags", "7.0.0",  -3, "loading stale", acl="connection"),
        Command("help",            "5.0.0",   2, "loading stale", acl="connection"),
        Command("info",            "2.8.13", -2, "loading stale", acl="connection", varies="order"),
        Command("list",            "7.0.0",  -2, "loading stale", acl="connection", varies="order"),
    )),

    Command("commandlog", "8.1.0", -2, subcommands=(
        Command("get",   "8.1.0",  4, "admin loading stale", varies="output", route="all_nodes"),
        Command("help",  "8.1.0",  2, "loading stale"),
        Command("len",   "8.1.0",  3, "admin loading stale", varies="output", route="all_nodes agg_sum"),
        Command("reset", "8.1.0",  3, "admin loading stale", route="all_nodes all_succeeded"),
    )),

    Command("config", "2.0.0", -2, subcommands=(
        Command("get",       "2.0.0", -3, "admin noscript loading stale"),
        Command("help",      "5.0.0",  2, "loading stale"),
        Command("resetstat", "2.0.0",  2, "admin noscript loading stale", route="all_nodes all_succeeded"),
        Command("rewrite",   "2.8.0",  2, "admin noscript loading stale", route="all_nodes all_succeeded"),
        Command("set",       "2.0.0", -4, "admin noscript loading stale", route="all_nodes all_succeeded"),
    )),

    Command("hotkeys", "8.6.0", -2, subcommands=(
        Command("get",   "8.6.0",  2, "admin noscript", varies="output", route="all_nodes"),
        Command("help",  "8.6.0",  2, "loading stale"),
        Command("reset", "8.6.0",  2, "admin noscript", route="all_nodes all_succeeded"),
        Command("start", "8.6.0", -2, "admin noscript", route="all_nodes all_succeeded"),
        Command("stop",  "8.6.0",  2, "admin noscript", route="all_nodes all_succeeded"),
    )),

    Command("latency", "2.8.13", -2, subcommands=(
        Command("doctor",    "2.8.13",  2, "admin noscript loading stale", varies="output",
                route="all_nodes special"),
        Command("graph",     "2.8.13",  3, "admin noscript loading stale", varies="output",
                route="all_nodes special"),
        Command("help",      "2.8.13",  2, "loading stale"),
        Command("histogram", "7.0.0",  -2, "admin noscript loading stale", varies="output",
                route="all_nodes special"),
        Command("history",   "2.8.13",  3, "admin noscript loading stale", varies="output",
                route="all_nodes special"),
        Command("latest",    "2.8.13",  2, "admin noscript loading stale", varies="output",
                route="all_nodes special"),
        Command("reset",     "2.8.13", -2, "admin noscript loading stale", route="all_nodes agg_sum"),
    )),

    Command("memory", "4.0.0", -2, subcommands=(
        Command("doctor",       "4.0.0",  2, varies="output", route="all_shards special"),
        Command("help",         "4.0.0",  2, "loading stale"),
        Command("malloc-stats", "4.0.0",  2, varies="output", route="all_shards special"),
        Command("purge",        "4.0.0",  2, route="all_shards all_succeeded"),
        Command("stats",        "4.0.0",  2, varies="output", route="all_shards special"),
        Command("usage",        "4.0.0", -3, "readonly",      key("RO", 2)),
    )),

    Command("module", "4.0.0", -2, subcommands=(
        Command("help",   "5.0.0",  2, "loading stale"),
        Command("list",   "4.0.0",  2, "admin noscript",                  varies="order"),
        Command("load",   "4.0.0", -3, "admin noscript no_async_loading"),
        Command("loadex", "7.0.0", -3, "admin noscript no_async_loading"),
        Command("unload", "4.0.0",  3, "admin noscript no_async_loading"),
    )),

    Command("slowlog", "2.2.12", -2, subcommands=(
        Command("get",   "2.2.12", -2, "admin loading stale", varies="output", route="all_nodes"),
        Command("help",  "6.2.0",   2, "loading stale"),
        Command("len",   "2.2.12",  2, "admin loading stale", varies="output", route="all_nodes agg_sum"),
        Command("reset", "2.2.12",  2, "admin loading stale", route="all_nodes all_succeeded"),
    )),
)
