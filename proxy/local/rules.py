"""Which commands and keys a proxy lets its clients use: `--allow`, `--deny`, `--allow-keys`.

Commands are named as in rules of ACLs: `get`, `config|set`, a container for all its subcommands, `@category`.
Without `--allow` all are allowed; `--deny` takes away. What an unauthenticated client may send (AUTH, HELLO,
QUIT, RESET) can always be sent. Keys are those that the command table knows of a request; what a script does
with others, and what KEYS and SCAN tell, is not looked at, as in Redis.

These rules hold for whoever comes by this proxy, before users of the workers' ACLs are asked anything. They
cost the plain path nothing: a command that is denied is not in the compiled table of those forwarded raw.
Patterns of keys are compared there if they are prefixes (`app:*`); others make every request take the way
through Python.
"""

from __future__ import annotations

from collections.abc import Sequence

from node.commands import TABLE, Command, every
from node.errors import ReplyError
from node.keyspace.glob import Glob

ALWAYS = "no_auth"
"""The flag of commands by which clients log in or leave"""
NO_KEY = ReplyError("NOPERM This proxy does not allow access to one of the keys")
WILD = frozenset(b"*?[\\")


class Rules:
    def __init__(
        self, allow: Sequence[str] = (), deny: Sequence[str] = (), keys: Sequence[bytes] = ()
    ) -> None:
        """Raises ValueError for a name that is no command and no category."""
        self._denied = _named(deny)
        if allow:
            self._denied |= {command.name for command in every()} - _named(allow)
        self._denied -= {command.name for command in every() if ALWAYS in command.flags}
        self._keys = [Glob(pattern) for pattern in keys]
        self.prefixes = _prefixes(keys)
        """The patterns of keys as prefixes; None if there are no patterns, [] if some are not prefixes"""

    def allows(self, command: Command) -> bool:
        return command.name not in self._denied

    def check(self, command: Command, argv: Sequence[bytes]) -> None:
        """Raises ReplyError for what is not allowed."""
        if command.name in self._denied:
            raise ReplyError(f"NOPERM This proxy does not allow the '{command.name}' command")
        if self._keys:
            for position in command.key_positions(argv):
                if not any(glob.matches(argv[position]) for glob in self._keys):
                    raise NO_KEY


def _named(words: Sequence[str]) -> set[str]:
    """Names of rows of the command table."""
    names: set[str] = set()
    for word in words:
        name = word.lower()
        row = _row(name)
        if name.startswith("@"):
            found = {each.name for each in every() if name[1:] in each.categories or name == "@all"}
        elif row is None:
            found = set()
        else:
            found = {row.name, *(each.name for each in row.subcommands.values())}
        if not found:
            raise ValueError(f"no command and no category of commands is called {word!r}")
        names |= found
    return names


def _row(name: str) -> Command | None:
    container, bar, sub = name.partition("|")
    row = TABLE.get(container)
    return row.subcommands.get(sub) if row is not None and bar else row


def _prefixes(patterns: Sequence[bytes]) -> list[bytes] | None:
    if not patterns:
        return None
    plain = [pattern[:-1] for pattern in patterns if pattern.endswith(b"*") and not WILD & set(pattern[:-1])]
    return plain if len(plain) == len(patterns) else []
