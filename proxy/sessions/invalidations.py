"""What changes in the cluster: lines to all primaries on which each change of a key is told.

One line per primary, tracking in broadcasting mode (CLIENT TRACKING ON BCAST), serves everything in the proxy
that has to know: clients that track (tracking.py) and the cache (hot_reads.py). There are lines only while
somebody uses them.

That nothing is missed without being noticed:
* A user begins when every primary has confirmed its line.
* When a line is lost, or a new one is confirmed, be it to the same worker or to one that has become a
  primary, something may have happened that was not told. Users are told that everything may have changed
  (`flushed`), both times: for what was known before the loss, and for what was read while there was no line.
* A slot that moves between two primaries is told of by both, so nothing has to be forgotten.
* A line that is silent, although it was asked for a sign of life, counts as lost.

Source: Redis' documentation "Client-side caching reference".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from proxy.core.frames import reply_elements
from proxy.core.listener import Listener
from proxy.requests import codec
from proxy.sessions.lines import Lines

if TYPE_CHECKING:
    from proxy.core.connection import Turns
    from proxy.workers.dialogue import Login
    from proxy.workers.topology import Topology

TRACK = codec.encode_request([b"CLIENT", b"TRACKING", b"ON", b"BCAST"])
PING = codec.encode_request([b"PING"])
BEAT = 0.5
"""Seconds between signs of life that a line is asked for"""
BEATS_MISSED = 3
"""... and how many may be owed before it counts as lost"""


class User(Protocol):
    def changed(self, keys: Sequence[bytes]) -> None:
        """These keys have changed, or are gone."""

    def flushed(self) -> None:
        """Everything may have changed."""


class Invalidations(Lines):
    def __init__(self, turns: Turns, login: Login, topology: Topology) -> None:
        super().__init__(turns, login)
        self.topology = topology
        self.whole = False
        """Is every primary listened to?"""
        self.users: list[User] = []
        self._waiting: list[Callable[[bytes | None], None]] = []
        self._confirmed: set[Listener] = set()
        self._owed: dict[Listener, int] = {}
        """Signs of life that lines were asked for and have not given"""
        self._beat: asyncio.TimerHandle | None = None

    def use(self, user: User, done: Callable[[bytes | None], None]) -> None:
        """Tell `user` from now on. `done(None)` is called when all lines are there, or cannot be had now:
        then `flushed` follows when they are. `done(error)`: a worker refuses."""
        if user not in self.users:
            self.users.append(user)
        self._waiting.append(done)
        self.repair()

    def leave(self, user: User) -> None:
        if user in self.users:
            self.users.remove(user)
        if not self.users:
            self.close()

    def close(self) -> None:
        super().close()
        self._confirmed.clear()
        self._owed.clear()
        self.whole = False
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None

    def repair(self) -> None:
        """See that each primary is listened to, and nobody else. Also called when the map has changed."""
        if not self.users:
            return
        primaries = self.topology.primaries
        for address in self.lines.keys() - primaries:
            self._forget(self.lines[address])
            self.hang_up(self.lines[address])
        for address in primaries - self.lines.keys():
            self.line(address).send(TRACK)
        self.whole = bool(primaries) and len(self._confirmed) == len(primaries)
        if self.whole or not primaries:
            self._answer(None)
        if self._beat is None:
            self._beat = asyncio.get_running_loop().call_later(BEAT, self._ask_for_life)

    def heard(self, listener: Listener, frame: bytes) -> None:
        self._owed.pop(listener, None)
        if frame[:1] == b">":
            self._told(frame)
        elif frame[:1] == b"-":
            self._answer(frame)
            listener.close()
        elif listener not in self._confirmed and frame.startswith(b"+OK"):
            self._confirmed.add(listener)
            self._flush()
            self.repair()

    def was_lost(self, listener: Listener, error: bytes) -> None:
        if listener in self._confirmed:
            self._flush()
        self._forget(listener)
        self.topology.refresh_soon()
        self._answer(None)

    def _forget(self, listener: Listener) -> None:
        self._confirmed.discard(listener)
        self._owed.pop(listener, None)
        self.whole = False

    def _told(self, frame: bytes) -> None:
        word, what = reply_elements(frame)[:2]
        if codec.bulk_of(word) != b"invalidate":
            return
        keys = codec.decode_reply(what)
        if keys is None:
            self._flush()
            return
        for user in self.users:
            user.changed(keys)

    def _flush(self) -> None:
        for user in self.users:
            user.flushed()

    def _answer(self, error: bytes | None) -> None:
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done(error)

    def _ask_for_life(self) -> None:
        for listener in list(self.lines.values()):
            owed = self._owed.get(listener, 0)
            if owed >= BEATS_MISSED:
                listener.close()
            elif listener.is_open:
                self._owed[listener] = owed + 1
                listener.send(PING)
        self._beat = asyncio.get_running_loop().call_later(BEAT, self._ask_for_life)
