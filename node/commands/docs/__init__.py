"""What people read about commands: COMMAND DOCS, and through it the hints of redis-cli.

Kept apart from the table because nothing else needs it: `find` reads the texts on first use. They are
written as

    command name: summary, one sentence
        time      complexity
        syntax    arguments, in the notation of `syntax.py`; may run over several lines
        6.2.0     what that version added
        replaced  version by what
        internal

with one text per command group. Versions and argument names are those of Redis and Valkey; the words are
ours.
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from node.commands.docs.syntax import Argument, parse

_FILES = (
    "strings", "generic", "hashes", "lists", "sets", "sorted_sets", "streams", "geo", "hyperloglog",
    "bitmaps", "pubsub", "scripting", "transactions", "connection", "server", "cluster",
)  # fmt: skip


class Doc(NamedTuple):
    """The texts of one command. Empty strings and lists stand for what there is nothing to say about."""

    summary: str
    time: str
    arguments: list[Argument]
    history: list[tuple[str, str]]
    deprecated_since: str
    replaced_by: str
    internal: bool


_texts: dict[str, list[str]] = {}


def find(name: str) -> Doc:
    """The texts of a command, named as in the table. KeyError if there are none."""
    if not _texts:
        _read()
    summary, *lines = _texts[name]
    time = deprecated = replaced = ""
    syntax: list[str] = []
    history = []
    internal = False
    for line in lines:
        label, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if line.startswith("     "):
            syntax.append(line.strip())
        elif label == "time":
            time = rest
        elif label == "syntax":
            syntax.append(rest)
        elif label == "replaced":
            deprecated, _, replaced = rest.partition(" by ")
        elif label == "internal":
            internal = True
        else:
            history.append((label, rest))
    return Doc(summary, time, parse(" ".join(syntax)), history, deprecated, replaced, internal)


def _read() -> None:
    """Split the texts into one list of lines per command, summary first."""
    for file in _FILES:
        lines: list[str] = []
        for line in import_module(f"{__name__}.{file}").TEXT.strip("\n").split("\n"):
            if not line.startswith(" "):
                name, _, line = line.partition(": ")
                lines = _texts[name.replace(" ", "|")] = []
            lines.append(line)
