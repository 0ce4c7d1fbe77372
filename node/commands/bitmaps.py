"""Bitmaps: strings seen as bits."""

from node.commands.model import Command, group, key, keys

# fmt: off
COMMANDS = group(
    "bitmap",
    Command("bitcount",    "2.6.0", -2, "readonly",      key("RO access")),
    Command("bitfield",    "3.2.0", -2, "write denyoom", key("RW access update variable_flags")),
    Command("bitfield_ro", "6.0.0", -2, "readonly fast", key("RO access")),
    Command("bitop",       "2.6.0", -4, "write denyoom", key("OW update", 2), keys("RO access", 3)),
    Command("bitpos",      "2.8.7", -3, "readonly",      key("RO access")),
    Command("getbit",      "2.2.0",  3, "readonly fast", key("RO access")),
    Command("setbit",      "2.2.0",  4, "write denyoom", key("RW access update")),
)
