"""CLIENT TRACKING: telling clients that what they keep in a cache of their own has changed.

There are two kinds of tracking. By default the worker remembers, for each key a tracking client has read,
that it did, and tells it once when the key changes; what is read again is remembered again. In *broadcasting*
mode nothing is remembered: a client is told of every change of keys with its prefixes, all changes of a turn
of the event loop at once.

What a read remembers are the keys of its readonly commands, those of scripts included, whether they exist or
not. `OPTIN` and `OPTOUT` let the client choose per command (CLIENT CACHING). A client that is told of its own
changes too has not asked for `NOLOOP`.

An invalidation is a push in RESP3. For RESP2 it goes, like all with `REDIRECT`, to another connection: as a
push, or as a message of the channel `__redis__:invalidate` if that listens in RESP2. It is about keys of any
database, since clients do not know numbers of databases. An emptied database is told as null: everything.

The table of keys is bounded (`tracking-table-max-keys`) by two generations: new keys join the young one;
where there are too many, keys of the old are told to their readers as if they had changed, and when it is
empty the young becomes the old. A key holds numbers of clients, one of which may be gone: it is left out when
the key is told.

Source: Redis' documentation "Client-side caching reference".
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from node.core.engine import GATE_TRACKING
from node.session.pubsub import MESSAGE, Frame

if TYPE_CHECKING:
    from node.commands.model import Command
    from node.keyspace.events import Event
    from node.session.session import Session
    from node.worker import Worker

CHANNEL = b"__redis__:invalidate"
MOST_DROPPED = 100
"""Keys that one read may push out of the table."""


@dataclass(slots=True, eq=False)
class Mode:
    """How one client tracks. `redirect`: the client to be told instead, 0 for itself."""

    client_id: int
    redirect: int = 0
    broadcasts: bool = False
    opt_in: bool = False
    opt_out: bool = False
    no_loop: bool = False
    prefixes: set[bytes] = field(default_factory=set)
    caching: bool = False
    """CLIENT CACHING preceded: the next command is an exception to what it opted for."""
    broken: bool = False
    """The client to be told instead is gone."""

    @property
    def remembers(self) -> bool:
        """Whether the keys of the command that is being executed are to be remembered."""
        return not self.broadcasts and (self.caching if self.opt_in else not (self.opt_out and self.caching))


class _Prefix:
    """Who asked for it, and what changed this turn: key → mode of the client that changed it last."""

    __slots__ = ("changed", "sessions")

    def __init__(self) -> None:
        self.sessions: dict[Session, None] = {}
        self.changed: dict[bytes, Mode | None] = {}


Readers = int | set[int]
"""Number of the client that read a key, or numbers."""


class Tracking:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.sessions: dict[Session, None] = {}
        """All that track."""
        self._young: dict[bytes, Readers] = {}
        self._old: dict[bytes, Readers] = {}
        self._prefixes: dict[bytes, _Prefix] = {}
        self._broadcast_is_due = False
        self.item_count = 0
        """Pairs of key and reader."""

    @property
    def key_count(self) -> int:
        return len(self._young) + len(self._old)

    @property
    def prefix_count(self) -> int:
        return len(self._prefixes)

    # --- who tracks ----------------------------------------------------------------------------------

    def enable(self, session: Session, mode: Mode) -> None:
        """Let `session` track as `mode` says, in addition to prefixes it has."""
        if session.tracking is not None:
            mode.prefixes |= session.tracking.prefixes
        session.tracking = mode
        self.sessions[session] = None
        for prefix in mode.prefixes:
            self._prefixes.setdefault(prefix, _Prefix()).sessions[session] = None
        session.gate |= GATE_TRACKING
        receiver = self._worker.clients.get(mode.redirect)
        if receiver is not None:  # its own commands may cause what it is told: that must follow their reply
            receiver.gate |= GATE_TRACKING
        self._worker.engine.observe(self._key_changed)

    def disable(self, session: Session) -> None:
        """CLIENT TRACKING OFF, and the end of a session."""
        mode = session.tracking
        if mode is None:
            return
        for name in mode.prefixes:
            sessions = self._prefixes[name].sessions
            del sessions[session]
            if not sessions:
                del self._prefixes[name]
        session.tracking = None
        session.gate &= ~GATE_TRACKING
        del self.sessions[session]
        if not self.sessions:
            self._forget_all()
            self._worker.engine.unobserve(self._key_changed)

    def command_done(self, session: Session, argv: list[bytes]) -> None:
        """CLIENT CACHING is about one command, or one transaction; other CLIENT commands do not count."""
        mode = session.tracking
        if mode is not None and session.queue is None and argv[0].lower() != b"client":
            mode.caching = False

    # --- what was read -------------------------------------------------------------------------------

    def remember(self, session: Session, command: Command, argv: list[bytes]) -> None:
        """`session` has executed `command`, which reads. Scripts have the mode of who sent them."""
        mode = session.tracking
        if mode is None or not mode.remembers or "pubsub" in command.flags:
            return
        for position in command.key_positions(argv):
            self._add(argv[position], mode.client_id)
        self._keep_limit()

    def _add(self, key: bytes, reader: int) -> None:
        table = self._old if key in self._old else self._young
        known = table.get(key)
        if known is None:
            table[key] = reader
        elif isinstance(known, set):
            if reader in known:
                return
            known.add(reader)
        elif known == reader:
            return
        else:
            table[key] = {known, reader}
        self.item_count += 1

    def _keep_limit(self) -> None:
        most = self._worker.config.tracking_table_max_keys
        dropped = 0
        while most and self.key_count > most and dropped < MOST_DROPPED:
            if not self._old:
                self._old, self._young = self._young, {}
            key, readers = self._old.popitem()
            self._tell_readers(key, readers, None)
            dropped += 1

    def _forget_all(self) -> None:
        self._young.clear()
        self._old.clear()
        self.item_count = 0

    # --- what changed --------------------------------------------------------------------------------

    def _key_changed(self, client: Session, key: bytes, event: Event) -> None:
        self.key_changed(key, client.tracking)

    def key_changed(self, key: bytes, by: Mode | None = None) -> None:
        """Tell all who may have `key` in their cache. `by`: the mode of the client that changed it; none
        where it went by itself."""
        for prefix, state in self._prefixes.items():
            if key.startswith(prefix):
                state.changed[key] = by
                self._broadcast_soon()
        readers = self._young.pop(key, None) or self._old.pop(key, None)
        if readers is not None:
            self._tell_readers(key, readers, by)

    def _tell_readers(self, key: bytes, readers: Readers, by: Mode | None) -> None:
        numbers = readers if isinstance(readers, set) else (readers,)
        self.item_count -= len(numbers)
        for number in numbers:
            session = self._worker.clients.get(number)
            if session is None or session.tracking is None or session.tracking.broadcasts:
                continue
            if not (session.tracking.no_loop and session.tracking is by):
                self._tell(session, session.tracking, [key])

    def database_emptied(self) -> None:
        """Tell everybody that everything is out of date."""
        for session in self.sessions:
            if session.tracking is not None:
                self._tell(session, session.tracking, None)
        self._forget_all()

    def _tell(self, session: Session, mode: Mode, keys: list[bytes] | None) -> None:
        receiver: Any = session
        if mode.redirect:
            receiver = self._worker.clients.get(mode.redirect)
            if receiver is None:
                mode.broken = True
                if session.resp > 2:
                    session.push(Frame(b"tracking-redir-broken", mode.redirect))
                return
        if receiver.resp > 2:
            receiver.push(Frame(b"invalidate", keys))
        elif mode.redirect and receiver.subscriptions is not None:
            receiver.push(Frame(MESSAGE, CHANNEL, keys))

    # --- broadcasting --------------------------------------------------------------------------------

    def _broadcast_soon(self) -> None:
        if not self._broadcast_is_due:
            self._broadcast_is_due = True
            asyncio.get_running_loop().call_soon(self._broadcast)

    def _broadcast(self) -> None:
        self._broadcast_is_due = False
        for _, state in sorted(self._prefixes.items()):
            changed, state.changed = state.changed, {}
            everything = sorted(changed)
            for session in state.sessions if changed else ():
                mode = session.tracking
                assert mode is not None, "it is listed under a prefix"
                keys = [key for key in everything if changed[key] is not mode] if mode.no_loop else everything
                if keys:
                    self._tell(session, mode, keys)
