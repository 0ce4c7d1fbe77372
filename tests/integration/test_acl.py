"""Users where workers meet others: replicas that log in, members of a cluster, keys on their way."""

from __future__ import annotations

import pytest

from tests.harness.resp import Error, Simple
from tests.harness.servers import ShoalNode, server
from tests.harness.wait import eventually

REPLICA_RIGHTS = ("on", ">secret", "+psync", "+replconf", "+ping")


@pytest.mark.parametrize(("primary_kind", "replica_kind"), [("shoal", "redis"), ("redis", "shoal")])
def test_a_replica_logs_in_as_a_user_of_its_own(primary_kind: str, replica_kind: str) -> None:
    settings = {"masteruser": "replica", "masterauth": "secret"}
    with (
        server(primary_kind) as primary,
        server(replica_kind, **settings) as replica,
    ):
        primary.run("ACL", "SETUSER", "replica", *REPLICA_RIGHTS)
        primary.run("ACL", "SETUSER", "default", "off")
        with primary.resp() as closed_out:
            assert closed_out.command("PING").prefix == "NOAUTH"
        replica.run("REPLICAOF", primary.host, primary.port)
        eventually(lambda: replica.info("replication")["master_link_status"] == "up", "the link")


def test_a_replica_without_the_right_to_be_one() -> None:
    with ShoalNode() as primary, ShoalNode(masteruser="replica", masterauth="secret") as replica:
        primary.run("ACL", "SETUSER", "replica", "on", ">secret", "+ping", "+replconf")
        replica.run("REPLICAOF", primary.host, primary.port)
        eventually(lambda: primary.run("ACL", "LOG"), "the refusal is noted")
        entry = primary.run("ACL", "LOG", "1")[0]
        assert dict(zip(entry[::2], entry[1::2], strict=True))[b"object"] == b"psync"
        assert replica.info("replication")["master_link_status"] == "down"


def test_what_is_applied_from_a_primary_is_not_judged() -> None:
    with ShoalNode() as primary, ShoalNode() as replica:
        replica.run("ACL", "SETUSER", "al", "on", "nopass", "-@all")
        replica.run("ACL", "SETUSER", "default", "-@write", "resetkeys", "~none")
        with replica.resp() as connection:
            assert connection.command("REPLICAOF", primary.host, primary.port) == Simple("OK")
        primary.run("SET", "k", "v")
        eventually(lambda: replica.run("DBSIZE") == 1, "the write arrived")


def test_rights_come_before_redirections() -> None:
    with ShoalNode(cluster_enabled="yes") as node, node.resp() as root, node.resp() as al:
        root.command("ACL", "SETUSER", "al", "on", "nopass", "+get", "~mine")
        al.command("AUTH", "al", "x")
        assert al.command("GET", "other") == Error("NOPERM No permissions to access a key")
        assert al.command("GET", "mine").prefix == "CLUSTERDOWN"
        assert al.command("SET", "mine", "v").prefix == "NOPERM"
        assert al.command("ASKING").prefix == "NOPERM"


def test_migrate_logs_in_as_a_user() -> None:
    with ShoalNode() as source, ShoalNode() as target, source.resp() as root:
        target.run("ACL", "SETUSER", "mover", "on", ">secret", "+restore", "+select", "~a*")
        target.run("ACL", "SETUSER", "default", "off")
        root.command("MSET", "a", "1", "b", "2")
        move = ("MIGRATE", target.host, target.port)
        assert root.command(*move, "a", 0, 5000, "AUTH2", "mover", "wrong").prefix == "ERR"
        assert root.command(*move, "a", 0, 5000, "AUTH2", "mover", "secret") == Simple("OK")
        refused = root.command(*move, "b", 0, 5000, "AUTH2", "mover", "secret")
        assert refused == Error(
            "ERR Target instance replied with error: NOPERM No permissions to access a key"
        )
        assert root.command("EXISTS", "a", "b") == 1
