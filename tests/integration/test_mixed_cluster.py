"""Our workers and real servers as members of one cluster: they meet, agree, and correct each other."""

from __future__ import annotations

import itertools

import pytest
from redis.crc import key_slot

from tests.harness.clusters import NodeLine, RunningCluster, cluster_of
from tests.harness.ports import lease_port, release_port
from tests.harness.resp import Error, Simple
from tests.harness.servers import Server, server
from tests.harness.wait import eventually

OK = Simple("OK")
THIRDS = ((0, 5460), (5461, 10922), (10923, 16383))


def meet_and_share_slots(cluster: RunningCluster) -> None:
    """Epochs and slots of the first three, and one MEET per node, all by hand: gossip must do the rest."""
    for epoch, (node, (first, last)) in enumerate(zip(cluster.nodes[:3], THIRDS, strict=True), start=1):
        assert node.run("CLUSTER", "SET-CONFIG-EPOCH", epoch) == OK
        assert node.run("CLUSTER", "ADDSLOTSRANGE", first, last) == OK
    for node, other in itertools.pairwise(cluster.nodes):
        assert node.run("CLUSTER", "MEET", other.host, other.port) == OK
    cluster.wait_settled()


def facts(line: NodeLine, with_address: bool = True) -> tuple[object, ...]:
    """What all nodes must agree on."""
    address = line.address.partition(",")[0] if with_address else ""
    return line.id, address, line.flags - {"myself"}, line.primary_id, line.epoch, tuple(line.slots)


def agreed(cluster: RunningCluster, with_address: bool = True) -> bool:
    views = [
        sorted(facts(line, with_address) for line in cluster.view(node).values()) for node in cluster.nodes
    ]
    connected = all(
        line.link == "connected" for node in cluster.nodes for line in cluster.view(node).values()
    )
    return connected and len(views[0]) == len(cluster.nodes) and all(view == views[0] for view in views)


def shown(cluster: RunningCluster) -> str:
    return "\n\n".join(f"{node}:\n{node.run('CLUSTER', 'NODES').decode()}" for node in cluster.nodes)


def kinds(*names: str) -> list[str]:
    return list(names)


@pytest.mark.parametrize(
    "mix",
    [
        kinds("shoal", "valkey", "valkey"),
        kinds("shoal", "redis", "redis"),
        kinds("valkey", "shoal", "shoal"),
        kinds("redis", "shoal", "shoal"),
    ],
    ids="-".join,
)
def test_all_members_show_the_same_cluster(mix: list[str]) -> None:
    with cluster_of(3, kind=mix, form=False) as cluster:
        meet_and_share_slots(cluster)
        eventually(lambda: agreed(cluster), lambda: f"the same view everywhere:\n{shown(cluster)}")
        for node in cluster.nodes:
            assert len({line.epoch for line in cluster.view(node).values()}) == 3


def test_all_three_programs_in_one_cluster() -> None:
    """Addresses are left out: Valkey takes Redis' extension 4 (a secret) for the address of a client's
    endpoint,
    and shows it as the IP of the Redis node."""
    with cluster_of(3, kind=["shoal", "valkey", "redis"], form=False) as cluster:
        meet_and_share_slots(cluster)
        eventually(
            lambda: agreed(cluster, with_address=False),
            lambda: f"the same view everywhere:\n{shown(cluster)}",
        )
        shoal = cluster.nodes[0]
        addresses = {line.address.partition("@")[0] for line in cluster.view(shoal).values()}
        assert addresses == set(cluster.addresses)


def test_names_and_shards_are_understood_both_ways() -> None:
    with cluster_of(3, kind=["shoal", "valkey", "redis"], form=False) as cluster:
        for node in cluster.nodes:
            hostname, name = f"{node.kind}.example", f"the-{node.kind}"
            assert node.run("CONFIG", "SET", "cluster-announce-hostname", hostname) == OK
            assert node.run("CONFIG", "SET", "cluster-announce-human-nodename", name) == OK
        meet_and_share_slots(cluster)
        expected = {f"{node.kind}.example" for node in cluster.nodes}

        def hostnames(seen_by: Server) -> set[str]:
            return {line.address.partition(",")[2] for line in cluster.view(seen_by).values()}

        for node in cluster.nodes:
            eventually(
                lambda node=node: hostnames(node) == expected, lambda: f"all host names:\n{shown(cluster)}"
            )

        shoal = cluster.nodes[0]
        eventually(lambda: "the-valkey" in saved(shoal) and "the-redis" in saved(shoal), "names are saved")
        for node in cluster.nodes:
            assert f"shard-id={node.run('CLUSTER', 'MYSHARDID').decode()}" in saved(shoal)


def zones(cluster: RunningCluster, seen_by: Server) -> list[tuple[bytes, object]]:
    """(id, zone) of the owners, once as SLOTS and once as SHARDS has it."""

    def fields(flat: object) -> dict[bytes, object]:
        return dict(zip(flat[::2], flat[1::2], strict=True))

    rows = [row[2] for row in seen_by.run("CLUSTER", "SLOTS")]
    shards = [fields(fields(shard)[b"nodes"][0]) for shard in seen_by.run("CLUSTER", "SHARDS")]
    found = [(row[2], fields(row[3]).get(b"availability-zone")) for row in rows]
    found += [(node[b"id"], node.get(b"availability-zone")) for node in shards]
    return sorted(found, key=lambda pair: pair[0])


