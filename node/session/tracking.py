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

The table of keys is bounded (`tracking-table-max-keys`): keys that are given up are told to their readers as
if they had changed (reader_table.py).

Source: Redis' documentation "Client-side caching reference".
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from node.core.command_rows import GATE_TRACKING
from node.session.pubsub import MESSAGE, Frame
from node.session.reader_table import ReaderTable
from node.session.tracking_mode import CHANNEL, Mode

if TYPE_CHECKING:
    from node.commands.model import Command
    from node.keyspace.events import Event
    from node.session.session import Session
    from node.worker import Worker


class _Prefix:
    """Who asked for it, and what changed this turn: key → mode of the client that changed it last."""

    __slots__ = ("changed", "sessions")

    def __init__(self) -> None:
        self.sessions: dict[Session, None] = {}
        self.changed: dict[bytes, Mode | None] = {}


class Tracking:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.sessions: dict[Session, None] = {}
        """All that track."""
        self.table = ReaderTable()
        self._prefixes: dict[bytes, _Prefix] = {}
        self._broadcast_is_due = False

    @property
    def prefix_count(self) -> int:
        return len(self._prefixes)

    # --- who tracks ----------------------------------------------------------------------------------

    def enable(self, session: Session, mode: Mode) -> None:
        """Let `session` track as `mode` says."""
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
            self.table.clear()
            self._worker.engine.unobserve(self._key_changed)

    def command_done(self, session: Session, argv: list[bytes]) -> None:
        """CLIENT CACHING is about one command, or one transaction; other CLIENT commands do not count."""
        mode = session.tracking
        if mode is not None and not session.in_transaction and argv[0].lower() != b"client":
            mode.caching = False

    # --- what was read -------------------------------------------------------------------------------

    def remember(self, session: Session, command: Command, argv: list[bytes]) -> None:
        """`session` has executed `command`, which reads. Scripts have the mode of who sent them."""
        mode = session.tracking
        if mode is None or not mode.remembers or "pubsub" in command.flags:
            return
        for position in command.key_positions(argv):
            self.table.add(argv[position], mode.client_id)
        for key, readers in self.table.overflow(self._worker.config.tracking_table_max_keys):
            self._tell_readers(key, readers, None)

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
        readers = self.table.take(key)
        if readers:
            self._tell_readers(key, readers, by)

    def _tell_readers(self, key: bytes, readers: set[int], by: Mode | None) -> None:
        for number in readers:
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
        self.table.clear()

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
