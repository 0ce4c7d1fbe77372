"""What is served while the cluster is down, or by a replica, beside redis-server: settings, commands and
scripts."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.harness.pairs import pairs_of
from tests.harness.resp import Resp
from tests.harness.servers import Server, server
from tests.harness.wait import eventually

KINDS = ("shoal", "redis")
KEY = "k"
LIBRARY = """#!lua name=rw
redis.register_function{
    function_name='reads', flags={'no-writes'}, callback=function(keys) return redis.call('get', keys[1]) end}
redis.register_function('writes', function(keys) return redis.call('set', keys[1], 1) end)"""

GET, SET = "return redis.call('get', KEYS[1])", "return redis.call('set', KEYS[1], 1)"
NO_WRITES = "#!lua flags=no-writes\n"
REQUESTS: list[tuple[str, ...]] = [
    *(tuple(line.split()) for line in """
PING
GET k
SET k 1
MGET k {k}2
MGET k other
GET foo
SPUBLISH k message
PUBLISH k message
SSUBSCRIBE k
SUBSCRIBE k
KEYS *
DBSIZE
PFCOUNT k
GETEX k
GETDEL k
TOUCH k
SORT k
SORT_RO k
WATCH k
XREAD STREAMS k 0
BLPOP k 1
FCALL reads 1 k
FCALL writes 1 k
FCALL absent 1 k
FCALL_RO reads 1 k
FCALL_RO writes 1 k""".strip().splitlines()),
    ("EVAL", "return 1", "0"),
    *(
        (name, flags + script, "1", KEY)
        for name in ("EVAL", "EVAL_RO")
        for flags in ("", "#!lua\n", NO_WRITES)
        for script in (GET, SET)
    ),
]  # fmt: skip


def answers(connection: Resp, request: tuple[str, ...], queued: bool) -> list[Any]:
    """To a request, or to it inside a transaction; without addresses."""
    requests = [("MULTI",), request, ("EXEC",)] if queued else [request]
    return [re.sub(r"127\.0\.0\.1:\d+", "<address>", repr(connection.command(*each))) for each in requests]


def assert_same_answers(servers: list[Server], *before: str) -> None:
    """Each request on a connection of its own, after `before`."""
    for request, queued in itertools.product(REQUESTS, (False, True)):
        given = []
        for each in servers:
            with each.resp() as connection:
                if before:
                    connection.command(*before)
                given.append(answers(connection, request, queued))
        assert all(each == given[0] for each in given), request


def an_uncovered_slot(node: Server) -> str:
    return f"{'a' * 40} {address(node)},,shard-id={'1' * 40} myself,master - 0 0 1 connected 0-16382\n"


def a_minority(node: Server) -> str:
    """Two other primaries, at whose addresses nobody is."""
    lines = (
        f"{'a' * 40} {address(node)},,shard-id={'1' * 40} myself,master - 0 0 1 connected 0-12999",
        f"{'b' * 40} 127.0.0.1:1@10001 master - 0 0 2 connected 13000-14999",
        f"{'c' * 40} 127.0.0.1:2@10002 master - 0 0 3 connected 15000-16383",
    )
    return "\n".join(lines) + "\n"


def address(node: Server) -> str:
    return f"{node.host}:{node.port}@{node.port + 10000}"


@pytest.fixture(scope="module", params=[an_uncovered_slot, a_minority], ids=lambda made: made.__name__)
def down(request: pytest.FixtureRequest) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        servers = []
        for kind in KINDS:
            node = server(kind, cluster_enabled="yes", cluster_node_timeout=500)
            stack.callback(node.close)
            (node.directory / "nodes.conf").write_text(request.param(node))
            servers.append(node.start(wait=False))
        for node in servers:
            node.wait_ready()
            assert node.run("FUNCTION", "LOAD", LIBRARY) == b"rw"
            eventually(
                lambda node=node: request.param is not a_minority or "cluster_slots_pfail:3384" in info(node),
                "it knows who is there",
            )
        yield servers


def info(node: Server) -> str:
    return node.run("CLUSTER", "INFO").decode()


@pytest.mark.parametrize("reads", ["yes", "no"])
@pytest.mark.parametrize("channels", ["yes", "no"])
def test_same_answers_while_the_cluster_is_down(down: list[Server], reads: str, channels: str) -> None:
    settings = {
        "cluster-require-full-coverage": "yes",
        "cluster-allow-reads-when-down": reads,
        "cluster-allow-pubsubshard-when-down": channels,
    }
    for node in down:
        node.run("CONFIG", "SET", *itertools.chain.from_iterable(settings.items()))
        eventually(lambda node=node: "cluster_state:fail" in info(node), "the cluster is down")
    assert_same_answers(down)


def test_full_coverage_is_a_matter_of_settings_a_majority_is_not(down: list[Server]) -> None:
    has_majority = "cluster_known_nodes:1" in info(down[0])
    for node in down:
        node.run("CONFIG", "SET", "cluster-require-full-coverage", "no")
        if has_majority:
            eventually(lambda node=node: "cluster_state:ok" in info(node), "what is covered is served")
        else:
            assert "cluster_state:fail" in info(node)
    assert_same_answers(down)


def test_same_answers_of_replicas() -> None:
    with ExitStack() as stack:
        clusters = [stack.enter_context(pairs_of((kind, kind))) for kind in KINDS]
        for cluster in clusters:
            cluster.pairs[0].primary.run("FUNCTION", "LOAD", LIBRARY)
            cluster.wait_synchronized()
        replicas = [cluster.pairs[0].replica for cluster in clusters]
        assert_same_answers(replicas)
        assert_same_answers(replicas, "READONLY")
