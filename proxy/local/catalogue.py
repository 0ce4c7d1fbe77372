"""COMMAND, answered by the proxy itself from the command table: what it has a way for.

So it can be asked while no worker is there, and shows the same in front of workers of any make and version.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from node.commands.catalogue import Catalogue
from proxy.local.local_commands import local
from proxy.requests.routing import Way, way_of

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.requests.commands import Commands

_catalogue = Catalogue(lambda row: way_of(row) is not Way.REFUSED and not row.subcommands)


def _answers(name: str, tell: Callable[[list[bytes]], Any]) -> None:
    @local(name)
    def answer(client: Client, argv: list[bytes], commands: Commands) -> Any:
        return tell(argv[2:])


_answers("command", lambda args: _catalogue.info([]))
for _name, _tell in {
    "count": _catalogue.count,
    "list": _catalogue.names,
    "info": _catalogue.info,
    "docs": _catalogue.docs,
    "getkeys": _catalogue.getkeys,
    "getkeysandflags": _catalogue.getkeysandflags,
    "help": _catalogue.help,
}.items():
    _answers(f"command|{_name}", _tell)
