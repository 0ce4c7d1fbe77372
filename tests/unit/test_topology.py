"""The relations the topology keeps in step, and nodes.conf."""

from __future__ import annotations

import pytest

from cluster.slots import from_range, parse_ranges
from cluster.topology import flags as flag
from cluster.topology.node import Node, is_node_id
from cluster.topology.nodes_conf import ConfigError, format_config, format_nodes, parse_config
from cluster.topology.topology import Topology

NOW = 1_700_000_000_000
ME, OTHER, REPLICA = "a" * 40, "b" * 40, "c" * 40
SHARD = "5" * 40


@pytest.fixture
def topology() -> Topology:
    topology = Topology(Node(ME, flag.PRIMARY, "1" * 40))
    topology.add_node(Node(OTHER, flag.PRIMARY, "2" * 40))
    topology.add_node(Node(REPLICA, flag.REPLICA, "3" * 40))
    topology.assign_slots(topology.nodes[ME], from_range(0, 99))
    topology.assign_slots(topology.nodes[OTHER], from_range(100, 199))
    return topology


def test_assigning_takes_from_the_owner(topology: Topology) -> None:
    topology.touched = 0
    topology.assign_slots(topology.nodes[OTHER], from_range(90, 109))
    assert topology.myself.slots == from_range(0, 89)
    assert topology.nodes[OTHER].slots == from_range(90, 199)
    assert topology.slots[95] is topology.nodes[OTHER]
    assert topology.touched == from_range(90, 99)


def test_removing_a_node_leaves_no_trace(topology: Topology) -> None:
    other, replica = topology.nodes[OTHER], topology.nodes[REPLICA]
    topology.set_primary(replica, other)
    topology.importing[100] = topology.migrating[1] = other
    topology.myself.fail_reports[OTHER] = NOW
    topology.remove_node(other)
    assert topology.slots[100] is None
    assert replica.primary is None
    assert not topology.importing and not topology.migrating
    assert not topology.myself.fail_reports
    assert OTHER not in {node.id for node in topology.members}
    with pytest.raises(ValueError, match="remove itself"):
        topology.remove_node(topology.myself)


def test_a_primary_with_replicas_is_a_target_for_migration(topology: Topology) -> None:
    other, replica = topology.nodes[OTHER], topology.nodes[REPLICA]
    topology.set_primary(replica, other)
    assert other.flags & flag.MIGRATE_TO
    topology.set_primary(replica, topology.myself)
    assert not other.flags & flag.MIGRATE_TO
    assert topology.myself.replicas == [replica]


def test_renaming_keeps_the_node(topology: Topology) -> None:
    other = topology.nodes[OTHER]
    topology.rename_node(other, "d" * 40)
    assert topology.nodes["d" * 40] is other
    assert OTHER not in topology.nodes
    assert topology.members[-1] is other


def test_a_replica_cycle_does_not_hang() -> None:
    first, second = Node(ME, flag.REPLICA, SHARD), Node(OTHER, flag.REPLICA, SHARD)
    first.primary, second.primary = second, first
    assert first.owner in (first, second)


@pytest.mark.parametrize(("text", "valid"), [(ME, True), ("A" * 40, False), ("a" * 39, False), ("", False)])
def test_node_ids(text: str, valid: bool) -> None:
    assert is_node_id(text) is valid


def test_flags_in_words() -> None:
    assert flag.format_flags(flag.MYSELF | flag.REPLICA | flag.NOFAILOVER) == "myself,slave,nofailover"
    assert flag.format_flags(flag.PRIMARY | flag.PFAIL | flag.MIGRATE_TO) == "master,fail?"
    assert flag.format_flags(0) == "noflags"
    assert flag.parse_flags("master,fail") == flag.PRIMARY | flag.FAIL
    with pytest.raises(ValueError, match="sloth"):
        flag.parse_flags("sloth")


# --- nodes.conf

SAVED = "\n".join(
    [
        f"{ME} 127.0.0.1:7001@17001,,tls-port=0,shard-id={SHARD} myself,master - 0 0 3 connected"
        f" 0-99 [5->-{OTHER}] [150-<-{OTHER}]",
        f"{OTHER} 127.0.0.1:7002@17002,b.example,tls-port=0,nodename=bee,shard-id={'6' * 40} master,fail? -"
        f" {NOW} 0 4 disconnected 100-198 200",
        f"{REPLICA} ::1:7003@17003,,tls-port=0,shard-id={SHARD} slave {ME} 0 {NOW} 3 disconnected",
        "vars currentEpoch 7 lastVoteEpoch 6\n",
    ]
)


