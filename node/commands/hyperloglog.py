"""HyperLogLog: strings that count distinct elements."""

from node.commands.model import Command, group, key, keys

# fmt: off
COMMANDS = group(
    "hyperloglog",
    Command("pfadd",      "2.8.9", -2, "write denyoom fast",  key("RW insert")),
    Command("pfcount",    "2.8.9", -2, "readonly",            keys("RW access")),
    Command("pfdebug",    "2.8.9",  3, "write denyoom admin", key("RW access", 2)),
    Command("pfmerge",    "2.8.9", -2, "write denyoom",       key("RW access insert"), keys("RO access", 2)),
    Command("pfselftest", "2.8.9",  1, "admin"),
)
