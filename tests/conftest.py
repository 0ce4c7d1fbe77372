"""Fixtures for all tests: the oracles and one worker of ours, started once and emptied for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.servers import Oracle, Server, ShoalNode


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Oracle]:
    """redis-server 8.2.3 for the whole run. Most tests want `redis_oracle`, which is empty."""
    with Oracle("redis") as oracle:
        yield oracle


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Oracle]:
    """valkey-server 9.1.2 for the whole run. Most tests want `valkey_oracle`, which is empty."""
    with Oracle("valkey") as oracle:
        yield oracle


@pytest.fixture(scope="session")
def shoal_server() -> Iterator[ShoalNode]:
    """One standalone worker for the whole run. Most tests want `shoal_node`, which is empty."""
    with ShoalNode() as node:
        yield node


def emptied(server: Server) -> Server:
    server.run("FLUSHALL")
    return server


@pytest.fixture
def redis_oracle(redis_server: Oracle) -> Oracle:
    return emptied(redis_server)  # type: ignore[return-value]


@pytest.fixture
def valkey_oracle(valkey_server: Oracle) -> Oracle:
    return emptied(valkey_server)  # type: ignore[return-value]


@pytest.fixture
def shoal_node(shoal_server: ShoalNode) -> ShoalNode:
    return emptied(shoal_server)  # type: ignore[return-value]
