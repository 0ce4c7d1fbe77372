"""What a worker asks of its cluster, and the null object that answers when there is none.

`node` never imports `cluster`. A worker is given an object of this shape; `cluster.member.Member`
implements it, `Standalone` stands in for it otherwise. The hot path does not even ask: the core keeps one
byte per slot (`engine.slot_states`), 0 where this worker serves the slot without further question,
and comes here only for the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from node.metrics.figures import Figure

SLOT_COUNT = 16384
"""Hash slots of a cluster, and of a server that is none: tables of keys are by slot everywhere."""

SLOT_SERVED = 0
"""Requests for this slot are executed here, without asking."""
SLOT_ASK = 1
"""Ask `ClusterPort.redirect` what to do with requests for this slot."""


class ClusterPort(Protocol):
    enabled: bool

    @property
    def node_id(self) -> str:
        """How the cluster calls this worker; empty if there is none."""

    @property
    def is_voting_primary(self) -> bool:
        """Whether this worker is a primary with slots: one whose end the cluster cannot ignore."""

    @property
    def slots(self) -> list[tuple[int, int]]:
        """The slots that this worker owns: (first, last), ascending."""

    @property
    def may_feed_replicas(self) -> bool:
        """Whether replicas may copy this worker's data, and none of them has more."""

    def knows(self, node_id: str) -> bool:
        """Whether there is a member of this id."""

    def redirect(self, session: Any, row: Any, argv: list[bytes], keys: list[bytes]) -> None:
        """Return if this worker may execute the command; raise the redirection or error if not.

        Called with the keys of a command (at least one) whenever they are more than one or their slot
        is not plainly served. Raises CROSSSLOT, MOVED, ASK, TRYAGAIN or CLUSTERDOWN as `ReplyError`.
        """

    def publish(self, channel: bytes, message: bytes, sharded: bool) -> None:
        """Let the other members, or those of our shard, give a message to their subscribers."""

    def data_flushed(self) -> None:
        """A client flushes a database, or several."""

    def data_replaced(self) -> None:
        """All data is about to go, to be loaded from elsewhere."""

    def serve_meanwhile(self) -> None:
        """In the middle of a command that runs long, every few ms: the event loop stands still."""

    def primary_lost(self) -> None:
        """As a replica: our primary's stream has ended. We have all that came of it."""

    def info(self) -> dict[str, Any]:
        """Fields of INFO's Cluster section."""

    def figures(self) -> Iterable[Figure]:
        """What Prometheus is told of the cluster."""

    async def start(self) -> None:
        """Begin to listen on the bus and to take part in the cluster. Called once, after loading."""

    async def stop(self) -> None:
        """Save the configuration and close the bus."""


class Standalone:
    """A worker that is a cluster of its own: it owns every key and redirects nobody."""

    enabled = False
    node_id = ""
    is_voting_primary = False
    may_feed_replicas = True

    @property
    def slots(self) -> list[tuple[int, int]]:
        return [(0, 16383)]

    def knows(self, node_id: str) -> bool:
        return False

    def redirect(self, session: Any, row: Any, argv: list[bytes], keys: list[bytes]) -> None:
        return

    def publish(self, channel: bytes, message: bytes, sharded: bool) -> None:
        return

    def data_flushed(self) -> None:
        return

    def data_replaced(self) -> None:
        return

    def serve_meanwhile(self) -> None:
        return

    def primary_lost(self) -> None:
        return

    def info(self) -> dict[str, Any]:
        return {"cluster_enabled": 0}

    def figures(self) -> Iterable[Figure]:
        return ()

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        return
