"""Lines to workers on which the proxy listens: at most one per worker and purpose.

`Lines` opens and closes them; what is said and heard is up to its two subclasses, the hub of subscriptions
(hub.py) and the monitors (monitors.py), which share one such connection among all their clients.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from proxy.core.listener import Listener
from proxy.workers.dialogue import Address, Login, open_worker, refusal

if TYPE_CHECKING:
    from proxy.core.connection import Turns

log = logging.getLogger("shoal.proxy")

REPAIR_DELAY = 0.1
"""Seconds between a loss and the next try, so that a worker that is down is not asked all the time."""


class Lines:
    def __init__(self, turns: Turns, login: Login) -> None:
        self.turns = turns
        self.login = login
        self.lines: dict[Address, Listener] = {}
        self._connecting: dict[Listener, asyncio.Task[None]] = {}
        self._repair_timer: asyncio.TimerHandle | None = None

    def line(self, address: Address) -> Listener:
        """The line to a worker; what is sent on it queues up until it is open."""
        if address not in self.lines:
            listener = self.lines[address] = Listener(self.turns, self, address)
            self._connecting[listener] = asyncio.get_running_loop().create_task(self._open(listener))
        return self.lines[address]

    def hang_up(self, listener: Listener) -> None:
        """Close a line that is not needed any more."""
        if listener in self.lines.values():
            del self.lines[listener.address]
        task = self._connecting.pop(listener, None)
        if task is not None:
            task.cancel()
        listener.hang_up()

    def close(self) -> None:
        for listener in list(self.lines.values()):
            self.hang_up(listener)
        if self._repair_timer is not None:
            self._repair_timer.cancel()
            self._repair_timer = None

    def reconcile(self, nodes: frozenset[Address], failed: frozenset[Address]) -> None:
        """After a refresh of the map: nothing more will be heard from nodes that failed."""
        for address in failed & self.lines.keys():
            self.lines[address].close()

    def lost(self, listener: Listener) -> None:
        """Called by a line that broke."""
        host, port = listener.address
        self._gone(listener, b"-ERR upstream connection lost: %b:%d\r\n" % (host.encode(), port))

    def _gone(self, listener: Listener, error: bytes) -> None:
        if listener in self.lines.values():
            del self.lines[listener.address]
        self.was_lost(listener, error)
        self.repair_later()

    def repair_later(self) -> None:
        if self._repair_timer is None:
            self._repair_timer = asyncio.get_running_loop().call_later(REPAIR_DELAY, self._repair)

    def _repair(self) -> None:
        self._repair_timer = None
        self.repair()

    async def _open(self, listener: Listener) -> None:
        try:
            opened, _ = await open_worker(listener.address, self.login, 3)
        except ConnectionError as problem:
            self._connecting.pop(listener, None)
            log.warning("%s:%d %s", *listener.address, problem)
            self._gone(listener, refusal(listener.address, str(problem)))
        else:
            self._connecting.pop(listener, None)
            listener.connected(*opened)

    # For subclasses to override

    def heard(self, listener: Listener, frame: bytes) -> None:
        """One frame, raw."""
        raise NotImplementedError

    def was_lost(self, listener: Listener, error: bytes) -> None:
        """Whatever was said on it is forgotten. `error` is the reply for those who wait for an answer."""
        raise NotImplementedError

    def repair(self) -> None:
        """A while after a loss: see that all is as it should be."""
        raise NotImplementedError
