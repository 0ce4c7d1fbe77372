"""The reference pages, written from the tables that the servers themselves go by.

python deploy/reference.py           writes node/config/REFERENCE.md, node/commands/REFERENCE.md and
                                     deploy/ARCHITECTURE.md (architecture.py)
python deploy/reference.py --check   names those that say something else; exit code 1 if there are any
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.commands.model import Command

ROOT = Path(__file__).parent.parent
NOTE = "Written by `python deploy/reference.py`."


def pages() -> dict[Path, str]:
    """What stands in each page, by its path."""
    return {
        ROOT / "node" / "config" / "REFERENCE.md": "\n".join(_directives()) + "\n",
        ROOT / "node" / "commands" / "REFERENCE.md": "\n".join(_commands()) + "\n",
        ROOT / "deploy" / "ARCHITECTURE.md": "\n".join(_architecture()) + "\n",
    }


def _table(*head: str, rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield ""
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _directives() -> Iterator[str]:
    from node.config.directives import TABLE, Directive
    from node.config.own import OWN

    def about(directive: Directive) -> str:
        also = ", ".join(f"`{name}`" for name in (*directive.aliases, directive.valkey_name) if name)
        told = [
            f"also {also}" if also else "",
            OWN.get(directive.name, ""),
            "without effect" if directive.inert else "",
        ]
        return "; ".join(filter(None, told))

    def when(directive: Directive) -> str:
        if directive.immutable:
            return "at the start"
        return "with `enable-protected-configs`" if directive.protected else "at any time"

    yield "# Directives"
    yield ""
    yield f"{NOTE} They mean what they mean in redis.conf and valkey.conf, or"
    yield "what is said here. They are set in such a file, as `--name value`, and by `CONFIG SET`."
    for section in dict.fromkeys(directive.section for directive in TABLE.values()):
        yield ""
        yield f"## {section}"
        rows = (
            (f"`{d.name}`", d.kind.values, _code(d.kind.show(d.default)), when(d), about(d))
            for d in TABLE.values()
            if d.section == section
        )
        yield from _table("directive", "values", "default", "set", "", rows=rows)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _everything() -> list[Command]:
    """Each command, and each subcommand in the place of what only contains them."""
    from node.commands import TABLE
    from node.handlers.registry import HANDLERS, load_all

    def leaves(command: Command) -> Iterator[Command]:
        if command.name in HANDLERS or not command.subcommands:
            yield command
        for sub in command.subcommands.values():
            yield from leaves(sub)

    import_module("cluster.commands")
    import_module("proxy.server")
    load_all()
    return [leaf for command in TABLE.values() for leaf in leaves(command)]


def _architecture() -> Iterator[str]:
    from architecture import architecture

    from proxy.requests.routing import route_of

    return architecture(NOTE, _table, Counter(route_of(command).way.name for command in _everything()))


def _commands() -> Iterator[str]:
    from node.commands.docs import find
    from node.handlers.registry import HANDLERS
    from proxy.requests.routing import Way, route_of

    ways = {
        Way.FORWARD: "to the slot of its keys",
        Way.SPLIT: "in parts",
        Way.BROADCAST: "to all, replies become one",
        Way.ANY: "to any worker",
        Way.LOCAL: "by the proxy",
        Way.SESSION: "by the proxy, with a connection of its own where needed",
        Way.OWN: "in a way of its own",
        Way.REFUSED: "no",
    }

    everything = _everything()
    served = sum(command.name in HANDLERS for command in everything)
    yield "# Commands"
    yield ""
    yield f"{NOTE} A worker serves {served} of these {len(everything)} commands and subcommands"
    yield "of Redis 8.2, Valkey 9.1 and our own; the others are not there. `COMMAND DOCS` tells more of each."
    for group in dict.fromkeys(command.group for command in everything):
        yield ""
        yield f"## {group}"
        rows = (
            (
                f"`{command.name.replace('|', ' ').upper()}`",
                command.since,
                "yes" if command.name in HANDLERS else "no",
                ways[route_of(command).way],
                find(command.name).summary,
            )
            for command in everything
            if command.group == group
        )
        yield from _table("command", "since", "worker", "through the proxy", "", rows=rows)


def main() -> int:
    stale = {path: text for path, text in pages().items() if not path.exists() or path.read_text() != text}
    if "--check" in sys.argv[1:]:
        print(*stale, sep="\n")
        return bool(stale)
    for path, text in stale.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
