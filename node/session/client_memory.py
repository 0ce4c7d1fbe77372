"""What a client makes us hold: the memory figures of CLIENT LIST, INFO and client eviction.

Bytes: its unfinished requests, its queued transaction with what it watches and listens to, the replies that
wait for it, and the objects that stand for it. The buffer of a read and that of replies are shared by all
clients, so nobody is charged for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from node.session.session import Session

SESSION = 1500
"""Session, connection, transport and their tables, as measured with a thousand idle clients."""
ITEM = 64
"""A Python object in a container: a watched key, a channel."""


class ClientMemory(NamedTuple):
    total: int
    input: int
    """Held for requests that are not complete or wait for their turn."""
    output: int
    transaction: int


def memory_of(session: Session) -> ClientMemory:
    link = session.link
    incoming = link.input_capacity if link is not None else 0
    output = link.pending_output if link is not None else 0
    transaction = session.queued_bytes
    watched = sum(len(key) + 2 * ITEM for _, key in session.watched)
    own = session.subscriptions
    listening = 0
    if own is not None:
        for names in (own.channels, own.patterns, own.shard_channels):
            listening += sum(len(name) + 2 * ITEM for name in names)
    total = SESSION + incoming + output + transaction + watched + listening + len(session.name)
    return ClientMemory(total, incoming, output, transaction)
