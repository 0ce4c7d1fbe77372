"""The state of one client's conversation, for the few clients that have one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.session.tracking_mode import Mode
    from proxy.core.client import Client
    from proxy.sessions.blocking import Blocked, WaitForAll
    from proxy.sessions.subscriptions import Subscriptions
    from proxy.sessions.transactions import Transaction, Watch

PASS = object()
"""What a function of the session returns for a request that is not its matter after all."""
LATER = object()
"""... and for one that is answered through `client.complete`, or straight by a worker."""


@dataclass(slots=True)
class Session:
    transaction: Transaction | None = None
    watch: Watch | None = None
    blocked: Blocked | WaitForAll | None = None
    subscriptions: Subscriptions | None = None
    monitoring: bool = False
    tracking: Mode | None = None
    caching_used_by: int | None = None
    """The request (`tag`) that CLIENT CACHING was about"""

    @property
    def unfinished(self) -> bool:
        """Is the client in the middle of something, of which it awaits the end?"""
        return not (self.transaction is None and self.watch is None and self.blocked is None)

    @property
    def moves(self) -> bool:
        """May another process go on with it? It can subscribe again."""
        return not (self.unfinished or self.monitoring or self.tracking)


def session_of(client: Client) -> Session:
    """Of a client that begins a state: made if it has none yet."""
    session = client.session
    if session is None:
        session = client.session = Session()
    return session
