"""MODULE LIST: none, and none can be loaded. Modules are C libraries for another server's inside."""

from __future__ import annotations

from typing import Any

from node.handlers.registry import command

HELP = [
    "MODULE <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "LIST",
    "    The modules that are loaded, of which there are none.",
    "HELP",
    "    Print this help.",
]


@command("module|list")
def list_(ctx: Any, args: list[bytes]) -> list[Any]:
    return []


@command("module|help")
def help_(ctx: Any, args: list[bytes]) -> list[str]:
    return HELP
