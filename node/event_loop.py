"""The event loop of workers and proxies: asyncio's own, which waits by our reactor.

asyncio lets one choose by what its loop waits, a selector. Ours hands it only what is its own: the cluster
bus, pipes, timers. Clients' connections are read and written by the reactor while the loop believes to wait
(core/reactor.pyx). So whatever is written for asyncio works as ever, and a client's request does not pass
through it.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any

from node.core.reactor import Reactor


class ReactorSelector(selectors.BaseSelector):
    """What an asyncio event loop asks of a selector."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._keys: dict[int, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        fd = _descriptor(fileobj)
        if fd in self._keys:
            raise KeyError(f"{fileobj!r} (FD {fd}) is already registered")
        return self._watch(fileobj, fd, events, data, fresh=True)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        fd = _descriptor(fileobj)
        known = self._keys[fd]
        if known.events == events:
            self._keys[fd] = known._replace(data=data)
            return self._keys[fd]
        return self._watch(fileobj, fd, events, data, fresh=False)

    def _watch(self, fileobj: Any, fd: int, events: int, data: Any, *, fresh: bool) -> selectors.SelectorKey:
        reading, writing = bool(events & selectors.EVENT_READ), bool(events & selectors.EVENT_WRITE)
        self._reactor.watch_other(fd, fresh, reading, writing)
        key = self._keys[fd] = selectors.SelectorKey(fileobj, fd, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = self._keys.pop(_descriptor(fileobj))
        self._reactor.forget_other(key.fd)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = []
        for fd, reads, writes in self._reactor.select(-1.0 if timeout is None else max(timeout, 0.0)):
            key = self._keys.get(fd)
            if key is not None:  # else forgotten by what came before it in the same turn
                events = (selectors.EVENT_READ if reads else 0) | (selectors.EVENT_WRITE if writes else 0)
                ready.append((key, events & key.events))
        return ready

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys[_descriptor(fileobj)]

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys

    def close(self) -> None:
        self._keys.clear()
        self._reactor.close()


class EventLoop(asyncio.SelectorEventLoop):
    """Raises OSError where there is no epoll."""

    def __init__(self) -> None:
        self.reactor = Reactor()
        super().__init__(ReactorSelector(self.reactor))
        self.reactor.driven_by(self)


def _descriptor(fileobj: Any) -> int:
    return fileobj if isinstance(fileobj, int) else int(fileobj.fileno())


def multiplexing_api() -> str:
    """By what `new_event_loop` waits, in INFO's words."""
    return "epoll" if hasattr(selectors, "EpollSelector") else "uvloop"


def new_event_loop() -> asyncio.AbstractEventLoop:
    """The best that this system has."""
    if multiplexing_api() == "epoll":
        return EventLoop()
    import uvloop

    return uvloop.new_event_loop()


def reactor_of(loop: asyncio.AbstractEventLoop) -> Reactor:
    """What watches connections for this loop, whichever it is."""
    return loop.reactor if isinstance(loop, EventLoop) else Reactor(loop)
