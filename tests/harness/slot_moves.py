"""Two primaries and a replica of one, between which whole slots move: see
tests/integration/test_slot_migration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.resp import Simple
from tests.harness.servers import Server, Setting
from tests.harness.wait import eventually

OK = Simple("OK")
HALVES = ((0, 8191), (8192, 16383))
ENDED = (b"success", b"failed", b"cancelled")


class Pair:
    """`source` owns the slots up to 8191 at first, `target` the others, `replica` follows the target."""

    def __init__(self, cluster: RunningCluster) -> None:
        self.cluster = cluster
        self.source, self.target, *replicas = cluster.nodes
        self.replica = replicas[0] if replicas else None
        self.name = b""
        """Of the move that was begun last."""

    def begin(self, *slots: int) -> None:
        """Let the source send these slots, first and last of each range."""
        wanted = self.cluster.id_of(self.target)
        reply = self.source.run("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", *slots, "NODE", wanted)
        assert reply == OK, reply
        self.name = jobs(self.source)[0][b"name"]

    def job(self, node: Server) -> dict[bytes, Any]:
        """What `node` says of that move; empty if it knows nothing of it."""
        return next((job for job in jobs(node) if job[b"name"] == self.name), {})

    def state(self, node: Server) -> bytes | None:
        return self.job(node).get(b"state")

    def await_state(self, node: Server, *states: bytes) -> None:
        eventually(
            lambda: self.state(node) in states,
            lambda: f"{node!r} comes to {states}: {self.job(node)}",
            timeout=20,
        )

    def await_success(self) -> None:
        for node in (self.source, self.target):
            self.await_state(node, *ENDED)
            assert self.state(node) == b"success", self.job(node)

    def hold(self, what: str, held: bool) -> None:
        """DEBUG SLOTMIGRATION at both ends: `pause` or `failover`."""
        for node in (self.source, self.target):
            assert node.run("DEBUG", "SLOTMIGRATION", f"PREVENT-{what}", int(held)) == OK

    def owns(self, node: Server, slot: int) -> bool:
        return any(first <= slot <= last for first, last in self.cluster.line_of(node).slots)


def jobs(node: Server) -> list[dict[bytes, Any]]:
    """CLUSTER GETSLOTMIGRATIONS."""
    rows = node.run("CLUSTER", "GETSLOTMIGRATIONS")
    return [dict(zip(row[::2], row[1::2], strict=True)) for row in rows]


@contextmanager
def moving_pair(source: str, target: str, *replicas: str, **config: Setting) -> Iterator[Pair]:
    """Kinds of servers: the two primaries, and replicas of the target."""
    kinds = [source, target, *replicas]
    settings: dict[str, Any] = {"cluster_allow_replica_migration": "no", **config}
    with cluster_of(len(kinds), kind=kinds, form=False, **settings) as cluster:
        first, second, *others = cluster.nodes
        for epoch, (node, span) in enumerate(zip((first, second), HALVES, strict=True), start=1):
            assert node.run("CLUSTER", "SET-CONFIG-EPOCH", epoch) == OK
            assert node.run("CLUSTER", "ADDSLOTSRANGE", *span) == OK
            assert node.run("CONFIG", "SET", "repl-diskless-sync-delay", 0) == OK
        for node in (first, *others):
            assert node.run("CLUSTER", "MEET", second.host, second.port) == OK
        target_id = cluster.id_of(second)
        for node in others:
            eventually(lambda node=node: target_id in cluster.view(node), f"{node!r} has met the target")
            eventually(lambda node=node: node.run("CLUSTER", "REPLICATE", target_id) == OK, "it follows it")
        cluster.wait_settled()
        yield Pair(cluster)