def read(text: str) -> Topology:
    return parse_config(text, NOW, lambda: "0" * 40)


def test_what_was_saved_is_read_back_to_the_letter() -> None:
    topology = read(SAVED)
    assert format_config(topology) == SAVED
    assert (topology.current_epoch, topology.last_vote_epoch) == (7, 6)
    other, replica = topology.nodes[OTHER], topology.nodes[REPLICA]
    assert (other.hostname, other.human_nodename, other.bus_port) == ("b.example", "bee", 17002)
    assert other.slots == parse_ranges("100-198 200")
    assert (replica.ip, replica.primary) == ("::1", topology.myself)
    assert topology.migrating == {5: other}
    assert topology.importing == {150: other}


def test_clients_see_no_auxiliary_fields_and_the_primarys_epoch() -> None:
    lines = format_nodes(read(SAVED)).splitlines()
    assert lines[0].startswith(f"{ME} 127.0.0.1:7001@17001 myself,master - 0 0 3 connected 0-99 [")
    assert lines[1].startswith(f"{OTHER} 127.0.0.1:7002@17002,b.example master,fail? - ")
    assert lines[2] == f"{REPLICA} ::1:7003@17003 slave {ME} 0 {NOW} 3 disconnected"


def test_files_from_before_shard_ids_and_bus_ports() -> None:
    topology = read(
        f"{ME} 127.0.0.1:7001 myself,slave {OTHER} 0 0 0 connected\n\n"
        f"{OTHER} 127.0.0.1:7002@17002,host master - 0 0 9 connected 0-16383\n"
    )
    assert topology.myself.bus_port == 17001
    assert topology.myself.shard_id == topology.nodes[OTHER].shard_id
    assert topology.nodes[OTHER].hostname == "host"
    assert topology.current_epoch == 9, "never behind the nodes' epochs"


def test_tls_files_name_the_plain_port() -> None:
    line = f"{ME} 127.0.0.1:7001@17001,,tcp-port=6001,shard-id={SHARD} myself,master - 0 0 0 connected\n"
    topology = parse_config(line, NOW, lambda: "0" * 40, tls=True)
    assert (topology.myself.tls_port, topology.myself.tcp_port) == (7001, 6001)
    assert format_config(topology, tls=True).startswith(line)


def test_nodes_in_handshake_are_not_saved() -> None:
    topology = read(SAVED)
    topology.nodes[REPLICA].flags |= flag.HANDSHAKE
    assert REPLICA not in format_config(topology)


GOOD = f"{ME} 127.0.0.1:7001@17001 myself,master - 0 0 0 connected"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 0, "no node is marked as myself"),
        ("rubbish", 1, "1 fields where at least 8"),
        (GOOD.replace(ME, "g" * 40), 1, "not a node id"),
        (f"{GOOD}\n{GOOD}", 2, "appears twice"),
        (f"{GOOD}\n{GOOD.replace(ME, OTHER)}", 2, "second node is marked as myself"),
        (GOOD.replace("myself,master", "myself"), 0, "neither primary nor replica"),
        (GOOD.replace("master", "slave"), 0, "replica of nobody"),
        (GOOD.replace("master", "sloth"), 1, "unknown node flag"),
        (GOOD.replace(" - ", f" {OTHER} "), 1, "has no line"),
        (GOOD.replace("127.0.0.1:7001@17001", "nowhere"), 1, "no port"),
        (GOOD.replace("7001@", "x@"), 1, "not a port"),
        (GOOD.replace("@17001", "@17001,,color=red"), 1, "unknown field"),
        (GOOD.replace("@17001", "@17001,,shard-id=1"), 1, "not a shard id"),
        (GOOD + " 16384", 1, "not a slot number"),
        (GOOD + f" [5=={OTHER}]", 1, "not a slot number"),
        (
            GOOD + f"\n{GOOD.replace('myself,', '').replace(ME, OTHER)} 5\nvars currentEpoch",
            3,
            "without a value",
        ),
        (GOOD + " 5\n" + GOOD.replace("myself,", "").replace(ME, OTHER) + " 5", 2, "two owners"),
        (GOOD + "\nvars currentEpoch x lastVoteEpoch 0", 2, "not an epoch"),
    ],
)
def test_a_damaged_file_is_refused_with_line_and_reason(text: str, line: int, reason: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(text)
    assert error.value.line == line
    assert reason in error.value.reason
