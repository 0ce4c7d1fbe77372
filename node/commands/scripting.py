"""Scripts and functions."""

from node.commands.model import Command, counted, group

# fmt: off
COMMANDS = group(
    "scripting",
    Command("eval",       "2.6.0", -3, "noscript stale skip_monitor no_mandatory_keys",
            counted("RW access update", 2)),
    Command("eval_ro",    "7.0.0", -3, "readonly noscript stale skip_monitor no_mandatory_keys",
            counted("RO access", 2)),
    Command("evalsha",    "2.6.0", -3, "noscript stale skip_monitor no_mandatory_keys",
            counted("RW access update", 2)),
    Command("evalsha_ro", "7.0.0", -3, "readonly noscript stale skip_monitor no_mandatory_keys",
            counted("RO access", 2)),
    Command("fcall",      "7.0.0", -3, "noscript stale skip_monitor no_mandatory_keys",
            counted("RW access update", 2)),
    Command("fcall_ro",   "7.0.0", -3, "readonly noscript stale skip_monitor no_mandatory_keys",
            counted("RO access", 2)),

    Command("function", "7.0.0", -2, subcommands=(
        Command("delete",  "7.0.0",  3, "write noscript",         route="all_shards all_succeeded"),
        Command("dump",    "7.0.0",  2, "noscript"),
        Command("flush",   "7.0.0", -2, "write noscript",         route="all_shards all_succeeded"),
        Command("help",    "7.0.0",  2, "loading stale"),
        Command("kill",    "7.0.0",  2, "noscript allow_busy",    route="all_shards one_succeeded"),
        Command("list",    "7.0.0", -2, "noscript",               varies="order"),
        Command("load",    "7.0.0", -3, "write denyoom noscript", route="all_shards all_succeeded"),
        Command("restore", "7.0.0", -3, "write denyoom noscript", route="all_shards all_succeeded"),
        Command("stats",   "7.0.0",  2, "noscript allow_busy",    varies="output",
                route="all_shards special"),
    )),

    Command("script", "2.6.0", -2, subcommands=(
        Command("debug",  "3.2.0",  3, "noscript"),
        Command("exists", "2.6.0", -3, "noscript",            route="all_shards agg_logical_and"),
        Command("flush",  "2.6.0", -2, "noscript",            route="all_nodes all_succeeded"),
        Command("help",   "5.0.0",  2, "loading stale"),
        Command("kill",   "2.6.0",  2, "noscript allow_busy", route="all_shards one_succeeded"),
        Command("load",   "2.6.0",  3, "noscript stale",      route="all_nodes all_succeeded"),
        Command("show",   "8.0.0",  3, "noscript stale"),
    )),
)
