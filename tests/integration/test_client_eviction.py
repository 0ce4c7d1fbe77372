"""`maxmemory-clients`: who makes us hold most is cut off first."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.harness.resp import Resp
from tests.harness.servers import ShoalNode
from tests.harness.wait import eventually
from tests.integration.test_memory import MB


@pytest.fixture
def node() -> Iterator[ShoalNode]:
    with ShoalNode(save="") as started:
        yield started


def fatten(connection: Resp, size: int) -> None:
    """Have the worker hold about so many bytes for this client: a transaction."""
    connection.command("MULTI")
    connection.command("SET", "key", "x" * size)


def is_connected(connection: Resp) -> bool:
    try:
        connection.command("PING")
    except (OSError, EOFError):
        return False
    return True


def test_the_biggest_goes_first(node: ShoalNode) -> None:
    with node.client() as client, Resp(node.port) as big, Resp(node.port) as bigger, Resp(node.port) as small:
        fatten(small, 100_000)
        for connection in (big, bigger):
            connection.command("CLIENT", "SETNAME", "ann")
        fatten(big, 3 * MB)
        fatten(bigger, 4 * MB)
        client.config_set("maxmemory-clients", 5 * MB)
        eventually(lambda: client.info("stats")["evicted_clients"] == 1, "one is evicted")
        assert not is_connected(bigger)
        assert is_connected(big) and is_connected(small)
        client.config_set("hide-user-data-from-log", "yes")
        client.config_set("maxmemory-clients", 1 * MB)
        eventually(lambda: client.info("stats")["evicted_clients"] == 2, "and another")
        client.config_set("hide-user-data-from-log", "no")
        assert not is_connected(big)
        assert is_connected(small)
        shown, hidden = re.findall(r"Evicting client: id=(.*)", node.log)
        assert "name=ann" in shown and "user=default" in shown
        assert "name=*redacted*" in hidden and "user=*redacted*" in hidden


def test_output_that_is_not_read_counts(node: ShoalNode) -> None:
    with node.client() as client, Resp(node.port) as lazy:
        client.set("key", "x" * MB)
        client.config_set("maxmemory-clients", 10 * MB)
        lazy.send(b"GET key\r\n" * 40)
        eventually(lambda: client.info("stats")["evicted_clients"] == 1, "it is evicted")


def test_who_asked_not_to_be_evicted_stays(node: ShoalNode) -> None:
    with node.client() as client, Resp(node.port) as spared, Resp(node.port) as other:
        assert spared.command("CLIENT", "NO-EVICT", "ON")
        assert client.client_no_evict("ON")
        fatten(spared, 4 * MB)
        fatten(other, 3 * MB)
        client.config_set("maxmemory-clients", 5 * MB)
        eventually(lambda: client.info("stats")["evicted_clients"] == 1, "the other one is evicted")
        assert is_connected(spared) and not is_connected(other)


def test_the_limit_may_be_a_share_of_maxmemory(node: ShoalNode) -> None:
    with node.client() as client, Resp(node.port) as big:
        client.config_set("maxmemory-clients", "5%")
        fatten(big, 5 * MB)
        assert is_connected(big), "without maxmemory there is no limit"
        client.config_set("maxmemory", 80 * MB)
        eventually(lambda: client.info("stats")["evicted_clients"] == 1, "5 % of 80 MB are 4 MB")
