"""Blocked clients: who waits for which keys, and who gets what when they come.

A command such as BLPOP that finds nothing hands its client to `Blocking.wait` and replies nothing. The
client stands in the queue of each of its keys and is woken, first come first served, when one of them holds a
value of the type it waits for. Waking means to execute its command again, with all checks, as if it had just
arrived: it finds its element, or an error, or nothing, and then it waits on, for what is left of its time,
behind the others. So a served client's write is an ordinary write, and its trail follows that of the write
that served it.

Keys become ready while a command runs, and clients are served when it is done: a transaction is over before
anybody gets what it pushed, and a push of several elements serves several clients. Serving can make other
keys ready (BLMOVE); those come next. A reader in a consumer group is also woken when its stream is gone.

The engine tells of changed keys while anybody is blocked, and only then. Nobody is blocked inside a
transaction, nor without a connection (a script, a replication stream).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from node import errors
from node.errors import ReplyError
from node.replies import NULL_ARRAY

if TYPE_CHECKING:
    from node.keyspace.events import Event
    from node.session.session import Session
    from node.worker import Worker

BlockedKey = tuple[int, bytes]
"""(database index, key)"""

BLOCKABLE = frozenset(("list", "zset", "stream"))
"""Types that clients can wait for."""

LONGEST_TIMER = 10 * 365 * 86400
"""Seconds; who waits longer waits for ever, since event loops do not count as far as clients do."""

_REDIRECTED = ("MOVED ", "CLUSTERDOWN ")


@dataclass(slots=True, eq=False)
class _Waiter:
    session: Session
    command: str
    """As the table names it."""
    argv: list[bytes]
    """What to execute again."""
    keys: list[BlockedKey]
    type_name: str
    """The type its keys must have, as TYPE says it."""
    asking: bool
    """ASKING preceded the command."""
    needs_key: bool
    """Woken too when a key is deleted or becomes something else: then its command replies an error."""
    timer: asyncio.TimerHandle | None = None

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()


class Blocking:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._engine = worker.engine
        self._waiters: dict[Session, _Waiter] = {}
        self._queues: dict[BlockedKey, dict[Session, _Waiter]] = {}
        """Per key, in the order of arrival."""
        self._needy = 0
        """How many of them need their keys."""
        self._ready: dict[BlockedKey, None] = {}
        """Keys to look at, in the order in which they became ready."""
        self._woken: _Waiter | None = None
        """Whose command is being executed again."""
        self._serving = False

    def __len__(self) -> int:
        """Clients that are blocked."""
        return len(self._waiters)

    @property
    def needed_key_count(self) -> int:
        """Keys of which somebody is told when they are gone."""
        return len({place for waiter in self._waiters.values() if waiter.needs_key for place in waiter.keys})

    @property
    def key_count(self) -> int:
        """Keys that somebody waits for."""
        return len(self._queues)

    @property
    def timed_count(self) -> int:
        """Clients that wait for a limited time."""
        return sum(waiter.timer is not None for waiter in self._waiters.values())

    # --- waiting -------------------------------------------------------------------------------------

    @staticmethod
    def may_wait(session: Session) -> bool:
        """Commands of our primary never wait: what they would wait for has happened there."""
        return session.link is not None and not session.in_transaction and not session.is_privileged

    def wait(
        self,
        session: Session,
        command: str,
        args: list[bytes],
        keys: list[bytes],
        type_name: str,
        ms: int,
        needs_key: bool = False,
    ) -> None:
        """Suspend `session` until one of `keys` has a value of `type_name`, for `ms` milliseconds, or for
        ever if 0. Then `command` (a table name), which nothing is behind but `args`, is executed again; with
        `needs_key` also when a key is gone.
        """
        again = self._woken if self.is_waking(session) else None
        if again is not None:
            waiter, self._woken = again, None
        else:
            called = self._worker.config.renamed_commands.get(command, command)
            places = [(session.db.index, key) for key in dict.fromkeys(keys)]
            argv = [called.encode(), *args]
            waiter = _Waiter(session, command, argv, places, type_name, session.asking, needs_key)
            if 0 < ms <= LONGEST_TIMER * 1000:
                loop = asyncio.get_running_loop()
                waiter.timer = loop.call_later(ms / 1000, self._time_is_up, waiter)
        if not self._waiters:
            self._engine.observe(self._key_changed)
        self._waiters[session] = waiter
        self._needy += waiter.needs_key
        for place in waiter.keys:
            self._queues.setdefault(place, {})[session] = waiter
        session.suspend()

    def is_waking(self, session: Session) -> bool:
        """Whether its command is being executed again."""
        return self._woken is not None and self._woken.session is session

    def _take(self, waiter: _Waiter) -> None:
        """Out of all queues; its time goes on."""
        del self._waiters[waiter.session]
        self._needy -= waiter.needs_key
        for place in waiter.keys:
            queue = self._queues[place]
            del queue[waiter.session]
            if not queue:
                del self._queues[place]
        if not self._waiters:
            self._engine.unobserve(self._key_changed)

    def _release(self, waiter: _Waiter, reply: Any) -> None:
        """End the waiting with a reply other than the command's own."""
        self._take(waiter)
        waiter.stop_timer()
        waiter.session.resume(reply)

    def _time_is_up(self, waiter: _Waiter) -> None:
        self._release(waiter, NULL_ARRAY)

    # --- serving -------------------------------------------------------------------------------------

    def _key_changed(self, client: Session, key: bytes, event: Event) -> None:
        place = (client.db.index, key)
        if place not in self._queues or place in self._ready:
            return
        if self._needy or client.db.type_name(key) in BLOCKABLE:
            self._ready[place] = None
            self._engine.call_after_command(self.serve)

    def database_changed(self, index: int) -> None:
        """A database was emptied or got other contents: look at all keys of it that somebody waits for."""
        places = [place for place in self._queues if place[0] == index]
        self._ready.update(dict.fromkeys(places))
        if places:
            self._engine.call_after_command(self.serve)

    def key_expired(self, index: int, key: bytes) -> None:
        if self._needy and (index, key) in self._queues:
            self._ready[index, key] = None
            self._engine.call_after_command(self.serve)

    def serve(self) -> None:
        """Wake whom ready keys are enough for. Called at the end of the command that made them ready."""
        if self._serving:
            return  # who is being served made more keys ready: they are next in the loop below
        self._serving = True
        try:
            while self._ready:
                place = next(iter(self._ready))
                del self._ready[place]
                self._serve_key(place)
        finally:
            self._serving = False

    def _serve_key(self, place: BlockedKey) -> None:
        index, key = place
        db = self._worker.databases[index]
        # Who is blocked again by what he finds goes to the end of the queue, and is not woken twice.
        for waiter in list(self._queues.get(place, {}).values()):
            found = db.type_name(key)
            if found not in BLOCKABLE and not self._needy:
                return
            if (waiter.type_name == found or waiter.needs_key) and self._waiters.get(
                waiter.session
            ) is waiter:
                self._wake(waiter)

    def _wake(self, waiter: _Waiter) -> None:
        self._take(waiter)
        self._woken = waiter
        self._engine.discount(waiter.command)
        try:
            waiter.session.resume_with(waiter.argv, asking=waiter.asking)
        finally:
            blocked_again = self._woken is None
            self._woken = None
        if not blocked_again:
            waiter.stop_timer()

    # --- ends without a value ------------------------------------------------------------------------

    def unblock(self, session: Session, error: ReplyError | None = None) -> bool:
        """CLIENT UNBLOCK: as if its time were up, or with an error. False if it is not blocked."""
        waiter = self._waiters.get(session)
        if waiter is None:
            return False
        self._release(waiter, NULL_ARRAY if error is None else error)
        return True

    def discard(self, session: Session) -> None:
        """The client is gone."""
        waiter = self._waiters.get(session)
        if waiter is not None:
            self._take(waiter)
            waiter.stop_timer()

    def role_changed(self) -> None:
        """This worker follows another from now on: send everybody away, to the new owner of the slot where
        there is one. The others' connections are closed behind the error, as Redis does."""
        self.redirect()
        for waiter in list(self._waiters.values()):
            self._release(waiter, errors.UNBLOCKED_BY_ROLE)
            waiter.session.close()

    def redirect(self) -> None:
        """The cluster changed: send away those whose slot is not served here any more, with MOVED or
        CLUSTERDOWN."""
        if not self._waiters or not self._worker.cluster.enabled:
            return
        for waiter in list(self._waiters.values()):
            refusal = self._refusal(waiter)
            if refusal is not None:
                self._release(waiter, refusal)

    def _refusal(self, waiter: _Waiter) -> ReplyError | None:
        """The redirection the client would get now. A slot in motion (ASK, TRYAGAIN) is still waited for."""
        session = waiter.session
        row, _ = self._worker.resolve(waiter.argv)
        session.asking = waiter.asking
        try:
            self._worker.cluster.redirect(session, row, waiter.argv, [key for _, key in waiter.keys])
        except ReplyError as refusal:
            said = refusal.with_traceback(None)
            return said if said.text.startswith(_REDIRECTED) else None
        finally:
            session.asking = False
        return None
