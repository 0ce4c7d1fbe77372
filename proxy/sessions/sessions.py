"""Conversations that have a state, and the commands that begin, use and end it.

Most clients never have one. Who does gets a `Session`, and `Commands` shows every request that is not
forwarded raw to `Sessions.execute` first. While the state concerns all requests (an open transaction, RESP2
subscriptions), the client is diverted, so that none is forwarded raw.

The states are kept by modules of their own: transactions.py (MULTI, WATCH), blocking.py (BLPOP, WAIT),
subscriptions.py (SUBSCRIBE and its kin), monitors.py, tracking.py.

Order: what goes over dedicated connections knows nothing of what this client has in flight over the shared
ones, so it begins when all that is answered (`client.postpone`), and what follows waits for it (`hold`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from node.commands import Command
from node.errors import MONITORS_ACCESS_NO_KEYS, ReplyError, not_for_subscribers
from proxy.requests.routing import would_block
from proxy.sessions import blocking, monitors, subscriptions, tracking, transactions
from proxy.sessions.session import LATER, PASS
from proxy.sessions.transactions import UNWATCH, Watch

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.core.upstream import Upstream
    from proxy.requests.commands import Commands
    from proxy.sessions.dedicated import DedicatedPool
    from proxy.sessions.hub import Hub
    from proxy.sessions.monitors import Monitors
    from proxy.workers.dialogue import Address

FOR_SUBSCRIBERS = frozenset(
    (
        "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe",
        "ping", "quit", "reset",
    )
)  # fmt: skip
"""All that a RESP2 client may send while it listens: it could not tell other replies from messages."""
ACCESS = frozenset(("readonly", "write"))
NOT_QUEUED = frozenset(("exec", "discard", "multi", "watch", "quit", "reset"))
"""Commands that act at once even between MULTI and EXEC."""


class Sessions:
    def __init__(
        self,
        commands: Commands,
        dedicated: DedicatedPool,
        hub: Hub,
        monitoring: Monitors,
        tracked: tracking.Tracking,
    ) -> None:
        self.commands = commands
        self.pool = commands.pool
        self.slots = commands.slots
        self.topology = commands.topology
        self.dedicated = dedicated
        self.hub = hub
        self.monitors = monitoring
        self.tracking = tracked

    def execute(self, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes) -> Any:
        """A reply value, LATER or PASS. Raises ReplyError."""
        session = client.session
        if session is not None:
            if session.subscriptions and client.resp == 2 and command.name not in FOR_SUBSCRIBERS:
                raise not_for_subscribers(command.name)
            if session.monitoring and command.flags & ACCESS:
                raise MONITORS_ACCESS_NO_KEYS
            if session.transaction is not None and command.name not in NOT_QUEUED:
                session.transaction.add(command, argv, request)
                return "QUEUED"
            if session.tracking is not None:
                self.tracking.sees(client, tag, command, argv)
        function = STATEFUL.get(command.name)
        if function is None:
            if not would_block(command, argv):
                return PASS
            function = blocking.block
        return function(self, client, tag, command, argv, request)

    def rejected(self, client: Client, argv: list[bytes], error: ReplyError) -> ReplyError:
        """A request was refused as it stands. What the client is told; EXEC ends its transaction even so."""
        session = client.session
        if session is None or session.transaction is None or argv[0].lower() != b"exec":
            self.spoil(client)
            return error
        transactions.close(self, client)
        self.stop_watching(client)
        return transactions.discarded_because_of(error)

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
        session.transaction = None
        self.stop_watching(client)
        if session.subscriptions:
            for kind, name in session.subscriptions.all():
                self.hub.leave(client, kind, name)
            session.subscriptions = None
        self.monitors.leave(client)
        self.tracking.stop(client)
        session.monitoring = False
        self.settle(client)

    def settle(self, client: Client) -> None:
        """A state has begun or ended: does it still concern every request?"""
        session = client.session
        listens = bool(session.subscriptions) and client.resp == 2
        tracks = session.tracking is not None and not session.tracking.broadcasts
        diverted = session.transaction is not None or session.monitoring or listens or tracks
        client.diverted = diverted or self.commands.pause.active
        if self.commands.replica_reads is not None:
            self.commands.replica_reads.choose_for(client)

    def anyone(self, resp: int) -> Upstream | None:
        """A worker for what any of them can do; a connected one if possible."""
        shards = [upstream for _, upstream in self.pool.shards(resp)]
        return next((each for each in shards if each.state_name == "up"), shards[0] if shards else None)

    def start_watching(self, client: Client, slot: int, address: Address, asking: bool = False) -> None:
        """Raises ReplyError if no connection is to be had."""
        client.session.watch = Watch(self.dedicated.take(address, client.resp), slot, asking)
        self.settle(client)

    def stop_watching(self, client: Client) -> None:
        watch, client.session.watch = client.session.watch, None
        if watch is not None:
            watch.connection.send(UNWATCH)
            self.dedicated.give_back(watch.connection)
            self.settle(client)

    def unblocked(self, client: Client) -> None:
        """What blocked this client is about to be answered."""
        client.session.blocked = None
        client.unblock()


def reset(
    sessions: Sessions, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes
) -> Any:
    if client.session is None:
        return PASS
    if client.postpone(tag):
        return LATER
    sessions.ended(client)
    return PASS


Function = Callable[["Sessions", "Client", int, Command, list[bytes], bytes], Any]

STATEFUL: dict[str, Function] = {
    "multi": transactions.multi,
    "exec": transactions.exec_,
    "discard": transactions.discard,
    "watch": transactions.watch,
    "unwatch": transactions.unwatch,
    "wait": blocking.wait,
    "waitaof": blocking.wait,
    "subscribe": subscriptions.subscribe,
    "psubscribe": subscriptions.subscribe,
    "ssubscribe": subscriptions.subscribe,
    "unsubscribe": subscriptions.unsubscribe,
    "punsubscribe": subscriptions.unsubscribe,
    "sunsubscribe": subscriptions.unsubscribe,
    "publish": subscriptions.publish,
    "ping": subscriptions.ping,
    "hello": subscriptions.hello,
    "monitor": monitors.monitor,
    "client|tracking": tracking.track,
    "reset": reset,
}
"""Commands that begin, use or end a state."""
