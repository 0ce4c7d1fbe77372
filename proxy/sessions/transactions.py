"""MULTI … EXEC, and WATCH.

The proxy keeps the queue itself. It checks each command as a worker would (is there such a command, are the
arguments as many as it takes), answers QUEUED, and at EXEC sends MULTI, all commands and EXEC in one piece to
the worker of their slot, over the connection that all share: between the three nothing else can come. So an
open transaction costs no connection, a slot may move or a worker fail while it is being queued, and what a
worker refuses (MOVED, ASK) was not begun, and is sent again to the right one.

What is known only to the worker, like a lack of memory, the client therefore learns from EXEC, which says
EXECABORT with the reason.

All keys must be of one slot; the first decides, and a command with another's is refused with CROSSSLOT while
queueing, which spoils the transaction as any such error does; but see split_transactions.py. Commands that
the proxy answers itself (PING, TIME, CLIENT ID) are carried out when the worker's results are there, and put
among them. Commands about all shards are refused: a part of FLUSHALL would be done, and it would look like
all.

WATCH does need a memory in the worker, so it borrows a dedicated connection, until EXEC, DISCARD, UNWATCH or
the end of the client. Over that the transaction is sent. Should the connection be lost, or the slot move
away, before EXEC, then nobody has watched: EXEC answers null, as if a key had changed, and the client begins
again, which it must be prepared for anyhow.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from node.commands import Command
from node.core.key_slot import key_slot
from node.errors import (
    CLUSTERDOWN_UNBOUND,
    CROSSSLOT,
    DISCARD_WITHOUT_MULTI,
    EXEC_WITHOUT_MULTI,
    EXECABORT,
    NESTED_MULTI,
    NO_MULTI,
    WATCH_INSIDE_MULTI,
    ReplyError,
)
from node.replies import OK
from proxy.core.frames import reply_elements
from proxy.core.upstream import FINAL
from proxy.local.local_commands import local_function
from proxy.requests import codec, splitter
from proxy.requests.jobs import UNBOUND, ClientJob
from proxy.requests.routing import Way, way_of
from proxy.sessions.session import LATER, session_of
from proxy.workers.failover import REFUSALS
from proxy.workers.redirection import KINDS, destination

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.core.upstream import Upstream
    from proxy.sessions.sessions import Sessions

QUEUE_MAX = 268435456
"""Bytes of one transaction, beyond which it is refused."""
TRIES = 20
"""Redirections of one transaction"""
RETRY_DELAY, LEAST_WAIT = 0.1, 2.0
"""Seconds, after TRYAGAIN and where a worker cannot serve now (failover.py says for how long)"""
MULTI, EXEC, UNWATCH = (codec.encode_request([name]) for name in (b"MULTI", b"EXEC", b"UNWATCH"))
TOO_LONG = ReplyError("ERR the transaction is too long")
OF_THE_SESSION = frozenset(("hello", "client|reply", "client|tracking", "client|caching"))
"""Answered by the proxy, but not possible in the middle of a reply."""


@dataclass
class Watch:
    connection: Upstream
    slot: int
    asking: bool = False
    """The slot was on its way to this worker."""
    keys: set[bytes] = field(default_factory=set)
    lost: bool = False


@dataclass
class Queued:
    command: Command
    argv: list[bytes]
    """Only of what is carried out here."""
    request: bytes
    local: bool
    slot: int | None = None
    parts: Sequence[splitter.Part] = ()
    """Of a request with keys of several slots"""

    @property
    def pieces(self) -> list[tuple[int | None, bytes]]:
        """Of which slot, and the request, of what goes to workers."""
        if self.local:
            return []
        return [(part.slot, part.request) for part in self.parts] or [(self.slot, self.request)]

    @property
    def positions(self) -> list[list[int]]:
        """Which keys of the whole request the parts have"""
        return [part.items for part in self.parts]

    def piece(self, request: bytes) -> Queued:
        return Queued(self.command, [], request, False)


@dataclass
class Transaction:
    queue: list[Queued] = field(default_factory=list)
    slot: int | None = None
    """The first one's"""
    size: int = 0
    broken: bool = False
    may_split: bool = False
    slots: dict[int, None] = field(default_factory=dict)
    """All, in order of their first appearance"""

    @property
    def in_parts(self) -> bool:
        """Are there several slots, with that of what is watched?"""
        return not self.slots.keys() <= {self.slot} or any(queued.parts for queued in self.queue)

    def add(self, command: Command, argv: list[bytes], request: bytes) -> None:
        """Raises ReplyError for what cannot be part of it."""
        way = way_of(command)
        local = way is Way.LOCAL
        slots = {key_slot(argv[position]) for position in command.key_positions(argv)}
        if "no_multi" in command.flags or command.name in OF_THE_SESSION:
            raise NO_MULTI
        if way is Way.SESSION or (not slots and way not in (Way.LOCAL, Way.ANY, Way.FORWARD)):
            shown = command.name.replace("|", " ").upper()
            raise ReplyError(f"ERR {shown} is not supported inside a transaction through the proxy")
        parts: Sequence[splitter.Part] = ()
        if len(slots) > 1:
            parts = self._split(command, argv)
        elif slots and self.slot is not None and self.slot not in slots and not self.may_split:
            raise CROSSSLOT
        if self.size + len(request) > QUEUE_MAX:
            raise TOO_LONG
        slot = next(iter(slots), None)
        self.slots.update(dict.fromkeys([part.slot for part in parts] or slots))
        if self.slot is None:
            self.slot = next(iter(self.slots), None)
        self.size += len(request)
        self.queue.append(Queued(command, argv if local else [], request, local, slot, parts))

    def _split(self, command: Command, argv: Sequence[bytes]) -> list[splitter.Part]:
        width = splitter.SPLIT.get(command.name)
        if width is None or not self.may_split:
            raise CROSSSLOT
        if (len(argv) - 1) % width:  # EXEC tells, so let a worker say it, of keys that are all of its slot
            wrong = codec.encode_request([*argv[: 1 + width], argv[1]])
            return [splitter.Part(key_slot(argv[1]), [0], wrong)]
        return splitter.split(argv, width)


