"""Publish and subscribe. Sharded channels are routed like keys without being keys (`not_key`)."""

from node.commands.model import Command, group, key, keys

# fmt: off
COMMANDS = group(
    "pubsub",
    Command("psubscribe",   "2.0.0", -2, "pubsub noscript loading stale"),
    Command("publish",      "2.0.0",  3, "pubsub loading stale fast"),
    Command("punsubscribe", "2.0.0", -1, "pubsub noscript loading stale"),
    Command("spublish",     "7.0.0",  3, "pubsub loading stale fast",     key("not_key")),
    Command("ssubscribe",   "7.0.0", -2, "pubsub noscript loading stale", keys("not_key")),
    Command("subscribe",    "2.0.0", -2, "pubsub noscript loading stale"),
    Command("sunsubscribe", "7.0.0", -1, "pubsub noscript loading stale", keys("not_key")),
    Command("unsubscribe",  "2.0.0", -1, "pubsub noscript loading stale"),

    Command("pubsub", "2.8.0", -2, subcommands=(
        Command("channels",      "2.8.0", -2, "pubsub loading stale"),
        Command("help",          "6.2.0",  2, "loading stale"),
        Command("numpat",        "2.8.0",  2, "pubsub loading stale"),
        Command("numsub",        "2.8.0", -2, "pubsub loading stale"),
        Command("shardchannels", "7.0.0", -2, "pubsub loading stale"),
        Command("shardnumsub",   "7.0.0", -2, "pubsub loading stale"),
    )),
)
