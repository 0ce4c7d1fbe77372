"""A cluster of pairs, a primary and its replica each, of any kinds, formed before it starts.

    with pairs_of(("shoal", "redis"), ("valkey", "shoal")) as cluster:
        for pair in cluster.pairs:
            pair.primary.run("SET", pair.key("a"), "1")

Every process finds a nodes.conf that names all the others, so that nobody has to meet: the cluster is there
as soon as the processes are. It is entered once all replicas have their links up.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from redis.crc import key_slot

from cluster.slots import SLOT_COUNT
from tests.harness.clusters import RunningCluster
from tests.harness.servers import Server, Setting, server
from tests.harness.wait import eventually


class Pair:
    """Two servers that share `slots`; who of them is the primary changes."""

    def __init__(self, number: int, primary: Server, replica: Server, slots: tuple[int, int]) -> None:
        self.number = number
        self.servers = primary, replica
        self.slots = slots
        names = map(str, itertools.count())
        self.tag = next(name for name in names if slots[0] <= key_slot(name.encode()) <= slots[1])
        """A word whose slot is one of theirs."""

    def __repr__(self) -> str:
        return f"pair of {self.servers[0]} and {self.servers[1]}"

    @property
    def kinds(self) -> set[str]:
        return {each.kind for each in self.servers}

    def key(self, name: str) -> str:
        return f"{{{self.tag}}}{name}"

    @property
    def primary(self) -> Server:
        return self._of_role("master")

    @property
    def replica(self) -> Server:
        return self._of_role("slave")

    def _of_role(self, role: str) -> Server:
        (found,) = (
            each for each in self.servers if each.running and each.info("replication")["role"] == role
        )
        return found

    def is_synchronized(self) -> bool:
        """The replica is linked and has every byte of the primary's stream."""
        primary, replica = self.primary.info("replication"), self.replica.info("replication")
        linked = replica["master_link_status"] == "up" and primary["connected_slaves"] == 1
        return linked and primary["master_repl_offset"] == replica["slave_repl_offset"]


class PairedCluster(RunningCluster):
    def __init__(self, pairs: list[Pair]) -> None:
        super().__init__([each for pair in pairs for each in pair.servers])
        self.pairs = pairs

    def wait_synchronized(self) -> None:
        for pair in self.pairs:
            eventually(pair.is_synchronized, lambda pair=pair: both_logs(pair), timeout=20)

    def kill(self, node: Server) -> None:
        """SIGKILL. Valkey 9.1 gets a new nodes.conf, of what we know.

        For an address it takes a secret that members of Redis 8 send, and saves it with whatever is behind it
        in memory: lines of a former nodes.conf, even. An operator, too, would have to write it anew.
        """
        known = self._known_by_us(node) if node.kind == "valkey" else None
        node.kill()
        if known is not None:
            (node.directory / "nodes.conf").write_text(known)

    def _known_by_us(self, reader: Server) -> str:
        teller = next(node for node in self.running if node.kind == "shoal")
        lines = []
        for line in teller.run("CLUSTER", "NODES").decode().splitlines():
            node_id, address, flags, *rest = line.split()
            shard = int(node_id[:-2], 16)
            names = [name for name in flags.split(",") if name in ("master", "slave")]
            if node_id == self.id_of(reader):
                names.insert(0, "myself")
            known = f"{address.split(',')[0]},,tls-port=0,shard-id={shard:040x}"
            lines.append(" ".join((node_id, known, ",".join(names), *rest)))
        epoch = max(line.epoch for line in self.view(teller).values())
        lines.append(f"vars currentEpoch {epoch} lastVoteEpoch {epoch}")
        return "\n".join(lines) + "\n"


def both_logs(pair: Pair) -> str:
    return "\n".join(f"{each!r}:\n{each.log[-2000:]}" for each in pair.servers)


@contextmanager
def pairs_of(*kinds: Sequence[str], node_timeout: int = 2000, **config: Setting) -> Iterator[PairedCluster]:
    """`kinds`: of primary and replica, as `server` knows them."""
    settings = {"cluster_enabled": "yes", "cluster_node_timeout": node_timeout, **config}
    with ExitStack() as stack:
        pairs = []
        for number, two in enumerate(kinds):
            slots = SLOT_COUNT * number // len(kinds), SLOT_COUNT * (number + 1) // len(kinds) - 1
            servers = [server(kind, **settings) for kind in two]
            for each in servers:
                stack.callback(each.close)
            pairs.append(Pair(number, *servers, slots))
        for pair in pairs:
            for each in pair.servers:
                (each.directory / "nodes.conf").write_text(_nodes_conf(pairs, each))
                each.start(wait=False)
        cluster = PairedCluster(pairs)
        for each in cluster.nodes:
            each.wait_ready()
        cluster.wait_synchronized()
        cluster.wait_settled()
        yield cluster


def _nodes_conf(pairs: list[Pair], reader: Server) -> str:
    """What `reader` knows. Shard ids are not for Redis 7.0."""
    lines = []
    for pair in pairs:
        primary_id, replica_id = (f"{pair.number + 1:038x}{half:02x}" for half in range(2))
        rows = (
            (primary_id, "master -", f" {pair.slots[0]}-{pair.slots[1]}"),
            (replica_id, f"slave {primary_id}", ""),
        )
        for each, (node_id, role, slots) in zip(pair.servers, rows, strict=True):
            address = f"{each.host}:{each.port}@{each.port + 10000}"
            if reader.kind != "redis-7.0":
                address += f",,tls-port=0,shard-id={pair.number + 1:040x}"
            myself = "myself," if each is reader else ""
            lines.append(f"{node_id} {address} {myself}{role} 0 0 {pair.number + 1} connected{slots}")
    lines.append(f"vars currentEpoch {len(pairs)} lastVoteEpoch 0")
    return "\n".join(lines) + "\n"
