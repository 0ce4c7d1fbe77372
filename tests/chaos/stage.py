"""The clusters that the lab harms: which programs, in which pairs, and what stands between them.

    with stage(Plan(cluster="mixed")) as cluster: ...

A *shard* is a primary with its replicas, side by side in `Stage.shards` at first; failovers change who is
what. In a mixed cluster every program is a member; a shard never has both Redis 8.2 and Valkey 9.1, because
neither of them reads the other's snapshots, while shoal's workers and either of them read each other's. So
replicas stay with their shard (`cluster-allow-replica-migration no`).

With `cuts` every member is reached through a relay (harness/cutter.py). With `small_disks` the directory of
each member is a file system of its own with little room, and there is an append-only file to fill it; the
lab must then run where it may mount one (see `in_own_namespace`).
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import NoReturn

import redis

from tests.chaos import clients
from tests.harness.clusters import RunningCluster
from tests.harness.cutter import Cutter
from tests.harness.resp import Simple
from tests.harness.servers import LOG_TAIL, SIGNS_OF_BUGS, Server, Setting, server
from tests.harness.wait import eventually

OK = Simple("OK")
SLOTS = 16384
DISK_MEGABYTES = 64
MIXES = (
    (("shoal", "valkey"), ("valkey", "shoal"), ("redis", "redis")),
    (("shoal", "redis"), ("redis", "shoal"), ("valkey", "valkey")),
)
BY_NAME: dict[str, Setting] = {"cluster-preferred-endpoint-type": "hostname"}
"""For want of addresses that Valkey can show: it takes a secret that Redis 8 sends for one."""
NAMESPACE = "SHOAL_CHAOS_NAMESPACE"


@dataclass(frozen=True)
class Plan:
    """What the lab is told. `cluster` is "mixed" or the kind of all members."""

    cluster: str = "shoal"
    shards: int = 3
    replicas: int = 1
    node_timeout: int = 2000
    synchronous: int = 0
    """`synchronous-replicas` of our workers."""
    cuts: bool = False
    small_disks: bool = False
    append_only: bool = False
    seed: int = 1

    def kinds(self) -> list[tuple[str, ...]]:
        """The programs of each shard, its primary first."""
        if self.cluster == "mixed":
            return list(MIXES[random.Random(self.seed).randrange(len(MIXES))])
        return [(self.cluster,) * (1 + self.replicas)] * self.shards

    def settings(self, kind: str) -> dict[str, Setting]:
        settings: dict[str, Setting] = {
            "cluster-enabled": "yes",
            "cluster-node-timeout": self.node_timeout,
            "cluster-allow-replica-migration": "no",
        }
        if self.synchronous and kind == "shoal":
            settings["synchronous-replicas"] = self.synchronous
        if self.append_only or self.small_disks:
            settings |= {"appendonly": "yes", "auto-aof-rewrite-min-size": f"{DISK_MEGABYTES // 4}mb"}
        return settings


class Stage:
    """A running cluster. `shards` are the members as they were placed, and `cluster` all of them."""

    def __init__(self, plan: Plan, shards: list[list[Server]], cutter: Cutter | None) -> None:
        self.plan = plan
        self.shards = shards
        self.nodes = [node for shard in shards for node in shard]
        self.cluster = RunningCluster(self.nodes)
        self.cutter = cutter

    @property
    def timeout(self) -> float:
        """cluster-node-timeout in seconds."""
        return self.plan.node_timeout / 1000

    def address(self, node: Server) -> tuple[str, int]:
        """Where members and clients find it."""
        return (self.cutter.host_of(node) if self.cutter else node.host), node.port

    def shard_of(self, node: Server) -> list[Server]:
        return next(shard for shard in self.shards if node in shard)

    def connect(self, patience: float) -> redis.RedisCluster:
        host, port = self.address(random.choice(self.cluster.running))
        return clients.connect(host, port, patience)

    def has_yielded(self, victim: Server) -> bool:
        """Whether some other member, which answers, says that `victim` owns no slots."""
        for other in self.cluster.running:
            if other is not victim:
                return not self.cluster.line_of(victim, seen_by=other).slots
        return False

    def is_whole(self) -> bool:
        """All are there and agree, and no slot is in motion."""
        if not all(node.running for node in self.nodes) or not self.cluster.is_settled():
            return False
        return not any(self.cluster.line_of(node).open_slots for node in self.nodes)

    def wait_whole(self, timeout: float) -> None:
        eventually(self.is_whole, lambda: f"the cluster whole again; views:\n{self.views()}", timeout)

    def views(self) -> str:
        """CLUSTER NODES of every running member."""
        return "\n\n".join(
            f"{node}:\n{node.run('CLUSTER', 'NODES').decode()}" for node in self.cluster.running
        )

    def signs_of_bugs(self) -> list[str]:
        """What logs of our workers tell and must not."""
        return [
            f"{node!r}: {node.log[-LOG_TAIL:]}"
            for node in self.nodes
            if node.kind == "shoal" and any(sign in node.log for sign in SIGNS_OF_BUGS)
        ]


@contextmanager
def stage(plan: Plan) -> Iterator[Stage]:
    """A cluster after `plan`, formed and whole."""
    with ExitStack() as stack:
        cutter = stack.enter_context(Cutter()) if plan.cuts else None
        shards = []
        for kinds in plan.kinds():
            shard = []
            for kind in kinds:
                node = server(kind)
                node.config |= plan.settings(kind)
                stack.callback(node.close)
                if plan.small_disks:
                    mount(node)
                    stack.callback(unmount, node)
                if cutter is not None:
                    node.config |= cutter.place(node)
                if plan.cluster == "mixed":
                    host = cutter.host_of(node) if cutter else node.host
                    node.config |= {"cluster-announce-hostname": host} | BY_NAME
                shard.append(node)
            shards.append(shard)
        if cutter is not None:
            cutter.open()
        running = Stage(plan, shards, cutter)
        for node in running.nodes:
            node.start(wait=False)
        for node in running.nodes:
            node.wait_ready()
        form(running)
        yield running


def form(stage: Stage) -> None:
    """Epochs and slots by hand, so that the pairs are as planned; gossip does the rest."""
    count = len(stage.shards)
    for number, (primary, *_) in enumerate(stage.shards):
        begin, end = SLOTS * number // count, SLOTS * (number + 1) // count - 1
        assert primary.run("CLUSTER", "SET-CONFIG-EPOCH", number + 1) == OK
        assert primary.run("CLUSTER", "ADDSLOTSRANGE", begin, end) == OK
    eventually(lambda: all_met(stage), "all have met", timeout=30)
    for primary, *replicas in stage.shards:
        primary_id = stage.cluster.id_of(primary)
        for replica in replicas:
            eventually(
                lambda replica=replica, wanted=primary_id: replica.run("CLUSTER", "REPLICATE", wanted) == OK,
                lambda replica=replica: f"{replica!r} knows its primary",
                timeout=20,
            )
    stage.wait_whole(timeout=30)


def all_met(stage: Stage) -> bool:
    """Whether the first knows all. It meets those whom it does not: a handshake may come to nothing."""
    first = stage.nodes[0]
    known = stage.cluster.view(first)
    strangers = [node for node in stage.nodes if stage.cluster.id_of(node) not in known]
    for node in strangers:
        assert first.run("CLUSTER", "MEET", *stage.address(node)) == OK
    return not strangers


def mount(node: Server) -> None:
    options = f"size={DISK_MEGABYTES}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(node.directory)], check=True)


def unmount(node: Server) -> None:
    if node.running:
        node.stop()
    subprocess.run(["umount", "-l", str(node.directory)], check=True)


def in_own_namespace() -> bool:
    return NAMESPACE in os.environ


def enter_own_namespace(module: str) -> NoReturn:
    """Become the same command where it may mount file systems, which needs no privilege."""
    command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-m", module, *sys.argv[1:]]
    os.execvpe(command[0], command, os.environ | {NAMESPACE: "1"})