def test_zones_are_known_to_ours_and_valkey() -> None:
    """Redis, which knows none, is told of none: it would log each."""
    with cluster_of(4, kind=["shoal", "valkey", "redis", "shoal"], form=False) as cluster:
        first, valkey, redis, last = cluster.nodes
        for node, zone in ((first, "a"), (valkey, "b"), (last, "rack 7, left")):
            assert node.run("CONFIG", "SET", "availability-zone", zone) == OK
        meet_and_share_slots(cluster)
        ids = [node.run("CLUSTER", "MYID") for node in (first, valkey, redis)]

        def all_see(*expected: bytes | None) -> bool:
            wanted = sorted([*zip(ids, expected, strict=True)] * 2, key=lambda pair: pair[0])
            return all(
                [pair for pair in zones(cluster, node) if pair[0] in ids] == wanted
                for node in (first, valkey, last)
            )

        eventually(lambda: all_see(b"a", b"b", None), "zones are known")
        first.run("CONFIG", "SET", "availability-zone", "")
        valkey.run("CONFIG", "SET", "availability-zone", "c")
        eventually(lambda: all_see(None, b"c", None), "zones change, and are taken back")
        assert "extension" not in redis.log.lower()


@pytest.mark.parametrize("real", ["valkey", "redis"])
def test_a_bus_on_a_port_of_its_own(real: str) -> None:
    """cluster-port on both sides; MEET then has to name the bus port."""
    ports = {kind: lease_port() for kind in ("shoal", real)}
    with (
        server("shoal", cluster_enabled="yes", cluster_port=ports["shoal"]) as ours,
        server(real, cluster_enabled="yes", cluster_port=ports[real]) as theirs,
    ):
        cluster = RunningCluster([ours, theirs])
        assert ours.run("CLUSTER", "MEET", theirs.host, theirs.port, ports[real]) == OK
        eventually(lambda: agreed(cluster), lambda: f"the same view on both sides:\n{shown(cluster)}")
        bus_ports = {int(line.address.partition("@")[2]) for line in cluster.view(theirs).values()}
        assert bus_ports == set(ports.values())
    for port in ports.values():
        release_port(port)


def saved(node: Server) -> str:
    """nodes.conf of this moment."""
    node.run("CLUSTER", "SAVECONFIG")
    return (node.directory / "nodes.conf").read_text()


def test_a_forgotten_node_is_forgotten_by_all() -> None:
    """CLUSTER FORGET at one node travels with its heartbeats (Redis 7.0+), in both directions."""
    with cluster_of(3, kind=["shoal", "redis", "shoal"], form=False) as cluster:
        meet_and_share_slots(cluster)
        first, real, leaver = cluster.nodes
        leaver_id = cluster.id_of(leaver)
        eventually(lambda: agreed(cluster), "all know each other")
        assert first.run("CLUSTER", "FORGET", leaver_id) == OK
        eventually(lambda: leaver_id not in cluster.view(real), "the other node has forgotten it, too")


def test_a_slot_moves_from_theirs_to_ours_and_back() -> None:
    with cluster_of(3, kind=["shoal", "valkey", "redis"], form=False) as cluster:
        meet_and_share_slots(cluster)
        ours = cluster.nodes[0]
        for theirs, (slot, _) in zip(cluster.nodes[1:], THIRDS[1:], strict=True):
            key = key_of_slot(slot)
            assert theirs.run("SET", key, "value") == OK
            move_slot(cluster, slot, theirs, ours)
            assert ours.run("GET", key) == b"value"
            move_slot(cluster, slot, ours, theirs)
            assert theirs.run("GET", key) == b"value"


def key_of_slot(slot: int) -> bytes:
    names = (b"key%d" % number for number in itertools.count())
    return next(name for name in names if key_slot(name) == slot)


def move_slot(cluster: RunningCluster, slot: int, source: Server, target: Server) -> None:
    source_id, target_id = cluster.id_of(source), cluster.id_of(target)
    assert target.run("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id) == OK
    assert source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id) == OK
    keys = source.run("CLUSTER", "GETKEYSINSLOT", slot, 100)
    moved = source.run("MIGRATE", target.host, target.port, "", 0, 5000, "KEYS", *keys)
    assert moved == OK
    assert source.run("GET", keys[0]) == Error(f"ASK {slot} {target.address}")
    assert target.run("GET", keys[0]) == Error(f"MOVED {slot} {source.address}")
    with target.resp() as connection:
        assert connection.command("ASKING") == OK
        assert connection.command("GET", keys[0]) == b"value"
    for node in (target, source):
        assert node.run("CLUSTER", "SETSLOT", slot, "NODE", target_id) == OK
    for node in cluster.nodes:
        eventually(
            lambda node=node: owner_seen_by(cluster, node, slot) == target_id, f"{node} knows the new owner"
        )


def owner_seen_by(cluster: RunningCluster, node: Server, slot: int) -> str:
    return next(owner for first, last, owner in cluster.slot_owners(node) if first <= slot <= last)
