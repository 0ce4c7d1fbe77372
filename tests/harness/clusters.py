"""A formed cluster of real processes: ours, Redis, Valkey, or any mix of them.

    with cluster_of(3, replicas=1, kind="shoal") as cluster:
        cluster.client().set("a", 1)                  # redis-py RedisCluster
        cluster.owner_of(b"a").kill()                 # the process that serves the key's slot

    cluster_of(4, kind=("shoal", "valkey"))           # kinds take turns over the nodes

`redis-cli --cluster create` forms it, as an operator would; the context is entered once every node says
`cluster_state:ok`, all agree on who owns which slot, and every replica has its link up, as its primary
sees it, too.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import redis
from redis.crc import key_slot

from tests.harness.commands import redis_cli
from tests.harness.servers import Server, Setting, server
from tests.harness.wait import eventually


@dataclass(frozen=True)
class NodeLine:
    """One line of CLUSTER NODES. `slots` leaves out those in motion, which are in `open_slots` as printed."""

    id: str
    address: str
    flags: frozenset[str]
    primary_id: str
    epoch: int
    link: str
    slots: list[tuple[int, int]]
    open_slots: list[str]

    @classmethod
    def parse(cls, text: str) -> NodeLine:
        node_id, address, flags, primary_id, _ping, _pong, epoch, link, *ranges = text.split()
        slots = [word.partition("-") for word in ranges if not word.startswith("[")]
        return cls(
            id=node_id,
            address=address,
            flags=frozenset(flags.split(",")),
            primary_id=primary_id,
            epoch=int(epoch),
            link=link,
            slots=[(int(first), int(last or first)) for first, _, last in slots],
            open_slots=[word for word in ranges if word.startswith("[")],
        )


class RunningCluster:
    """The processes of one cluster. `nodes` keeps the order in which they were started."""

    def __init__(self, nodes: list[Server]) -> None:
        self.nodes = nodes
        self._ids: dict[Server, str] = {}

    @property
    def addresses(self) -> list[str]:
        return [node.address for node in self.nodes]

    @property
    def running(self) -> list[Server]:
        return [node for node in self.nodes if node.running]

    def client(self, **options: Any) -> redis.RedisCluster:
        first = self.running[0]
        options = {"socket_timeout": 10, **first.tls_options, **options}
        return redis.RedisCluster(host=first.host, port=first.port, **options)

    def id_of(self, node: Server) -> str:
        if node not in self._ids:
            self._ids[node] = str(node.run("CLUSTER", "MYID"), "ascii")
        return self._ids[node]

    def view(self, seen_by: Server) -> dict[str, NodeLine]:
        """CLUSTER NODES as `seen_by` prints it: node id -> line. What Valkey prints of other memory behind a
        secret of Redis 8 is left out, where it has lines of its own."""
        return view_of(seen_by.run("CLUSTER", "NODES"))

    def line_of(self, node: Server, seen_by: Server | None = None) -> NodeLine:
        """The line about `node`, by default as it sees itself."""
        return self.view(seen_by or node)[self.id_of(node)]

    @property
    def primaries(self) -> list[Server]:
        return [node for node in self.running if "master" in self.line_of(node).flags]

    @property
    def replicas(self) -> list[Server]:
        return [node for node in self.running if "slave" in self.line_of(node).flags]

    def replicas_of(self, primary: Server) -> list[Server]:
        return [node for node in self.replicas if self.line_of(node).primary_id == self.id_of(primary)]

    def by_port(self, port: int) -> Server:
        return next(node for node in self.nodes if node.port == port)

    def owner_of(self, key: bytes | str) -> Server:
        """The running node that says it serves the slot of `key`."""
        slot = key_slot(key.encode() if isinstance(key, str) else key)
        for node in self.primaries:
            if any(first <= slot <= last for first, last in self.line_of(node).slots):
                return node
        raise AssertionError(f"nobody serves slot {slot}")

    def slot_owners(self, seen_by: Server) -> tuple[tuple[int, int, str], ...]:
        """((first, last, id of the primary), ...) in order of slots."""
        return _owners(self.view(seen_by))

    def is_settled(self) -> bool:
        """Every running node is ok, all replicas are linked, and all name the same owners of all slots and
        the same primaries of all running replicas.

        Asked by bare connections, because it is asked again and again: redis-py would take ten times as long.
        """
        ids = [self.id_of(node) for node in self.running]
        views = set()
        for node in self.running:
            with node.resp() as connection:
                if _fields(connection.command("CLUSTER", "INFO"))["cluster_state"] != "ok":
                    return False
                if not _is_in_sync(_fields(connection.command("INFO", "replication"))):
                    return False
                view = view_of(connection.command("CLUSTER", "NODES"))
            views.add((_owners(view), tuple(view[each].primary_id for each in ids)))
        if len(views) != 1:
            return False
        owners, _ = views.pop()
        return sum(last - first + 1 for first, last, _ in owners) == 16384

    def wait_settled(self, timeout: float = 30.0) -> None:
        eventually(self.is_settled, f"cluster {self.nodes} settled", timeout=timeout)


def view_of(printed: bytes) -> dict[str, NodeLine]:
    """What CLUSTER NODES prints: node id -> line."""
    text = str(_HOST.sub(_readable, printed), "ascii", "replace")
    lines = map(NodeLine.parse, filter(_LINE.fullmatch, text.splitlines()))
    return {line.id: line for line in lines}


def _fields(info: bytes) -> dict[str, str]:
    """Lines `name:value` of INFO or CLUSTER INFO."""
    parted = (line.partition(":") for line in info.decode().splitlines())
    return {name: value for name, colon, value in parted if colon}


def _is_in_sync(replication: dict[str, str]) -> bool:
    """A replica's link is up; and a primary knows it of each of its replicas, which may take it a while
    longer, until the child that sent the snapshot has ended: before, it does not wait for what they
    acknowledge."""
    if replication["role"] == "slave":
        return replication["master_link_status"] == "up"
    return all(
        "state=online" in replication[f"slave{n}"].split(",")
        for n in range(int(replication["connected_slaves"]))
    )


_LINE = re.compile(
    r"[0-9a-f]{40} \S+ \S+ (?:-|[0-9a-f]{40}) \d+ \d+ \d+ (?:dis)?connected"
    r"(?: \d+(?:-\d+)?| \[\S+\])*"
)
_HOST = re.compile(
    rb"(?ms)^([0-9a-f]{40} )"
    rb"((?:(?!\n[0-9a-f]{40} ).)*)"  # all before the last address of a line: a secret may have one, too
    rb"(?=:\d+@\d+\S* [a-z,?]+ (?:-|[0-9a-f]{40}) )"
)


def _readable(line: re.Match[bytes]) -> bytes:
    """With `?` for a host that is none: Valkey shows secrets of Redis 8 as such (see README)."""
    begin, host = line.groups()
    return begin + (host if re.fullmatch(rb"[\w.:-]*", host) else b"?")


def _owners(view: dict[str, NodeLine]) -> tuple[tuple[int, int, str], ...]:
    """((first, last, id of the primary), ...) in order of slots."""
    rows = ((first, last, line.id) for line in view.values() for first, last in line.slots)
    return tuple(sorted(rows))


@contextmanager
def cluster_of(
    primaries: int = 3,
    replicas: int = 0,
    kind: str | Sequence[str] = "shoal",
    node_timeout: int = 2000,
    form: bool = True,
    prepare: Callable[[Server], Server] = lambda node: node,
    **config: Setting,
) -> Iterator[RunningCluster]:
    """`primaries` x (1 + `replicas`) servers. `kind` is "shoal", "redis", "valkey" or a sequence to repeat
    over the nodes; `node_timeout` is cluster-node-timeout in ms. With `form=False` they stay strangers.
    `prepare` gets each before it is started."""
    kinds = itertools.cycle([kind] if isinstance(kind, str) else kind)
    settings: dict[str, Any] = {"cluster_enabled": "yes", "cluster_node_timeout": node_timeout, **config}
    with ExitStack() as stack:
        nodes = []
        for _ in range(primaries * (1 + replicas)):
            node = prepare(server(next(kinds), **settings))
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
        "--cluster-replicas", replicas, "--cluster-yes", *cluster.nodes[0].tls_arguments,
    )  # fmt: skip
    cluster.wait_settled()