class Execution(ClientJob):
    """EXEC: the whole transaction to one worker, and what it says to the client."""

    def __init__(
        self, sessions: Sessions, client: Client, tag: int, transaction: Transaction, watch: Watch | None
    ) -> None:
        super().__init__(client, tag)
        self.sessions = sessions
        self.resp = client.resp
        self.transaction = transaction
        self.watch = watch
        self.sent = [queued for queued in transaction.queue if not queued.local]
        self.replies: list[bytes] = []
        self.tries = 0
        self.begun = time.monotonic()

    def start(self) -> None:
        """Raises ReplyError if nobody can carry it out."""
        watch = self.watch
        if watch is not None:
            self._send(watch.connection, watch.asking)
        elif not self.sent:
            self.answer(self._joined([]))
        else:
            self._send(self._owner())

    def _owner(self) -> Upstream:
        slot = self.transaction.slot
        upstream = (
            self.sessions.anyone(self.resp) if slot is None else self.sessions.slots.find(slot, self.resp)
        )
        if upstream is None:
            raise CLUSTERDOWN_UNBOUND
        return upstream

    def _send(self, upstream: Upstream, asking: bool = False) -> None:
        self.tries += 1
        self.replies = []
        upstream.send(MULTI, self, 0, FINAL, asking)
        for queued in self.sent:
            upstream.send(queued.request, self, 0, FINAL)
        self.asked = upstream
        upstream.send(EXEC, self, 1, FINAL)

    def replied(self, tag: int, reply: bytes) -> None:
        if tag == 0:
            self.replies.append(reply)
            return
        if self.watch is not None:
            self.sessions.dedicated.give_back(self.watch.connection)
        if reply[:1] == b"-":
            self._refused(reply)
        elif reply[:1] == b"*" and not reply.startswith(b"*-1"):
            self._carried_out_by_worker(reply)
        else:
            self.answer(reply)

    def _carried_out_by_worker(self, reply: bytes) -> None:
        if self.sessions.commands.mirroring is not None:
            done = zip((queued.request for queued in self.sent), reply_elements(reply), strict=True)
            self.sessions.commands.mirroring.transaction(self.transaction.slot, list(done))
        if len(self.sent) < len(self.transaction.queue):
            reply = self._joined(reply_elements(reply))
        self.answer(reply)

    def _refused(self, reply: bytes) -> None:
        """Nothing was executed, unless the connection was lost."""
        reason = next((each for each in self.replies if each[:1] == b"-"), reply)
        if not reason.startswith((*KINDS, *REFUSALS)):
            if reply.startswith(b"-EXECABORT") and reason is not reply:
                error = ReplyError(reason[1:-2].decode("latin-1"))
                reply = codec.encode_reply(discarded_because_of(error), self.resp)
            self.answer(reply)
        elif self.watch is not None:
            self.answer(null_array(self.resp))
        elif not self._goes_on(reason):
            self.answer(reason)

    def _goes_on(self, error: bytes) -> bool:
        where = destination(error[:-2], (self.asked.host, self.asked.port))
        if where is not None and self.tries < TRIES:
            if not where.asking:
                self.sessions.topology.moved(where.slot, where.address)
            upstream = self.sessions.pool.get(where.address, self.resp)
            self._send(upstream, where.asking)
            return True
        waited = time.monotonic() - self.begun
        if waited > max(self.sessions.pool.failover.seconds, LEAST_WAIT) or not self.client.hold_behind(
            self.tag
        ):
            return False  # if others have followed, it would take effect after them
        self.sessions.topology.refresh_soon()
        asyncio.get_running_loop().call_later(RETRY_DELAY, self._again)
        return True

    def _again(self) -> None:
        try:
            self._send(self._owner())
        except ReplyError:
            self.answer(UNBOUND)

    def _joined(self, results: list[bytes]) -> bytes:
        """The results of the worker and of the commands that are carried out here, in order of the queue."""
        rest = iter(results)
        elements = [
            carried_out(self.sessions, self.client, each) if each.local else next(rest)
            for each in self.transaction.queue
        ]
        return codec.join_elements(b"*", elements)


