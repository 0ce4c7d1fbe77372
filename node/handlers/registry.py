"""Which function carries out which command.

A handler is a plain function `(ctx, args) -> reply value`, registered under the command's name in the
command table (`node/commands`); a subcommand's name is `container|subcommand`. `ctx` is the session that
called (`node/session`), `args` are the arguments after the name (after the subcommand's, where there is
one). It returns a reply value (`node/replies`) or raises `ReplyError`; it never sees a socket.
The table decides arity, flags and keys, so a handler may rely on them having been checked.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

from node.commands import TABLE
from node.commands.model import Command

Handler = Callable[[Any, list[bytes]], Any]

HANDLERS: dict[str, Handler] = {}


def command(*names: str) -> Callable[[Handler], Handler]:
    """Register the decorated function as the handler of the commands `names`."""

    def register(function: Handler) -> Handler:
        for name in names:
            if name in HANDLERS:
                raise ValueError(f"command {name!r} has two handlers")
            HANDLERS[name] = function
        return function

    return register


def load_all() -> None:
    """Import every handler module of this package, so that HANDLERS is complete."""
    package = importlib.import_module("node.handlers")
    for module in pkgutil.iter_modules(package.__path__, "node.handlers."):
        importlib.import_module(module.name)


def served_commands(renamed: dict[str, str]) -> dict[str, Command]:
    """name → row of the commands a worker serves: those with a handler, or with one below them.

    `renamed` (rename-command) gives some another name; an empty one takes the command away.
    """
    served = {
        renamed.get(name, name): row
        for name, row in TABLE.items()
        if name in HANDLERS or any(sub.name in HANDLERS for sub in row.subcommands.values())
    }
    served.pop("", None)
    return served


def rows(commands: dict[str, Command]) -> Iterator[tuple[str, Command, Handler]]:
    """(name, row, handler) of these commands, and of their subcommands under no name."""
    for name, row in commands.items():
        if row.name in HANDLERS:
            yield name, row, HANDLERS[row.name]
        for each in row.subcommands.values():
            if each.name in HANDLERS:
                yield "", each, HANDLERS[each.name]
