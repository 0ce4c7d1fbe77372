"""CLIENT PAUSE: requests of all clients of this proxy wait, or those that may write; and then go on.

The workers are not told: who comes to them another way, by another proxy too, goes on. While a pause lasts,
all clients are diverted, so that their requests are seen in Python; without a pause that costs nothing. A
request that must wait blocks its client when all before it is answered, and is carried out when the pause
ends. As in Redis a new pause never shortens one that is on, and one of all concerns CLIENT UNPAUSE, too.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from node.commands import Command
from node.handlers.client_words import parse_pause
from node.replies import OK
from proxy.local.local_commands import local

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.requests.commands import Commands

WRITES = frozenset(("write", "may_replicate"))
"""Flags of commands that a pause of writes concerns"""


class Pause:
    def __init__(self, commands: Commands) -> None:
        self.commands = commands
        self.active = False
        self._until = 0.0
        self._writes_only = False
        self._waiting: dict[Client, tuple[int, list[bytes], bytes]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, seconds: float, writes_only: bool) -> None:
        now = time.monotonic()
        if self.active:
            writes_only = writes_only and self._writes_only
        self._until = max(now + seconds, self._until)
        self._writes_only = writes_only
        self.active = True
        for client in self.commands.clients.values():
            client.diverted = True
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._until - now, self.end)

    def concerns(self, client: Client, command: Command) -> bool:
        """While a pause is on: has this request to wait?"""
        if client.facts.sibling:
            return False
        if not self._writes_only or WRITES & command.flags:
            return True
        transaction = client.session.transaction if client.session else None
        if command.name != "exec" or transaction is None:
            return False
        return any(WRITES & queued.command.flags for queued in transaction.queue)

    def hold(self, client: Client, tag: int, argv: list[bytes], request: bytes) -> None:
        """Carry out this request, the oldest of its client, when the pause ends."""
        client.block()
        self._waiting[client] = tag, argv, request

    def holds(self, client: Client) -> bool:
        """Does a request of this client wait?"""
        return client in self._waiting

    def forget(self, client: Client) -> None:
        """It is gone."""
        self._waiting.pop(client, None)

    def end(self) -> None:
        if not self.active:
            return
        self.active = False
        self._until = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for client in self.commands.clients.values():
            if client.session is None:
                client.diverted = False
            else:
                self.commands.sessions.settle(client)
        waiting, self._waiting = self._waiting, {}
        for client, (tag, argv, request) in waiting.items():
            if client.is_open:
                client.unblock()
                client.carry_out(tag, argv, request)


@local("client|pause")
def pause(client: Client, argv: list[bytes], commands: Commands) -> Any:
    milliseconds, writes_only = parse_pause(argv[2:])
    commands.pause.begin(milliseconds / 1000, writes_only)
    return OK


@local("client|unpause")
def unpause(client: Client, argv: list[bytes], commands: Commands) -> Any:
    commands.pause.end()
    return OK
