"""Conversations that have a state, and the commands that begin, use and end it.

Most clients never have one. Who does gets a `Session`, and `Commands` shows every request that is not
forwarded raw to `Sessions.execute` first. While the state concerns all requests (an open transaction, RESP2
subscriptions), the client is diverted, so that none is forwarded raw.

The states are kept by modules of their own: transactions.py (MULTI, WATCH), blocking.py (BLPOP, WAIT).

Order: what goes over dedicated connections knows nothing of what this client has in flight over the shared
ones, so it begins when all that is answered (`client.postpone`), and what follows waits for it (`hold`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
    WATCH_INSIDE_MULTI,
    ReplyError,
)
from node.replies import OK
from proxy.blocking import Blocked, WaitForAll
from proxy.routing import would_block
from proxy.transactions import UNWATCH, Execution, Transaction, Watch, Watching, null_array

if TYPE_CHECKING:
    from proxy.client import Client
    from proxy.commands import Commands
    from proxy.dedicated import DedicatedPool
    from proxy.dialogue import Address
    from proxy.upstream import Upstream

NOT_QUEUED = frozenset(("exec", "discard", "multi", "watch", "quit", "reset"))
"""Commands that act at once even between MULTI and EXEC."""

PASS = object()
"""Not a matter of the session: the usual way."""
LATER = object()
"""The reply comes through `client.complete`."""


@dataclass(slots=True)
class Session:
    transaction: Transaction | None = None
    watch: Watch | None = None
    blocked: Blocked | WaitForAll | None = None


class Sessions:
    def __init__(self, commands: Commands, dedicated: DedicatedPool) -> None:
        self.commands = commands
        self.pool = commands.pool
        self.slots = commands.slots
        self.topology = commands.topology
        self.dedicated = dedicated

    def execute(self, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes) -> Any:
        """A reply value, LATER or PASS. Raises ReplyError."""
        session = client.session
        if session is not None and session.transaction is not None and command.name not in NOT_QUEUED:
            session.transaction.add(command, argv, request)
            return "QUEUED"
        function = STATEFUL.get(command.name)
        if function is None:
            if not would_block(command, argv):
                return PASS
            function = Sessions._block
        if client.session is None:
            client.session = Session()
        return function(self, client, tag, command, argv, request)

    def spoil(self, client: Client) -> None:
        """A request of this client was refused: it spoils the transaction that is open."""
        if client.session is not None and client.session.transaction is not None:
            client.session.transaction.broken = True

    def ended(self, client: Client) -> None:
        """The client is gone, or starts afresh (RESET)."""
        session = client.session
        if session.blocked is not None:
            session.blocked.abandon()
            session.blocked = None
        self._close_transaction(client)
        self.stop_watching(client)

    def anyone(self, resp: int) -> Upstream | None:
        """A worker for what any of them can do; a connected one if possible."""
        shards = [upstream for _, upstream in self.pool.shards(resp)]
        return next((each for each in shards if each.state_name == "up"), shards[0] if shards else None)

    # Transactions

    def _multi(self, client: Client, *_: Any) -> Any:
        if client.session.transaction is not None:
            return NESTED_MULTI  # returned, not raised: it does not spoil the transaction
        watch = client.session.watch
        client.session.transaction = Transaction(slot=watch.slot if watch else None)
        client.diverted = True
        return OK

    def _exec(self, client: Client, tag: int, *_: Any) -> Any:
        session = client.session
        transaction, watch = session.transaction, session.watch
        if transaction is None:
            raise EXEC_WITHOUT_MULTI
        if watch is not None and client.postpone(tag):
            return LATER
        self._close_transaction(client)
        if transaction.broken:
            self.stop_watching(client)
            raise EXECABORT
        if watch is not None:
            if watch.lost or watch.connection.state_name == "down":
                self.stop_watching(client)
                client.complete(tag, null_array(client.resp))
                return LATER
            session.watch = None  # the job gives the connection back
        Execution(self, client, tag, transaction, watch).start()
        if watch is not None:
            client.hold()
        return LATER

    def _discard(self, client: Client, *_: Any) -> Any:
        if client.session.transaction is None:
            raise DISCARD_WITHOUT_MULTI
        self._close_transaction(client)
        self.stop_watching(client)
        return OK

    def _close_transaction(self, client: Client) -> None:
        client.session.transaction = None
        client.diverted = False

    def _watch(self, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes) -> Any:
        session = client.session
        if session.transaction is not None:
            return WATCH_INSIDE_MULTI  # likewise
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
            owner = self.slots.find(slot, client.resp)
            if owner is None:
                raise CLUSTERDOWN_UNBOUND
            self.start_watching(client, slot, (owner.host, owner.port))
        Watching(self, client, tag, request, fresh).start()
        client.hold()
        return LATER

    def _unwatch(self, client: Client, *_: Any) -> Any:
        self.stop_watching(client)
        return OK

    def start_watching(self, client: Client, slot: int, address: Address, asking: bool = False) -> None:
        """Raises ReplyError if no connection is to be had."""
        client.session.watch = Watch(self.dedicated.take(address, client.resp), slot, asking)

    def stop_watching(self, client: Client) -> None:
        watch, client.session.watch = client.session.watch, None
        if watch is not None:
            watch.connection.send(UNWATCH)
            self.dedicated.give_back(watch.connection)

    # Waiting

    def _block(self, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes) -> Any:
        if client.postpone(tag):
            return LATER
        return self._wait_with(Blocked(self, client, tag, command, argv), request)

    def _wait(self, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes) -> Any:
        if client.postpone(tag):
            return LATER
        return self._wait_with(WaitForAll(self, client, tag), request)

    def _wait_with(self, job: Blocked | WaitForAll, request: bytes) -> Any:
        job.client.session.blocked = job
        try:
            job.start(request)
        except ReplyError:
            job.client.session.blocked = None
            raise
        return LATER

    def unblocked(self, client: Client) -> None:
        """What blocked this client is about to be answered."""
        client.session.blocked = None
        client.unblock()

    def _reset(self, client: Client, tag: int, *_: Any) -> Any:
        if client.postpone(tag):
            return LATER
        self.ended(client)
        return PASS


Function = Callable[..., Any]

STATEFUL: dict[str, Function] = {
    "multi": Sessions._multi,
    "exec": Sessions._exec,
    "discard": Sessions._discard,
    "watch": Sessions._watch,
    "unwatch": Sessions._unwatch,
    "wait": Sessions._wait,
    "waitaof": Sessions._wait,
    "reset": Sessions._reset,
}
"""Commands that begin, use or end a state. Called with (sessions, client, tag, command, argv, request)."""
