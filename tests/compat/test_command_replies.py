"""COMMAND over the wire: the shapes of its replies beside redis-server's, and what clients make of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.commands import redis_cli
from tests.harness.resp import Map, Set, Simple
from tests.harness.servers import Oracle, Server, ShoalNode

NAMES = [
    *("get", "set", "mset", "hset", "zadd", "lpush", "smove", "zrangestore", "expire", "hello"),
    *("config|get", "client|id", "config|nosuch", "nosuch"),
]
SETS = (2, 6, 7, 8, 9)
"""Columns of a row that are sets, whose order is nobody's."""


def shape(value: Any) -> Any:
    """A reply with sets sorted, and without the remarks that Redis adds to some key specs."""
    if isinstance(value, Set):
        return ("set", sorted((shape(item) for item in value.items), key=repr))
    if isinstance(value, Map):
        return ("map", [(shape(key), shape(item)) for key, item in value.pairs if key != b"notes"])
    if isinstance(value, list):
        return [shape(item) for item in value]
    return value


def rows(server: Server, protocol: int) -> list[Any]:
    with server.resp(protocol=protocol) as connection:
        found = connection.command("COMMAND", "INFO", *NAMES)
    for row in found:
        if isinstance(row, list):
            del row[9]  # subcommands: those that have a handler
            for column in SETS[:-1]:
                if protocol == 2:
                    row[column] = Set([drop_notes(item) for item in row[column]])
    return [shape(row) for row in found]


def drop_notes(item: Any) -> Any:
    """A RESP2 key spec, a flat array, without its `notes`."""
    if isinstance(item, list) and item[0] == b"notes":
        item = item[2:]
    if isinstance(item, list) and item[0] == b"flags":
        item[1] = Set(item[1])
    return item


@pytest.mark.parametrize("protocol", [2, 3])
def test_info_has_the_shape_of_redis(protocol: int, shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    for ours, theirs in zip(rows(shoal_node, protocol), rows(redis_oracle, protocol), strict=True):
        assert ours == theirs


@pytest.mark.parametrize("protocol", [2, 3])
def test_docs_have_the_shape_of_redis(protocol: int, shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    def fields(server: Server) -> Any:
        with server.resp(protocol=protocol) as connection:
            reply = connection.command("COMMAND", "DOCS", "setnx", "nosuch", "zadd")
        top = dict(reply.pairs) if isinstance(reply, Map) else dict(zip(reply[::2], reply[1::2], strict=True))
        docs = {
            name: dict(doc.pairs) if isinstance(doc, Map) else dict(zip(doc[::2], doc[1::2], strict=True))
            for name, doc in top.items()
        }
        for doc in docs.values():
            for prose in (b"summary", b"complexity", b"replaced_by"):
                if prose in doc:
                    doc[prose] = type(doc[prose])
            if b"history" in doc:
                history = doc[b"history"]
                doc[b"history"] = [type(history), len(history.items if isinstance(history, Set) else history)]
        return docs

    assert fields(shoal_node) == fields(redis_oracle)


def test_getkeys_over_the_wire(shoal_node: ShoalNode) -> None:
    with shoal_node.resp() as connection:
        assert connection.command("COMMAND", "GETKEYS", "MSET", "a", 1, "b", 2) == [b"a", b"b"]
        assert connection.command("COMMAND", "GETKEYSANDFLAGS", "GET", "a") == [
            [b"a", [Simple("RO"), Simple("access")]]
        ]


def test_redis_py_and_redis_cli_understand(shoal_node: ShoalNode) -> None:
    with shoal_node.client() as client:
        assert client.command()["mset"]["step_count"] == 2
        assert client.command_count() == len(client.command())
        assert b"zadd" in client.command_list(category="sortedset")
    assert "ZADD" in redis_cli("-p", shoal_node.port, "--no-raw", "help", "zadd").upper()
