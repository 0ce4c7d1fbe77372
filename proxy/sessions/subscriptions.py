"""SUBSCRIBE and its kin, PUBLISH, and PING as subscribers know it.

Who listens to what is kept twice, here by client and in the hub by topic, and changed together. Confirmations
and messages are told, not replied: the request that asked for them is completed with nothing, so that
CLIENT REPLY does not swallow them, and several clients' messages keep the order in which they came.

PUBLISH goes to the hub's anchor, and its answer counts clients, not the proxy's own line: as on one server,
where all clients of this proxy are counted. Like every member of a cluster, the anchor does not know how many
listen elsewhere. SPUBLISH is forwarded raw, and counts a proxy as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from node.commands import Command
from proxy.local.local_commands import hello as local_hello
from proxy.requests import codec
from proxy.requests.jobs import ClientJob
from proxy.sessions.hub import CHANNEL, PATTERN, SHARD, UNSUBSCRIBES
from proxy.sessions.session import LATER, PASS, session_of

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.sessions.sessions import Sessions

KINDS = {word: kind for kind, word in UNSUBSCRIBES.items()}


class Subscriptions:
    """What one client listens to. Names, in the order in which they were asked for."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        self.names: dict[bytes, dict[bytes, None]] = {CHANNEL: {}, PATTERN: {}, SHARD: {}}

    def __bool__(self) -> bool:
        return any(self.names.values())

    def all(self) -> Iterator[tuple[bytes, bytes]]:
        """(kind, name) of each."""
        return ((kind, name) for kind, names in self.names.items() for name in names)

    def count(self, kind: bytes) -> int:
        """What a confirmation tells: channels and patterns together, shard channels apart."""
        if kind == SHARD:
            return len(self.names[SHARD])
        return len(self.names[CHANNEL]) + len(self.names[PATTERN])


def confirmation(word: bytes, name: bytes | None, count: int, resp: int) -> bytes:
    frame = codec.encode_reply([word, name, count], resp)
    return b">" + frame[1:] if resp == 3 else frame


def subscribe(
    sessions: Sessions, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes
) -> Any:
    """SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE: confirmed when the workers have confirmed it."""
    if client.postpone(tag):
        return LATER
    session = session_of(client)
    kind, names = command.name.encode(), argv[1:]

    def done(error: bytes | None) -> None:
        if not client.is_open:
            return
        if error is not None:
            client.complete(tag, error)
            return
        own = session.subscriptions = session.subscriptions or Subscriptions()
        for name in names:
            own.names[kind][name] = None
            sessions.hub.join(client, kind, name)
            client.tell(confirmation(kind, name, own.count(kind), client.resp))
        sessions.settle(client)
        client.complete(tag, b"")

    client.hold()
    sessions.hub.subscribe(kind, names, done)
    return LATER


def unsubscribe(
    sessions: Sessions, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes
) -> Any:
    """UNSUBSCRIBE, PUNSUBSCRIBE, SUNSUBSCRIBE: from what is named, or from all of the kind."""
    if client.postpone(tag):
        return LATER
    session = session_of(client)
    own = session.subscriptions = session.subscriptions or Subscriptions()
    word = command.name.encode()
    kind = KINDS[word]
    names: list[bytes | None] = [*argv[1:]] or [*own.names[kind]] or [None]
    for name in names:
        if name is not None and name in own.names[kind]:
            del own.names[kind][name]
            sessions.hub.leave(client, kind, name)
        client.tell(confirmation(word, name, own.count(kind), client.resp))
    sessions.settle(client)
    client.complete(tag, b"")
    return LATER


def publish(
    sessions: Sessions, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes
) -> Any:
    hub = sessions.hub
    if hub.anchor is None:
        return PASS
    upstream = sessions.pool.get(hub.anchor, client.resp)
    ours, frames = hub.own_share(argv[1])
    upstream.send(request, client if ours == frames else Published(client, tag, frames - ours), tag)
    return LATER


class Published(ClientJob):
    """PUBLISH to a channel that clients of this proxy listen to."""

    def __init__(self, client: Client, tag: int, more: int) -> None:
        super().__init__(client, tag)
        self.more = more
        """Clients that the worker does not see behind our line."""

    def replied(self, tag: int, reply: bytes) -> None:
        if reply[:1] == b":":
            reply = b":%d\r\n" % max(codec.integer_of(reply) + self.more, 0)
        self.answer(reply)


def ping(
    sessions: Sessions, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes
) -> Any:
    """To a RESP2 subscriber the answer looks like a message."""
    if client.session is None or not client.session.subscriptions or client.resp == 3 or len(argv) > 2:
        return PASS
    return [b"pong", argv[1] if len(argv) == 2 else b""]


def hello(
    sessions: Sessions, client: Client, tag: int, command: Command, argv: list[bytes], request: bytes
) -> Any:
    """A subscriber that goes back to RESP2 is from then on confined to what RESP2 subscribers may say."""
    value = local_hello(client, argv, sessions.commands)
    if client.session is not None:
        sessions.settle(client)
    return value
