"""MULTI, EXEC, DISCARD, WATCH beside both oracles: by script, with a rival, and what the trail gets of it."""

from __future__ import annotations

import pytest

from tests.compat.differential import compare, parse_script
from tests.harness.resp import Resp
from tests.harness.servers import Oracle, Server, ShoalNode

SCRIPT = r"""
EXEC
DISCARD
MULTI
@redis MULTI
SET a 1
INCR a
GET a
EXEC
# errors while queueing abort, errors while executing do not
MULTI
NOSUCH
GET
SET a 2
EXEC
GET a
MULTI
SET s x
INCR s
LPUSH s 1
SET s y
EXEC
GET s
MULTI
EXEC
MULTI
@redis WATCH a
SET a 3
EXEC
MULTI
SET a 4
DISCARD
GET a
EXEC
WATCH
UNWATCH a
UNWATCH
# watched and changed by the client itself
WATCH a
SET a 5
MULTI
GET a
EXEC
WATCH a
MULTI
GET a
EXEC
WATCH a
SET a 6
UNWATCH
MULTI
GET a
EXEC
# a watched key that comes, goes, is renamed over, expires at once
WATCH none
SET none 1
MULTI
PING
EXEC
WATCH none
DEL none
MULTI
PING
EXEC
WATCH never
DEL never
MULTI
PING
EXEC
SET b 1
WATCH a
RENAME b a
MULTI
PING
EXEC
WATCH a
PEXPIREAT a 1
MULTI
PING
EXEC
SET a 1
WATCH a
FLUSHALL
MULTI
PING
EXEC
WATCH a
FLUSHALL
MULTI
PING
EXEC
SET h x
WATCH h
HSET h f v
MULTI
PING
EXEC
# what may not be queued, and what ends a transaction
MULTI
RESET
EXEC
MULTI
SUBSTR
PING a b c
EXEC
MULTI
CLIENT SETNAME x
EXEC
CLIENT GETNAME
"""


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("which", ["redis", "valkey"])
def test_script(
    shoal_node: ShoalNode, redis_oracle: Oracle, valkey_oracle: Oracle, which: str, protocol: int
) -> None:
    oracle = {"redis": redis_oracle, "valkey": valkey_oracle}[which]
    compare(shoal_node, oracle, parse_script(SCRIPT, oracle), protocol)


RIVALS = [
    ["SET k 2"],
    ["APPEND k x"],
    ["DEL k"],
    ["DEL other"],
    ["GET k"],
    ["SETBIT k 1 1"],
    ["EXPIRE k 100"],
    ["PERSIST k"],
    ["TOUCH k"],
    ["FLUSHDB"],
    ["COPY other k REPLACE", "SET other 1"],
    ["SET other 1", "COPY other k REPLACE"],
    ["SET other 1", "RENAMENX other k"],
    ["MULTI", "SET k 1", "DISCARD"],
    ["MULTI", "SET k 1", "EXEC"],
    ["SET k 1 NX"],
    ["PEXPIREAT k 1"],
    ["SELECT 1", "SET k 9"],
]


@pytest.mark.parametrize("rival", RIVALS, ids=lambda rival: "; ".join(rival))
def test_watch_against_a_rival(shoal_node: ShoalNode, redis_oracle: Oracle, rival: list[str]) -> None:
    def outcome(server: Server) -> list[object]:
        with server.resp() as ours, server.resp() as theirs:
            ours.command("SET", "k", "1")
            ours.command("WATCH", "k", "other")
            for line in rival:
                theirs.command(*line.split())
            ours.command("MULTI")
            ours.command("INCR", "n")
            return [ours.command("EXEC"), ours.command("GET", "n")]

    assert outcome(shoal_node) == outcome(redis_oracle)


def test_a_key_that_expires_while_watched(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    """Alive when watched and gone at EXEC is a change; overdue already when watched is none."""

    def outcome(server: Server) -> list[object]:
        with server.resp() as connection:
            connection.command("DEBUG", "SET-ACTIVE-EXPIRE", "0")
            connection.command("SET", "k", "1", "PX", "30")
            connection.command("WATCH", "k")
            connection.command("DEBUG", "SLEEP", "0.05")
            first = _exec(connection)
            connection.command("SET", "k", "1", "PX", "1")
            connection.command("DEBUG", "SLEEP", "0.02")
            connection.command("WATCH", "k")
            connection.command("GET", "k")
            second = _exec(connection)
            connection.command("DEBUG", "SET-ACTIVE-EXPIRE", "1")
            return [first, second]

    assert outcome(shoal_node) == outcome(redis_oracle)


def _exec(connection: Resp) -> object:
    connection.command("MULTI")
    connection.command("PING")
    return connection.command("EXEC")


REFUSALS = {
    "OOM": ["CONFIG SET maxmemory 1"],
    "NOREPLICAS": ["CONFIG SET min-replicas-to-write 2"],
    "READONLY": ["REPLICAOF 127.0.0.1 1"],
    "MASTERDOWN": ["CONFIG SET replica-serve-stale-data no", "REPLICAOF 127.0.0.1 1"],
    "NOPERM": ["ACL SETUSER default -exec"],
    "arity": [],
}
"""Why an EXEC is refused → what others do after MULTI."""

RECOVERY = [
    "ACL SETUSER default +exec",
    "CONFIG SET maxmemory 0",
    "CONFIG SET min-replicas-to-write 0",
    "REPLICAOF NO ONE",
    "CONFIG SET replica-serve-stale-data yes",
]


@pytest.mark.parametrize("queued", ["SET k new", "GET k", "PING", "EVAL return{} 0"])
@pytest.mark.parametrize("reason", REFUSALS)
def test_an_exec_that_is_refused_ends_the_transaction(
    redis_oracle: Oracle, shoal_node: ShoalNode, reason: str, queued: str
) -> None:
    def outcome(server: Server) -> list[object]:
        with server.resp() as ours, server.resp() as theirs:
            theirs.command("CONFIG", "RESETSTAT")
            ours.command("SET", "k", "old")
            seen = [ours.command("MULTI"), ours.command(*queued.split())]
            for line in REFUSALS[reason]:
                theirs.command(*line.split())
            seen.append(ours.command("EXEC", *(["more"] if reason == "arity" else [])))
            for line in RECOVERY:
                theirs.command(*line.split())
            seen += [ours.command("EXEC"), ours.command("DISCARD"), ours.command("GET", "k")]
            told = theirs.command("INFO", "errorstats").decode()
            return [*seen, "EXECABORT" in told, reason in told]

    assert outcome(shoal_node) == outcome(redis_oracle)
