"""CLIENT CAPA and CLIENT IMPORT-SOURCE, what a client says of itself, beside valkey-server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.compat.scripts import answers, assert_same
from tests.harness.servers import Oracle, Server, ShoalNode, server
from tests.harness.wait import eventually

WORDS = [
    *("CLIENT CAPA", "CLIENT CAPA redirect", "CLIENT CAPA foo bar", "CLIENT CAPA REDIRECT foo", "GET none"),
    *("CLIENT IMPORT-SOURCE", "CLIENT IMPORT-SOURCE on", "CLIENT IMPORT-SOURCE off"),
    *("CLIENT IMPORT-SOURCE foo", "CLIENT IMPORT-SOURCE on off", "CONFIG GET import-mode"),
]


@pytest.mark.parametrize("protocol", [2, 3])
def test_words(shoal_node: ShoalNode, valkey_oracle: Oracle, protocol: int) -> None:
    assert_same(shoal_node, valkey_oracle, WORDS, protocol)


# ------------------------------------------------------------------------------------- redirections


@pytest.fixture(scope="module")
def replicas(valkey_server: Oracle) -> Iterator[list[Server]]:
    """Ours and Valkey's, of the same primary."""
    nodes = [server(kind) for kind in ("shoal", "valkey")]
    try:
        for node in nodes:
            node.start()
            node.run("REPLICAOF", valkey_server.host, valkey_server.port)
        for node in nodes:
            eventually(
                lambda node=node: b"master_link_status:up" in node.run("INFO", "replication"),
                f"{node!r} has its primary's data",
            )
        yield nodes
    finally:
        for node in nodes:
            node.close()


REDIRECTED = [
    *("SET k v", "GET k", "CLIENT CAPA redirect", "SET k v", "GET k", "PING", "DBSIZE", "KEYS *", "SCAN 0"),
    *("EVAL_RO return(1) 0", "EVAL return(1) 0", "SCRIPT EXISTS a", "FLUSHALL", "OBJECT ENCODING k"),
    *("WATCH k", "UNWATCH", "PUBLISH a b", "CONFIG GET save"),
    *("READONLY", "GET k", "SET k v", "DBSIZE", "READWRITE", "GET k"),
    *("MULTI", "GET k", "SET k v", "EXEC", "MULTI", "PING", "EXEC"),
    *("RESET", "GET k"),
]


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_replica_sends_clients_to_its_primary(replicas: list[Server], protocol: int) -> None:
    assert_same(replicas[0], replicas[1], REDIRECTED, protocol)


# ------------------------------------------------------------------------------------- imports

OTHERS = "GET x|EXISTS x|PTTL x|DBSIZE|KEYS *|GET y|HGETALL h"
IMPORTERS = "CLIENT IMPORT-SOURCE on|GET x|EXISTS x|TTL x|SET y 1 PXAT 1|GET y|APPEND y 2|GET y|PEXPIRETIME y"


def test_what_has_expired_stays_for_who_imports_it(valkey_oracle: Oracle, shoal_node: ShoalNode) -> None:
    heard = []
    for node in (shoal_node, valkey_oracle):
        node.run("FLUSHALL")
        node.run("CONFIG", "SET", "import-mode", "yes")
        node.run("SET", "x", "v", "PX", "1")
        eventually(lambda node=node: node.run("EXISTS", "x") == 0, "x expires")
        story = [
            answers(node, OTHERS.split("|")),
            answers(node, IMPORTERS.split("|")),
            answers(
                node, ["CLIENT IMPORT-SOURCE on", "GET x", "SELECT 1", "SELECT 0", "CLIENT IMPORT-SOURCE off"]
            ),
            answers(node, ["CLIENT IMPORT-SOURCE on", "MULTI", "GET x", "EXEC", "RESET", "GET x"]),
            answers(node, OTHERS.split("|")),
        ]
        node.run("CONFIG", "SET", "import-mode", "no")
        eventually(lambda node=node: node.run("DBSIZE") == 0, "what has expired goes")
        heard.append(story)
    assert heard[0] == heard[1]
    assert heard[0][1][1] == b"v"
    assert heard[0][1][7] == b"12"


def test_it_begins_with_the_setting_of_the_file() -> None:
    with ShoalNode(import_mode="yes") as node:
        node.run("SET", "x", "v", "PX", "1")
        eventually(lambda: node.run("EXISTS", "x") == 0, "x expires")
        assert node.run("DBSIZE") == 1
