"""PING, ECHO, AUTH, HELLO, SELECT, RESET, QUIT beside redis-server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compat.scripts import Command, assert_same
from tests.harness.resp import Error, Map, Simple
from tests.harness.servers import Oracle, Server, ShoalNode

# What no two servers have in common in HELLO's reply, and Redis 8's built-in module.
DIFFERENT_IN_HELLO = {b"version", b"id", b"modules"}

SCRIPT: list[Command] = [
    "PING",
    "PING a",
    "PING a b",
    "ECHO",
    "ECHO a",
    ["ECHO", b"\x00\xff"],
    "ECHO a b",
    "SELECT 0",
    "SELECT 1",
    "SELECT 16",
    "SELECT -1",
    "SELECT x",
    "SELECT 99999999999999",
    "SELECT",
    "AUTH",
    "AUTH x",
    "AUTH default x",
    "AUTH other x",
    "AUTH a b c",
    "HELLO 4",
    "HELLO 1",
    "HELLO x",
    "HELLO 99999999999999999999",
    "HELLO 3 FOO",
    "HELLO 3 AUTH",
    "HELLO 3 AUTH default",
    "HELLO 3 AUTH other x",
    "HELLO 3 SETNAME",
    ["HELLO", "3", "SETNAME", "a b"],
    ["HELLO", "3", "a\r\nb"],
    "RESET a",
    "RESET",
    "QUIT a",
    "PING",
]


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_are_the_oracles(redis_oracle: Oracle, shoal_node: ShoalNode, protocol: int) -> None:
    assert_same(shoal_node, redis_oracle, SCRIPT, protocol)


LINES = (
    b"PING\r\n", b"ping\n", b"  PING   x  \r\n", b"PING\tx\r\n", b"PING 'x y'\r\n", b'PING "x\\x00y"\r\n',
    b"PING x\r y\n", b"PING a b\r\n", b"NOSUCH a\r\n", b"   \r\n", b"\r\n", b"ECHO \xff\xfe\x7f\r\n",
    b"ECHO a\\b\r\n", b"SET k 10\r\n", b"INCR k\r\n", b"INCR k k\r\n", b"GET k\r\n", b"MULTI\r\n",
    b"INCR k\r\n", b"EXEC\r\n", b"RPUSH l a b\r\n", b"LRANGE l 0 -1\r\n", b"LPOP k\r\n", b"ECHO 'no end\r\n",
)  # fmt: skip
"""Requests as a person types them. Empty ones have no reply; the last ends the connection."""


def test_lines_are_requests(redis_oracle: Oracle, shoal_node: ShoalNode) -> None:
    said = []
    for server in (redis_oracle, shoal_node):
        with server.resp() as connection:
            connection.command("FLUSHALL")
            connection.send(b"".join(LINES))
            said.append([connection.read_raw() for line in LINES if line.split()])
    assert said[0] == said[1]
    assert said[0][-1] == b"-ERR Protocol error: unbalanced quotes in request\r\n"


def hello(server: Server, *args: str) -> dict[bytes, Any]:
    with server.resp() as connection:
        reply = connection.command("HELLO", *args)
    pairs = reply.pairs if isinstance(reply, Map) else list(zip(reply[::2], reply[1::2], strict=True))
    return {name: value for name, value in pairs if name not in DIFFERENT_IN_HELLO}


@pytest.mark.parametrize(
    "args",
    [(), ("2",), ("3",), ("3", "AUTH", "default", "x"), ("3", "SETNAME", "me", "AUTH", "default", "x")],
)
def test_hello(redis_oracle: Oracle, shoal_node: ShoalNode, args: tuple[str, ...]) -> None:
    assert hello(shoal_node, *args) == hello(redis_oracle, *args)


def test_hello_tells_the_zone(valkey_oracle: Oracle, shoal_node: ShoalNode) -> None:
    for server in (valkey_oracle, shoal_node):
        for zone in ("rack 7", ""):
            server.run("CONFIG", "SET", "availability-zone", zone)
            assert hello(server).get(b"availability_zone", b"") == zone.encode()


def test_hello_without_arguments_keeps_the_protocol(shoal_node: ShoalNode) -> None:
    with shoal_node.resp(protocol=3) as connection:
        assert (b"proto", 3) in connection.command("HELLO").pairs


def test_a_refused_hello_changes_nothing(shoal_node: ShoalNode) -> None:
    with shoal_node.resp() as connection:
        assert isinstance(connection.command("HELLO", "3", "AUTH", "nobody", "x", "SETNAME", "n"), Error)
        assert connection.command("CLIENT", "GETNAME") != b"n"
        assert isinstance(connection.command("HELLO"), list)


PASSWORD_SCRIPT: list[Command] = [
    "PING",
    "HELLO",
    "HELLO 3",
    "HELLO 4",
    "HELLO 3 SETNAME x",
    "ECHO a",
    "CLIENT ID",
    "FOO",
    "GET",
    "AUTH x",
    "AUTH default x",
    "AUTH other secret",
    "HELLO 3 AUTH default x",
    "PING",
    "AUTH secret",
    "PING",
    "CLIENT SETNAME me",
    "AUTH x",
    "PING",
    "CONFIG SET requirepass other",
    "PING",
    "AUTH secret",
    "AUTH default other",
    "CLIENT GETNAME",
    "RESET",
    "PING",
    "AUTH other",
    "CLIENT GETNAME",
    ["CONFIG", "SET", "requirepass", ""],
    "RESET",
    "PING",
    "AUTH other",
    "QUIT",
    "PING",
]


def test_passwords() -> None:
    with ShoalNode() as ours, Oracle("redis") as oracle:
        for server in (ours, oracle):
            assert server.run("CONFIG", "SET", "requirepass", "secret") == Simple("OK")
        assert_same(ours, oracle, PASSWORD_SCRIPT)


def test_select_in_a_cluster() -> None:
    with ShoalNode(cluster_enabled="yes") as ours, Oracle("redis", cluster_enabled="yes") as oracle:
        assert_same(ours, oracle, ["SELECT 0", "SELECT 1", "SELECT x"])
