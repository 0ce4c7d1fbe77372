"""A formed cluster of real processes: ours, Redis, Valkey, or any mix of them.

    with cluster_of(3, replicas=1, kind="shoal") as cluster:
        cluster.client().set("a", 1)                  # redis-py RedisCluster
        cluster.owner_of(b"a").kill()                 # the process that serves the key's slot

    cluster_of(4, kind=("shoal", "valkey"))           # kinds alternate over the nodes

`redis-cli --cluster create` forms it, as an operator would; the context is entered once every node says
`cluster_state:ok`, all agree on who owns which slot, and every replica has its link up.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import redis

from tests.harness.commands import redis_cli
from tests.harness.servers import Server, Setting, server
from tests.harness.wait import eventually


class RunningCluster:
    """The processes of one cluster. `nodes` keeps the order in which they were started."""

    def __init__(self, nodes: list[Server]) -> None:
        self.nodes = nodes

    @property
    def addresses(self) -> list[str]:
        return [node.address for node in self.nodes]

    @property
    def running(self) -> list[Server]:
        return [node for node in self.nodes if node.running]

    def client(self, **options: Any) -> redis.RedisCluster:
        first = self.running[0]
        return redis.RedisCluster(host=first.host, port=first.port, **{"socket_timeout": 10, **options})

    def view(self, node: Server) -> dict[str, dict[str, Any]]:
        """CLUSTER NODES as `node` sees it, by redis-py: "host:port" -> fields."""
        with node.client() as client:
            return client.cluster("nodes")  # type: ignore[no-any-return]

    def fields_of(self, node: Server, seen_by: Server | None = None) -> dict[str, Any]:
        """The line of CLUSTER NODES about `node`, by default as it sees itself."""
        return self.view(seen_by or node)[node.address]

    @property
    def primaries(self) -> list[Server]:
        return [node for node in self.running if "master" in self.fields_of(node)["flags"]]

    @property
    def replicas(self) -> list[Server]:
        return [node for node in self.running if "slave" in self.fields_of(node)["flags"]]

    def replicas_of(self, primary: Server) -> list[Server]:
        primary_id = self.fields_of(primary)["node_id"]
        return [node for node in self.replicas if self.fields_of(node)["master_id"] == primary_id]

    def by_port(self, port: int) -> Server:
        return next(node for node in self.nodes if node.port == port)

    def owner_of(self, key: bytes | str) -> Server:
        with self.client() as client:
            found = client.get_node_from_key(key)
            assert found is not None, f"nobody serves the slot of {key!r}"
            return self.by_port(found.port)

    def slot_owners(self, seen_by: Server) -> tuple[tuple[int, int, str], ...]:
        """((first, last, "host:port" of the primary), ...) in order of slots."""
        rows = []
        for address, fields in self.view(seen_by).items():
            rows += [(int(r[0]), int(r[-1]), address) for r in fields["slots"]]
        return tuple(sorted(rows))

    def is_settled(self) -> bool:
        """Every running node is ok, all name the same owners of all slots, and all replicas are linked."""
        views = set()
        for node in self.running:
            with node.client() as client:
                if client.cluster("info")["cluster_state"] != "ok":
                    return False
                replication: dict[str, Any] = client.info("replication")  # type: ignore[assignment]
                if replication["role"] == "slave" and replication["master_link_status"] != "up":
                    return False
            views.add(self.slot_owners(node))
        if len(views) != 1:
            return False
        return sum(last - first + 1 for first, last, _ in views.pop()) == 16384

    def wait_settled(self, timeout: float = 30.0) -> None:
        eventually(self.is_settled, f"cluster {self.nodes} settled", timeout=timeout)


@contextmanager
def cluster_of(
    primaries: int = 3,
    replicas: int = 0,
    kind: str | Sequence[str] = "shoal",
    node_timeout: int = 2000,
    form: bool = True,
    **config: Setting,
) -> Iterator[RunningCluster]:
    """`primaries` x (1 + `replicas`) servers. `kind` is "shoal", "redis", "valkey" or a sequence to repeat over
    the nodes; `node_timeout` is cluster-node-timeout in ms. With `form=False` they are left as strangers."""
    kinds = itertools.cycle([kind] if isinstance(kind, str) else kind)
    with ExitStack() as stack:
        nodes = []
        for _ in range(primaries * (1 + replicas)):
            node = server(
                next(kinds),
                cluster_enabled="yes",
                cluster_node_timeout=node_timeout,
                **config,
            )
            stack.callback(node.close)
            node.start(wait=False)
            nodes.append(node)
        for node in nodes:
            node.wait_ready()
        cluster = RunningCluster(nodes)
        if form:
            _form(cluster, replicas)
        yield cluster


def _form(cluster: RunningCluster, replicas: int) -> None:
    redis_cli(
        "--cluster", "create", *cluster.addresses,
        "--cluster-replicas", replicas, "--cluster-yes",
    )  # fmt: skip
    cluster.wait_settled()
