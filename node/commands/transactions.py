"""Transactions."""

from node.commands.model import Command, group, keys

# fmt: off
COMMANDS = group(
    "transactions",
    Command("discard", "2.0.0",  1, "noscript loading stale fast allow_busy"),
    Command("exec",    "1.2.0",  1, "noscript loading stale skip_slowlog"),
    Command("multi",   "1.2.0",  1, "noscript loading stale fast allow_busy"),
    Command("unwatch", "2.2.0",  1, "noscript loading stale fast allow_busy"),
    Command("watch",   "2.2.0", -2, "noscript loading stale fast allow_busy", keys("RO")),
)
