"""What servers tell of themselves: the fields of INFO."""

from __future__ import annotations

from cluster.operations.link import NodeLink


def read_info(link: NodeLink, *sections: str) -> dict[str, str]:
    """The fields by name, of the default sections if none is given."""
    lines = (line.partition(":") for line in link.call_text("INFO", *sections).splitlines())
    return {name: value for name, colon, value in lines if colon and not name.startswith("#")}


def server_version(fields: dict[str, str]) -> str:
    """`valkey 9.1.2`. `redis_version` alone would be, of all others, the Redis they are compatible with."""
    if "shoal_version" in fields:
        return f"shoal {fields['shoal_version']}"
    name = fields.get("server_name", "redis")
    return f"{name} {fields.get(f'{name}_version', '?')}"


def keys_per_database(link: NodeLink) -> dict[int, int]:
    """Number of each database that has keys -> how many."""
    found = {}
    for name, value in read_info(link, "keyspace").items():
        if name.startswith("db") and name[2:].isdecimal():
            found[int(name[2:])] = int(value.partition(",")[0].removeprefix("keys="))
    return found