class Watching(ClientJob):
    """WATCH on the worker of the keys' slot."""

    def __init__(self, sessions: Sessions, client: Client, tag: int, request: bytes, fresh: bool) -> None:
        super().__init__(client, tag)
        self.sessions = sessions
        self.request = request
        self.watch: Watch = client.session.watch
        self.fresh = fresh
        """Nothing was watched before, so it may begin at another worker."""
        self.tries = 0

    def start(self) -> None:
        self.tries += 1
        self.watch.connection.send(self.request, self, 0, FINAL, self.watch.asking)

    def replied(self, tag: int, reply: bytes) -> None:
        if self.client.session.watch is not self.watch:
            return  # the client is gone
        if reply.startswith(KINDS):
            self._moved(reply)
            return
        if reply[:1] == b"-":
            self.watch.lost = True
            if self.fresh:
                self.sessions.stop_watching(self.client)
        self.answer(reply)

    def _moved(self, reply: bytes) -> None:
        watch = self.watch
        where = destination(reply[:-2], (watch.connection.host, watch.connection.port))
        if not self.fresh or where is None or self.tries >= TRIES:
            watch.lost = True
            self.answer(b"+OK\r\n")
            return
        if not where.asking:
            self.sessions.topology.moved(where.slot, where.address)
        self.sessions.stop_watching(self.client)
        try:
            self.sessions.start_watching(self.client, watch.slot, where.address, where.asking)
            self.client.session.watch.keys = watch.keys
        except ReplyError as error:
            self.answer(codec.encode_reply(error.with_traceback(None), self.client.resp))
        else:
            self.watch = self.client.session.watch
            self.start()


def carried_out(sessions: Sessions, client: Client, queued: Queued) -> bytes:
    """The reply to a command of a transaction that the proxy answers itself."""
    function = local_function(queued.command.name)
    assert function is not None
    try:
        value = function(client, queued.argv, sessions.commands)
    except ReplyError as error:
        value = error.with_traceback(None)
    return codec.encode_reply(value, client.resp)


def discarded_because_of(error: ReplyError) -> ReplyError:
    return ReplyError(f"EXECABORT Transaction discarded because of: {error.text.removeprefix('ERR ')}")


def null_array(resp: int) -> bytes:
    return b"_\r\n" if resp == 3 else b"*-1\r\n"


def multi(
    sessions: Sessions, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes
) -> Any:
    session = session_of(client)
    if session.transaction is not None:
        return NESTED_MULTI  # returned, not raised: it does not spoil the transaction
    session.transaction = Transaction(
        slot=session.watch.slot if session.watch else None,
        may_split=sessions.commands.config.transactions == "split",
    )
    sessions.settle(client)
    return OK


def exec_(
    sessions: Sessions, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes
) -> Any:
    session = client.session
    if session is None or session.transaction is None:
        raise EXEC_WITHOUT_MULTI
    transaction, watch = session.transaction, session.watch
    if watch is not None and client.postpone(tag):
        return LATER
    close(sessions, client)
    if transaction.broken:
        sessions.stop_watching(client)
        raise EXECABORT
    if watch is not None:
        if watch.lost or watch.connection.state_name == "down":
            sessions.stop_watching(client)
            client.complete(tag, null_array(client.resp))
            return LATER
        session.watch = None  # the job gives the connection back
        sessions.settle(client)
    if transaction.in_parts:
        from proxy.sessions.split_transactions import SplitExecution  # takes memory that others need not give

        SplitExecution(sessions, client, tag, transaction, watch).start()
    else:
        Execution(sessions, client, tag, transaction, watch).start()
    if watch is not None:
        client.hold()
    return LATER


def discard(
    sessions: Sessions, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes
) -> Any:
    if client.session is None or client.session.transaction is None:
        raise DISCARD_WITHOUT_MULTI
    close(sessions, client)
    sessions.stop_watching(client)
    return OK


def close(sessions: Sessions, client: Client) -> None:
    """The transaction of `client` is over."""
    client.session.transaction = None
    sessions.settle(client)


def watch(
    sessions: Sessions, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes
) -> Any:
    session = session_of(client)
    if session.transaction is not None:
        return WATCH_INSIDE_MULTI  # as with MULTI
    slots = {key_slot(key) for key in argv[1:]}
    if session.watch is not None:
        slots.add(session.watch.slot)
    if len(slots) > 1:
        raise CROSSSLOT
    if client.postpone(tag):
        return LATER
    fresh = session.watch is None
    if fresh:
        slot = slots.pop()
        owner = sessions.slots.find(slot, client.resp)
        if owner is None:
            raise CLUSTERDOWN_UNBOUND
        sessions.start_watching(client, slot, (owner.host, owner.port))
    client.session.watch.keys.update(argv[1:])
    client.hold()
    Watching(sessions, client, tag, request, fresh).start()
    return LATER


def unwatch(
    sessions: Sessions, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes
) -> Any:
    if client.session is not None:
        sessions.stop_watching(client)
    return OK
