"""COMMAND: the worker tells what it can do: what it has handlers for (node/commands/catalogue.py)."""

from __future__ import annotations

from typing import Any

from node.commands.catalogue import Catalogue
from node.handlers.registry import HANDLERS, command

_catalogue = Catalogue(lambda row: row.name in HANDLERS)
every_offered = _catalogue.every


@command("command")
def command_(ctx: Any, args: list[bytes]) -> Any:
    return _catalogue.info([])


@command("command|count")
def count(ctx: Any, args: list[bytes]) -> int:
    return _catalogue.count(args)


@command("command|list")
def list_(ctx: Any, args: list[bytes]) -> list[bytes]:
    return _catalogue.names(args)


@command("command|info")
def info(ctx: Any, args: list[bytes]) -> Any:
    return _catalogue.info(args)


@command("command|docs")
def docs(ctx: Any, args: list[bytes]) -> dict[bytes, Any]:
    return _catalogue.docs(args)


@command("command|getkeys")
def getkeys(ctx: Any, args: list[bytes]) -> Any:
    return _catalogue.getkeys(args)


@command("command|getkeysandflags")
def getkeysandflags(ctx: Any, args: list[bytes]) -> Any:
    return _catalogue.getkeysandflags(args)


@command("command|help")
def help_(ctx: Any, args: list[bytes]) -> Any:
    return _catalogue.help(args)
