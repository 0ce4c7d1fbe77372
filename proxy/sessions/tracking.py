"""CLIENT TRACKING, served by the proxy.

The proxy itself remembers which client has read which key, and hears of every change from the workers
(invalidations.py). So a tracking client costs the workers nothing, its requests go the way of all others, and
it is told whoever changed the key: another client, another proxy, expiry, a move of slots.

* A read is remembered when it is sent, not when it is answered: a change that is told before the answer must
  not be missed. What a client is told comes behind the answers to all it has asked so far (`tell_behind`), so
  that no older value can arrive after it.
* A client that tracks by reading is diverted: its requests take the way through Python, where they are seen.
  One in broadcasting mode is not.
* Its reads go to primaries, whatever the policy for replicas: those may be behind what was told already.
* The keys remembered are bounded (`--tracking-table-max-keys`), as in a worker
  (node/session/reader_table.py).
* When something may have been missed, a client is told null: forget everything.

What differs from Redis: keys that a script names count as read; and with NOLOOP a client is told of its own
changes all the same. What workers tell are keys, not writers; changes of a key in one of their turns are told
once, whoever made them; and the connections on which they tell it and on which writes are answered have no
order between them. So a key that was just written by its reader may have been changed by another as well, in
the same turn, and neither the proxy's memory of that write nor a count of what was told can exclude it. Only
a worker knows, of a connection that nobody else writes over: that would be one to each worker, for each
client with NOLOOP. One word too many costs the client a read, where one too few would cost it the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from node.commands import Command
from node.replies import OK
from node.session.reader_table import ReaderTable
from node.session.tracking_mode import (
    CHANNEL,
    NOT_REDIRECTED,
    Mode,
    not_tracking,
    parse_caching,
    parse_tracking,
)
from proxy.core.frames import request_arguments
from proxy.local.local_commands import local
from proxy.requests import codec
from proxy.sessions.session import LATER, session_of

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.requests.commands import Commands
    from proxy.sessions.invalidations import Invalidations
    from proxy.sessions.sessions import Sessions

SCRIPTS = frozenset(("eval", "evalsha", "fcall"))
NULLS = {2: b"$-1\r\n", 3: b"_\r\n"}


class Tracking:
    def __init__(self, clients: dict[int, Client], lines: Invalidations, most_keys: int) -> None:
        self.clients = clients
        self.lines = lines
        self.most_keys = most_keys
        self.modes: dict[Client, Mode] = {}
        """All that track."""
        self.table = ReaderTable()
        self._prefixes: dict[bytes, dict[Client, None]] = {}
        self._beginning = 0
        """Clients that wait for lines"""

    @property
    def prefix_count(self) -> int:
        return len(self._prefixes)

    # Who tracks

    def begin(self, client: Client, mode: Mode) -> None:
        self.modes[client] = client.session.tracking = mode
        for prefix in mode.prefixes:
            self._prefixes.setdefault(prefix, {})[client] = None

    def stop(self, client: Client) -> None:
        """CLIENT TRACKING OFF, and the end of a client."""
        mode = self.modes.pop(client, None)
        if mode is None:
            return
        client.session.tracking = None
        for prefix in mode.prefixes:
            del self._prefixes[prefix][client]
            if not self._prefixes[prefix]:
                del self._prefixes[prefix]
        self._leave_if_unused()

    def prepare(self, client: Client, tag: int, mode: Mode, sessions: Sessions) -> None:
        """Let `client` track once all changes are heard of, and answer its request `tag`."""
        self._beginning += 1

        def done(error: bytes | None) -> None:
            self._beginning -= 1
            if error is None and client.is_open:
                self.begin(client, mode)
                sessions.settle(client)
            client.complete(tag, error or b"+OK\r\n")
            self._leave_if_unused()

        self.lines.use(self, done)

    def _leave_if_unused(self) -> None:
        if not self.modes and not self._beginning:
            self.table.clear()
            self.lines.leave(self)

    # What was read

    def sees(self, client: Client, tag: int, command: Command, argv: list[bytes]) -> None:
        """A request of `client`, which tracks, is about to be carried out; perhaps not for the first time, if
        it had to wait for others."""
        session = client.session
        mode = session.tracking
        if session.caching_used_by not in (None, tag):
            mode.caching, session.caching_used_by = False, None
        if mode.remembers:
            if command.name == "exec" and session.transaction is not None:
                for queued in session.transaction.queue:
                    self._read(mode, queued.command, request_arguments(queued.request))
            else:
                self._read(mode, command, argv)
        if mode.caching and command.name != "multi" and not command.name.startswith("client|"):
            session.caching_used_by = tag

    def _read(self, mode: Mode, command: Command, argv: list[bytes]) -> None:
        if "pubsub" in command.flags or not ("readonly" in command.flags or command.name in SCRIPTS):
            return
        for position in command.key_positions(argv):
            self.table.add(argv[position], mode.client_id)
        for key, readers in self.table.overflow(self.most_keys):
            self._tell_readers(key, readers)

    # What has changed

    def changed(self, keys: Sequence[bytes]) -> None:
        for prefix, clients in sorted(self._prefixes.items()):
            concerned = [key for key in keys if key.startswith(prefix)]
            for client in list(clients) if concerned else ():
                self._tell(client, self.modes[client], concerned)
        for key in keys:
            self._tell_readers(key, self.table.take(key))

    def flushed(self) -> None:
        self.table.clear()
        for client, mode in list(self.modes.items()):
            self._tell(client, mode, None)

    def _tell_readers(self, key: bytes, readers: set[int]) -> None:
        for number in readers:
            client = self.clients.get(number)
            mode = self.modes.get(client) if client is not None else None
            if client is not None and mode is not None and not mode.broadcasts:
                self._tell(client, mode, [key])

    def _tell(self, client: Client, mode: Mode, keys: Sequence[bytes] | None) -> None:
        """`keys` are out of date; None: everything."""
        receiver = client
        if mode.redirect:
            found = self.clients.get(mode.redirect)
            if found is None:
                mode.broken = True
                if client.resp == 3:
                    client.tell_behind(push([b"tracking-redir-broken", mode.redirect]))
                return
            receiver = found
        what = NULLS[receiver.resp] if keys is None else codec.encode_reply(keys, receiver.resp)
        if receiver.resp == 3:
            receiver.tell_behind(b">2\r\n$10\r\ninvalidate\r\n" + what)
        elif mode.redirect and receiver.session is not None and receiver.session.subscriptions:
            receiver.tell_behind(b"*3\r\n" + codec.encode_reply(b"message", 2) + _SHOWN_CHANNEL + what)


_SHOWN_CHANNEL = codec.encode_reply(CHANNEL, 2)


def push(items: Sequence[Any]) -> bytes:
    return b">" + codec.encode_reply(items, 3)[1:]


def mode_of(client: Client) -> Mode | None:
    return client.session.tracking if client.session is not None else None


def track(
    sessions: Sessions, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes
) -> Any:
    session = session_of(client)
    mode = parse_tracking(argv[2:], client.id, sessions.commands.clients, session.tracking)
    if mode is None:
        sessions.tracking.stop(client)
        sessions.settle(client)
        return OK
    client.hold()
    sessions.tracking.prepare(client, tag, mode, sessions)
    return LATER


@local("client|caching")
def caching(client: Client, argv: list[bytes], commands: Commands) -> Any:
    parse_caching(mode_of(client), argv[2])
    return OK


@local("client|getredir")
def redirection(client: Client, argv: list[bytes], commands: Commands) -> Any:
    mode = mode_of(client)
    return NOT_REDIRECTED if mode is None else mode.redirect


@local("client|trackinginfo")
def information(client: Client, argv: list[bytes], commands: Commands) -> Any:
    mode = mode_of(client)
    return not_tracking() if mode is None else mode.shown()
