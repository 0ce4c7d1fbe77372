"""Which function carries out which command.

A handler is a plain function `(ctx, args) -> reply value`, registered under the command's name in the
command table (`node/commands`); a subcommand's name is `container|subcommand`. `ctx` is the session that
called (`node/session`), `args` are the arguments after the name (after the subcommand's, where there is
one). It returns a reply value (`node/replies`) or raises `ReplyError`; it never sees a socket.
The table decides arity, flags and keys, so a handler may rely on them having been checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
