"""Connection: what a client says about itself."""

from node.commands.model import Command, group

# fmt: off
COMMANDS = group(
    "connection",
    Command("auth",   "1.0.0", -2, "noscript loading stale fast no_auth allow_busy"),
    Command("echo",   "1.0.0",  2, "loading stale fast"),
    Command("hello",  "6.0.0", -1, "noscript loading stale fast no_auth allow_busy"),
    Command("ping",   "1.0.0", -1, "fast",                               route="all_shards all_succeeded"),
    Command("quit",   "1.0.0", -1, "noscript loading stale fast no_auth allow_busy"),
    Command("reset",  "6.2.0",  1, "noscript loading stale fast no_auth allow_busy"),
    Command("select", "1.0.0",  2, "loading stale fast"),

    Command("client", "2.4.0", -2, subcommands=(
        Command("caching",       "6.0.0",  3, "noscript loading stale"),
        Command("capa",          "8.0.0", -3, "noscript loading stale allow_busy"),
        Command("getname",       "2.6.9",  2, "noscript loading stale"),
        Command("getredir",      "6.0.0",  2, "noscript loading stale"),
        Command("help",          "5.0.0",  2, "loading stale"),
        Command("id",            "5.0.0",  2, "noscript loading stale"),
        Command("import-source", "8.1.0",  3, "noscript loading stale"),
        Command("info",          "6.2.0",  2, "noscript loading stale",            varies="output"),
        Command("kill",          "2.4.0", -3, "admin noscript loading stale"),
        Command("list",          "2.4.0", -2, "admin noscript loading stale",      varies="output"),
        Command("no-evict",      "7.0.0",  3, "admin noscript loading stale"),
        Command("no-touch",      "7.2.0",  3, "noscript loading stale"),
        Command("pause",         "3.0.0", -3, "admin noscript loading stale"),
        Command("reply",         "3.2.0",  3, "noscript loading stale"),
        Command("setinfo",       "7.2.0",  4, "noscript loading stale",
                route="all_nodes all_succeeded"),
        Command("setname",       "2.6.9",  3, "noscript loading stale",
                route="all_nodes all_succeeded"),
        Command("tracking",      "6.0.0", -3, "noscript loading stale"),
        Command("trackinginfo",  "6.2.0",  2, "noscript loading stale"),
        Command("unblock",       "5.0.0", -3, "admin noscript loading stale"),
        Command("unpause",       "6.2.0",  2, "admin noscript loading stale"),
    )),
)
