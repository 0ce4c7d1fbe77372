"""Where a command belongs: every answer of Redis' getNodeByQuery, from a topology made by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cluster import redirection
from cluster.slots import ALL_SLOTS, contains, from_range
from cluster.topology import flags as flag
from cluster.topology.node import Node, Outside
from cluster.topology.topology import Topology
from node.commands import TABLE
from node.core.key_slot import key_slot
from node.errors import ReplyError

KEY = b"foo"
SLOT = key_slot(KEY)


class Keys:
    """A database of names."""

    def __init__(self, *names: bytes) -> None:
        self.names = set(names)

    def exists(self, key: bytes) -> bool:
        return key in self.names


def node(letter: str, port: int, flags: int = flag.PRIMARY, hostname: str = "") -> Node:
    made = Node(letter * 40, flags, "5" * 40, 0)
    made.ip, made.tcp_port, made.hostname = "10.0.0.1", port, hostname
    return made


class Scene:
    """`me` and `other`; a session with settings; `ask(command, *keys)` gives the answer."""

    def __init__(self) -> None:
        self.me, self.other = node("a", 7001), node("b", 7002)
        self.topology = Topology(self.me)
        self.topology.add_node(self.other)
        self.coordinator: Any = SimpleNamespace(topology=self.topology, ok=True)
        self.config = SimpleNamespace(
            cluster_preferred_endpoint_type="ip",
            cluster_allow_reads_when_down=False,
            cluster_allow_pubsubshard_when_down=True,
            tls_cluster=False,
            cluster_outside_port=7100,
            cluster_outside_tls_port=7101,
        )
        self.session = SimpleNamespace(
            db=Keys(), config=self.config, readonly=False, asking=False, queue=[], link=None
        )
        self.session.is_judged_as_write = lambda row, argv: (
            any(queued.is_write for queued, _ in self.session.queue) if row.name == "exec" else row.is_write
        )

    def ask(self, command: str, *keys: bytes) -> str:
        try:
            argv = [command.encode(), *keys]
            redirection.check(self.coordinator, self.session, TABLE[command], argv, list(keys))
        except ReplyError as error:
            return error.text
        return "here"


@pytest.fixture
def scene() -> Scene:
    return Scene()


MOVED = f"MOVED {SLOT} 10.0.0.1:7002"
ASK = f"ASK {SLOT} 10.0.0.1:7002"
TRYAGAIN = "TRYAGAIN Multiple keys request during rehashing of slot"
DOWN = "CLUSTERDOWN The cluster is down"


def test_owners(scene: Scene) -> None:
    assert scene.ask("get", KEY) == "CLUSTERDOWN Hash slot not served"
    scene.topology.assign_slots(scene.other, ALL_SLOTS)
    assert scene.ask("get", KEY) == MOVED
    scene.topology.assign_slots(scene.me, ALL_SLOTS)
    assert scene.ask("get", KEY) == "here"
    assert scene.ask("mget", b"{foo}1", b"{foo}2") == "here"
    assert scene.ask("mget", b"{foo}1", b"{bar}2").startswith("CROSSSLOT ")


def test_an_unowned_first_key_comes_before_crossslot(scene: Scene) -> None:
    scene.topology.assign_slots(scene.me, ALL_SLOTS & ~(1 << SLOT))
    assert scene.ask("mget", KEY, b"bar") == "CLUSTERDOWN Hash slot not served"
    assert scene.ask("mget", b"bar", KEY).startswith("CROSSSLOT ")


def test_a_slot_that_leaves(scene: Scene) -> None:
    scene.topology.assign_slots(scene.me, ALL_SLOTS)
    scene.topology.migrating[SLOT] = scene.other
    scene.session.db = Keys(KEY, b"{foo}1")
    assert scene.ask("get", KEY) == "here"
    assert scene.ask("get", b"{foo}gone") == ASK
    assert scene.ask("mget", KEY, b"{foo}1") == "here"
    assert scene.ask("mget", KEY, b"{foo}gone") == TRYAGAIN
    assert scene.ask("mget", b"{foo}gone", b"{foo}gone too") == ASK
    assert scene.ask("migrate", b"{foo}gone") == "here"


def test_a_slot_that_arrives(scene: Scene) -> None:
    scene.topology.assign_slots(scene.other, ALL_SLOTS)
    scene.topology.importing[SLOT] = scene.other
    scene.session.db = Keys(KEY)
    assert scene.ask("get", KEY) == MOVED
    assert scene.ask("restore-asking", KEY) == "here"
    assert scene.ask("migrate", KEY) == "here"
    scene.session.asking = True
    assert scene.ask("get", b"{foo}new") == "here"
    assert scene.ask("mget", KEY, KEY) == "here"
    assert scene.ask("mget", KEY, b"{foo}new") == TRYAGAIN


def test_a_cluster_that_is_down(scene: Scene) -> None:
    scene.topology.assign_slots(scene.me, ALL_SLOTS)
    scene.coordinator.ok = False
    assert scene.ask("get", KEY) == DOWN
    assert scene.ask("spublish", KEY) == "here"
    assert scene.ask("mget", KEY, b"bar").startswith("CROSSSLOT ")
    scene.config.cluster_allow_pubsubshard_when_down = False
    assert scene.ask("spublish", KEY) == DOWN
    scene.config.cluster_allow_reads_when_down = True
    assert scene.ask("get", KEY) == "here"
    assert scene.ask("set", KEY) == "CLUSTERDOWN The cluster is down and only accepts read commands"


def test_a_replica_serves_reads_to_those_who_say_so(scene: Scene) -> None:
    scene.topology.assign_slots(scene.other, ALL_SLOTS)
    scene.me.flags = flag.REPLICA | flag.MYSELF
    scene.topology.set_primary(scene.me, scene.other)
    assert scene.ask("get", KEY) == MOVED
    scene.session.readonly = True
    assert scene.ask("get", KEY) == "here"
    assert scene.ask("set", KEY) == MOVED
    scene.session.queue = [(TABLE["get"], [b"GET", KEY])]
    assert scene.ask("exec", KEY) == "here"
    scene.session.queue = [(TABLE["set"], [b"SET", KEY, b"v"])]
    assert scene.ask("exec", KEY) == MOVED


def test_endpoints(scene: Scene) -> None:
    scene.topology.assign_slots(scene.other, ALL_SLOTS)
    scene.config.cluster_preferred_endpoint_type = "unknown-endpoint"
    assert scene.ask("get", KEY) == f"MOVED {SLOT} :7002"
    scene.config.cluster_preferred_endpoint_type = "hostname"
    assert scene.ask("get", KEY) == f"MOVED {SLOT} ?:7002"
    scene.other.hostname = "two.example"
    assert scene.ask("get", KEY) == f"MOVED {SLOT} two.example:7002"


def test_who_came_from_outside_is_sent_where_that_leads(scene: Scene) -> None:
    scene.topology.assign_slots(scene.other, ALL_SLOTS)
    scene.other.outside = Outside("db.example", 17002, 0)
    came: dict[str, object] = {"sslcontext": None, "sockname": ("172.18.0.2", 7001)}
    scene.session.link = SimpleNamespace(transport=SimpleNamespace(get_extra_info=came.get))
    assert scene.ask("get", KEY) == MOVED
    came["sockname"] = ("172.18.0.2", 7100)
    assert scene.ask("get", KEY) == f"MOVED {SLOT} db.example:17002"
    scene.config.cluster_preferred_endpoint_type = "hostname"
    assert scene.ask("get", KEY) == f"MOVED {SLOT} db.example:17002"
    scene.config.cluster_preferred_endpoint_type = "ip"
    came |= {"sockname": ("172.18.0.2", 7101), "sslcontext": object()}
    assert scene.ask("get", KEY) == f"MOVED {SLOT} 10.0.0.1:0", "it announces no TLS port, inside or outside"
    scene.other.outside = Outside("db.example", 17002, 17102)
    assert scene.ask("get", KEY) == f"MOVED {SLOT} db.example:17102"
    scene.other.outside = None
    came |= {"sockname": ("172.18.0.2", 7100), "sslcontext": None}
    assert scene.ask("get", KEY) == MOVED


def test_plainly_served_slots(scene: Scene) -> None:
    scene.topology.assign_slots(scene.me, from_range(0, 8000) | 1 << SLOT)
    scene.topology.migrating[5] = scene.other
    served = redirection.served_slots(scene.coordinator)
    assert served == (from_range(0, 8000) | 1 << SLOT) & ~(1 << 5)
    assert not contains(served, 5)
    scene.coordinator.ok = False
    assert redirection.served_slots(scene.coordinator) == 0
