"""DEBUG beside redis-server: what reloads, replicates and looks into the data."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compat.scripts import assert_same
from tests.harness.resp import Error, Simple
from tests.harness.servers import Oracle, Server, ShoalNode
from tests.harness.wait import eventually

SCRIPT = [
    "DEBUG HTSTATS 99",
    "DEBUG HTSTATS x",
    "DEBUG HTSTATS-KEY s",
    "DEBUG HTSTATS-KEY nokey",
    "DEBUG HTSTATS-KEY l",
    "DEBUG LISTPACK l",
    "DEBUG LISTPACK nokey",
    "DEBUG LISTPACK s",
    "DEBUG LISTPACK t",
    "DEBUG CHANGE-REPL-ID",
    "DEBUG REPLICATE foo set a b",
    "DEBUG REPLICATE",
    "DEBUG DIGEST",
    "DEBUG RELOAD",
    "DEBUG DIGEST",
    "DEBUG RELOAD FOO",
    "DEL s",
    "SET extra 1",
    "DEBUG RELOAD NOSAVE",
    "EXISTS s extra",
    "SET s changed",
    "SET extra 1",
    "DEBUG RELOAD NOSAVE NOFLUSH MERGE",
    "MGET s extra",
    "PEXPIRETIME e",
    "DEBUG SET-ACTIVE-EXPIRE 0",
    "DEBUG SET-ACTIVE-EXPIRE 1",
    "DEBUG SLEEP 0",
    "DEBUG",
]


def fill(server: Server) -> None:
    with server.resp() as client:
        client.command("SET", "s", "hello")
        client.command("RPUSH", "l", "a", "b", 3)
        client.command("SADD", "t", *(f"m{number}" for number in range(600)))
        client.command("SET", "e", 1, "PXAT", 9_999_999_999_999)
        client.pipeline(("SELECT", 3), ("ZADD", "z", 1, "a", 2.5, "b"), ("HSET", "h", "f", "v"))


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_are_those_of_redis(shoal_node: ShoalNode, redis_oracle: Oracle, protocol: int) -> None:
    fill(shoal_node), fill(redis_oracle)
    assert_same(shoal_node, redis_oracle, SCRIPT, protocol)


def test_tables(shoal_node: ShoalNode) -> None:
    fill(shoal_node)
    assert b"number of elements: 4" in shoal_node.run("DEBUG", "HTSTATS", 0)
    assert shoal_node.run("DEBUG", "HTSTATS", 5).count(b"No stats available") == 2
    assert b"number of elements: 600" in shoal_node.run("DEBUG", "HTSTATS-KEY", "t")


def test_a_damaged_snapshot_is_refused_and_said_so() -> None:
    with ShoalNode() as node:
        fill(node)
        assert node.run("DEBUG", "RELOAD") == Simple("OK")
        snapshot = node.directory / "dump.rdb"
        snapshot.write_bytes(snapshot.read_bytes()[:-20])
        reply = node.run("DEBUG", "RELOAD", "NOSAVE")
        assert reply == Error("ERR Error trying to load the RDB dump, check server logs.")
        assert "DEBUG RELOAD: " in node.log
        assert node.run("PING") == Simple("PONG")


def test_twice_the_same_key_is_refused(shoal_node: ShoalNode) -> None:
    fill(shoal_node)
    reply = shoal_node.run("DEBUG", "RELOAD", "NOFLUSH")
    assert reply == Error("ERR Error trying to load the RDB dump, check server logs.")


def test_functions_and_scripts_outlive_a_reload(shoal_node: ShoalNode) -> None:
    code = "#!lua name=lib\nredis.register_function('f', function() return 1 end)"
    shoal_node.run("FUNCTION", "LOAD", "REPLACE", code)
    assert shoal_node.run("DEBUG", "RELOAD") == Simple("OK")
    assert shoal_node.run("FCALL", "f", 0) == 1
    shoal_node.run("FUNCTION", "FLUSH")


def test_what_is_replicated_alone_makes_replicas_differ() -> None:
    with ShoalNode() as primary, Oracle("redis") as replica:
        replica.follow(primary)
        assert primary.run("DEBUG", "REPLICATE", "SET", "only", "there") == Simple("OK")
        eventually(lambda: replica.run("GET", "only") == b"there", "the replica has it")
        assert primary.run("EXISTS", "only") == 0


def test_a_new_history_is_told_by_its_id(shoal_node: ShoalNode) -> None:
    def told() -> Any:
        return shoal_node.info("replication")["master_replid"]

    before = told()
    shoal_node.run("DEBUG", "CHANGE-REPL-ID")
    assert told() != before
