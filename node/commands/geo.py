"""Geo: sorted sets whose scores are places on Earth."""

from node.commands.model import Command, after, group, key

# fmt: off
COMMANDS = group(
    "geo",
    Command("geoadd",               "3.2.0",  -5, "write denyoom", key("RW update")),
    Command("geodist",              "3.2.0",  -4, "readonly",      key("RO access")),
    Command("geohash",              "3.2.0",  -2, "readonly",      key("RO access")),
    Command("geopos",               "3.2.0",  -2, "readonly",      key("RO access")),
    Command("georadius",            "3.2.0",  -6, "write denyoom", key("RO access"),
            after("STORE", "OW update", 6), after("STOREDIST", "OW update", 6)),
    Command("georadius_ro",         "3.2.10", -6, "readonly",      key("RO access")),
    Command("georadiusbymember",    "3.2.0",  -5, "write denyoom", key("RO access"),
            after("STORE", "OW update", 5), after("STOREDIST", "OW update", 5)),
    Command("georadiusbymember_ro", "3.2.10", -5, "readonly",      key("RO access")),
    Command("geosearch",            "6.2.0",  -7, "readonly",      key("RO access")),
    Command("geosearchstore",       "6.2.0",  -8, "write denyoom", key("OW update"), key("RO access", 2)),
)
