"""What servers tell of themselves: the fields of INFO."""

from __future__ import annotations

from cluster.operations.link import NodeLink
from cluster.readings.info import fields_of


def read_info(link: NodeLink, *sections: str) -> dict[str, str]:
    """The fields by name, of the default sections if none is given."""
    return fields_of(link.call_text("INFO", *sections))


def keys_per_database(link: NodeLink) -> dict[int, int]:
    """Number of each database that has keys -> how many."""
    found = {}
    for name, value in read_info(link, "keyspace").items():
        if name.startswith("db") and name[2:].isdecimal():
            found[int(name[2:])] = int(value.partition(",")[0].removeprefix("keys="))
    return found
