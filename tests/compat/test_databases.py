"""Numbered databases beside the oracles: SELECT, MOVE, COPY, SWAPDB; who watches, waits, replicates."""

from __future__ import annotations

import pytest

from tests.compat.conversations import assert_same_heard
from tests.compat.differential import compare, parse_script
from tests.harness.servers import Oracle, Server, ShoalNode
from tests.harness.wait import eventually

SCRIPT = """
SET a 0
SELECT 1
SET a 1
SET only1 1 PXAT 9999999999999
DBSIZE
SWAPDB 0 1
GET a
DBSIZE
SELECT 0
GET a
PEXPIRETIME only1
DBSIZE
SWAPDB 0 0
SWAPDB 1 0
GET a
SWAPDB 0 5
GET a
DBSIZE
SET b 1
SELECT 5
GET a
GET b
RANDOMKEY
FLUSHDB
SELECT 0
GET b
MOVE b 3
MOVE b 3
COPY b c DB 3
SET b 2
MOVE b 3
MOVE b 0
MOVE b 16
MOVE b -1
MOVE b x
COPY b b DB 3
COPY b b DB 3 REPLACE
COPY b b DB 99
COPY b b DB 0
SELECT 3
GET b
SCAN 0
SELECT 16
SELECT -1
SELECT x
SELECT 99999999999
SWAPDB x 1
SWAPDB 0 y
SWAPDB 0 16
SWAPDB -1 0
SWAPDB 0 99999999999999999999
SWAPDB 99999999999 0
SWAPDB 0
MULTI
SELECT 2
SET in2 1
SWAPDB 2 3
GET in2
SELECT 3
EXEC
GET in2
EVAL "redis.call('swapdb', 3, 4) return redis.call('exists', 'in2')" 0
EVAL "redis.call('select', 4) return redis.call('get', 'in2')" 0
GET in2
DEBUG DIGEST
"""

CONVERSATIONS = {
    "watched keys": """
        a> hello 2
        b> hello 2
        b> SELECT 1
        b> SET in1 x
        a> SET in0 x
        a> WATCH in0
        b> SWAPDB 0 1
        a> MULTI
        a> EXEC
        a> WATCH nowhere
        b> SWAPDB 0 1
        a> MULTI
        a> EXEC
        a> WATCH in1
        b> SWAPDB 0 1
        a> MULTI
        a> EXEC
        a> WATCH in1
        b> SWAPDB 2 3
        a> MULTI
        a> EXEC
        a> WATCH in1
        b> SWAPDB 0 0
        a> MULTI
        a> EXEC
    """,
    "tracked keys": """
        a> hello 3
        b> hello 3
        a> SET k 1
        a> CLIENT TRACKING ON
        a> GET k
        b> SWAPDB 0 1
        b> PING
        a> GET k
        b> SELECT 7
        b> SET k 1
    """,
}


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_are_those_of_redis(shoal_node: ShoalNode, redis_oracle: Oracle, protocol: int) -> None:
    compare(shoal_node, redis_oracle, parse_script(SCRIPT, redis_oracle), protocol)


def test_replies_are_those_of_valkey(shoal_node: ShoalNode, valkey_oracle: Oracle) -> None:
    compare(shoal_node, valkey_oracle, parse_script(SCRIPT, valkey_oracle))


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_who_looks_on(name: str, shoal_node: ShoalNode, redis_oracle: Oracle, valkey_oracle: Oracle) -> None:
    for oracle in (redis_oracle, valkey_oracle):
        assert_same_heard(shoal_node, oracle, CONVERSATIONS[name])


def test_who_waits_for_a_key_gets_that_of_the_other_database(
    shoal_node: ShoalNode, redis_oracle: Oracle
) -> None:
    for server in (shoal_node, redis_oracle):
        with server.resp() as waiting, server.resp() as other:
            waiting.send_command("BLPOP", "l", "0")
            eventually(lambda: server.info("clients")["blocked_clients"] == 1, "it waits")  # noqa: B023
            other.pipeline(("SELECT", 9), ("RPUSH", "l", "x"), ("SWAPDB", 0, 9))
            assert waiting.read() == [b"l", b"x"]


@pytest.mark.parametrize("kind", ["shoal", "redis", "valkey"])
def test_a_swap_is_replicated(kind: str) -> None:
    with ShoalNode() as primary, ShoalNode() if kind == "shoal" else Oracle(kind) as replica:
        replica.follow(primary)
        with primary.resp() as client:
            client.pipeline(
                ("SET", "a", 0), ("SELECT", 1), ("SET", "b", 1), ("SWAPDB", 0, 1), ("SET", "c", 1)
            )
            assert client.command("WAIT", 1, 5000) == 1
        assert digest(replica) == digest(primary)
        assert replica.info("keyspace")["db0"]["keys"] == 1


def digest(server: Server) -> object:
    return server.run("DEBUG", "DIGEST")


def test_an_unused_database_costs_nothing() -> None:
    with ShoalNode(databases="10000") as node, node.resp() as client:
        few = int(node.info("memory")["used_memory_rss"])
        client.command("SELECT", 9999)
        client.command("GET", "a")
        client.command("FLUSHALL")
        assert few < 150 << 20
        client.command("SET", "a", 1)
        assert node.info("keyspace") == {"db9999": {"keys": 1, "expires": 0, "avg_ttl": 0, "subexpiry": 0}}
