"""What COMMAND tells of the table: which commands there are, how they are shown, where keys are in a request.

Shown is only what whoever answers carries out, which a predicate says: a worker what it has handlers for, the
proxy what it has a way for. Of containers those are shown that have at least one such subcommand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from node import errors
from node.commands import TABLE, Command, KeySpec, find
from node.commands.model import CATEGORIES, FLAGS
from node.errors import ReplyError
from node.keyspace.glob import matches
from node.replies import SetReply

_NO_KEYS = ReplyError("ERR The command has no key arguments")
_NO_SUCH_COMMAND = ReplyError("ERR Invalid command specified")
_BAD_COUNT = ReplyError("ERR Invalid number of arguments specified for command")
_BAD_ARGUMENTS = ReplyError("ERR Invalid arguments specified for command")

HELP = [
    "COMMAND <subcommand> [<arg> ...]. Subcommands are:",
    "(no subcommand)",
    "    Describe all commands.",
    "COUNT",
    "    Count the commands.",
    "LIST [FILTERBY (MODULE <name> | ACLCAT <category> | PATTERN <glob>)]",
    "    Name the commands.",
    "INFO [<command-name> ...]",
    "    Describe the named commands, or all.",
    "DOCS [<command-name> ...]",
    "    Document the named commands, or all.",
    "GETKEYS <full-command>",
    "    Find the keys in a request.",
    "GETKEYSANDFLAGS <full-command>",
    "    Find the keys in a request, with what it does to them.",
    "HELP",
    "    Print this help.",
]


class Catalogue:
    """Arguments of its functions are those behind the subcommand; results are reply values."""

    def __init__(self, carries_out: Callable[[Command], bool]) -> None:
        self._carries_out = carries_out

    def count(self, args: list[bytes]) -> int:
        return sum(1 for _ in self._offered())

    def names(self, args: list[bytes]) -> list[bytes]:
        if not args:
            wanted: Callable[[Command], bool] = _always
        elif len(args) == 3 and args[0].upper() == b"FILTERBY":
            wanted = _filter(args[1].upper(), args[2])
        else:
            raise errors.SYNTAX
        return [row.name.encode() for row in self.every() if wanted(row)]

    def info(self, args: list[bytes]) -> Any:
        if not args:
            return [self._info(row) for row in self._offered()]
        rows = [self._named(name) for name in args]
        return [None if row is None else self._info(row) for row in rows]

    def docs(self, args: list[bytes]) -> dict[bytes, Any]:
        rows = [row for row in map(self._named, args) if row is not None] if args else self._offered()
        return {row.name.encode(): self._docs(row) for row in rows}

    def getkeys(self, args: list[bytes]) -> Any:
        return [args[use.position] for use in _key_uses(args)]

    def getkeysandflags(self, args: list[bytes]) -> Any:
        return [[args[use.position], SetReply(use.flags)] for use in _key_uses(args)]

    def help(self, args: list[bytes]) -> Any:
        return HELP

    def every(self) -> Iterator[Command]:
        """All that is offered, subcommands each behind its container."""
        return (each for row in self._offered() for each in (row, *self._subcommands(row)))

    def _offered(self) -> Iterator[Command]:
        """Subcommands are not listed by themselves."""
        return (row for row in TABLE.values() if self._offers(row))

    def _offers(self, row: Command) -> bool:
        return bool(self._subcommands(row)) or self._carries_out(row)

    def _subcommands(self, row: Command) -> Any:
        return [sub for sub in row.subcommands.values() if self._carries_out(sub)]

    def _named(self, name: bytes) -> Command | None:
        """The offered command of that name, which for subcommands is written `container|sub`."""
        container, _, sub = name.decode("latin-1").lower().partition("|")
        row = TABLE.get(container)
        if row is not None and sub:
            row = row.subcommands.get(sub)
        return row if row is not None and self._offers(row) else None

    def _info(self, row: Command) -> list[Any]:
        return [
            row.name.encode(),
            row.arity,
            SetReply([flag for flag in FLAGS if flag in row.flags]),
            row.first_key,
            row.last_key,
            row.step,
            SetReply([f"@{category}" for category in CATEGORIES if category in row.categories]),
            SetReply([tip.encode() for tip in row.tips]),
            SetReply([_key_spec(spec) for spec in row.key_specs]),
            SetReply([self._info(sub) for sub in self._subcommands(row)]),
        ]

    def _docs(self, row: Command) -> dict[bytes, Any]:
        from node.commands import docs as texts  # large, and hardly ever asked for

        doc = texts.find(row.name)
        flags = ["deprecated"] * bool(doc.deprecated_since) + ["syscmd"] * doc.internal
        fields: dict[str, Any] = {
            "summary": doc.summary,
            "since": row.since,
            "group": row.group,
            "complexity": doc.time,
            "doc_flags": SetReply(flags) if flags else None,
            "deprecated_since": doc.deprecated_since,
            "replaced_by": doc.replaced_by,
            "history": SetReply([_bulk(entry) for entry in doc.history]) if doc.history else None,
            "arguments": [_argument(argument) for argument in doc.arguments],
            "subcommands": {sub.name.encode(): self._docs(sub) for sub in self._subcommands(row)},
        }
        return {name.encode(): _bulk(value) for name, value in fields.items() if value}


def _always(row: Command) -> bool:
    return True


def _filter(kind: bytes, value: bytes) -> Callable[[Command], bool]:
    match kind:
        case b"MODULE":
            return lambda row: False
        case b"ACLCAT":
            category = value.decode("latin-1").lower()
            return lambda row: category in row.categories
        case b"PATTERN":
            return lambda row: matches(value, row.name.encode(), ignore_case=True)
    raise errors.SYNTAX


def _key_uses(argv: list[bytes]) -> Any:
    row = find(argv)
    if row is None or (row.subcommands and len(argv) > 1):
        raise _NO_SUCH_COMMAND
    if not row.key_specs:
        raise _NO_KEYS
    if not row.accepts(len(argv)):
        raise _BAD_COUNT
    uses = row.key_uses(argv)
    if not uses and "no_mandatory_keys" not in row.flags:
        raise _BAD_ARGUMENTS if any("not_key" not in spec.flags for spec in row.key_specs) else _NO_KEYS
    return uses or []


def _key_spec(spec: KeySpec) -> dict[bytes, Any]:
    if spec.keyword:
        begin: Any = {
            b"type": b"keyword",
            b"spec": {b"keyword": spec.keyword.encode(), b"startfrom": spec.begin},
        }
    elif spec.begin:
        begin = {b"type": b"index", b"spec": {b"index": spec.begin}}
    else:
        begin = {b"type": b"unknown", b"spec": {}}
    if not spec.begin:
        keys: Any = {b"type": b"unknown", b"spec": {}}
    elif spec.counted:
        keys = {b"type": b"keynum", b"spec": {b"keynumidx": 0, b"firstkey": 1, b"keystep": spec.step}}
    else:
        keys = {
            b"type": b"range",
            b"spec": {b"lastkey": spec.last, b"keystep": spec.step, b"limit": spec.limit},
        }
    return {b"flags": SetReply(spec.flags), b"begin_search": begin, b"find_keys": keys}


def _argument(argument: dict[str, Any]) -> dict[bytes, Any]:
    shown = {name.encode(): _bulk(value) for name, value in argument.items()}
    if "flags" in argument:
        shown[b"flags"] = SetReply(argument["flags"])
    if "arguments" in argument:
        shown[b"arguments"] = [_argument(each) for each in argument["arguments"]]
    return shown


def _bulk(value: Any) -> Any:
    """Text, alone or in a tuple, as bulk strings; anything else as it is."""
    if isinstance(value, tuple):
        return [_bulk(each) for each in value]
    return value.encode() if isinstance(value, str) else value
