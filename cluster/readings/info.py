"""The fields of INFO."""

from __future__ import annotations

from collections.abc import Mapping


def fields_of(text: str) -> dict[str, str]:
    """By name."""
    lines = (line.partition(":") for line in text.splitlines())
    return {name: value for name, colon, value in lines if colon and not name.startswith("#")}


def server_version(fields: Mapping[str, str]) -> str:
    """`valkey 9.1.2`. `redis_version` alone would be, of all others, the Redis they are compatible with."""
    if "shoal_version" in fields:
        return f"shoal {fields['shoal_version']}"
    name = fields.get("server_name", "redis")
    return f"{name} {fields.get(f'{name}_version', '?')}"
