"""Replication by TLS, between ours and redis-server 7.0."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.certificates import Authority, Identity, protect
from tests.harness.resp import Simple
from tests.harness.servers import Server, ShoalNode, server
from tests.harness.wait import eventually


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def identity(authority: Authority) -> Identity:
    return authority.issue("us")


@pytest.fixture(scope="module")
def pair(authority: Authority, identity: Identity) -> Iterator[tuple[Server, Server]]:
    """One of ours, and a redis-server."""
    with (
        protect(ShoalNode(), authority, identity) as ours,
        protect(server("redis-7.0"), authority, identity) as theirs,
    ):
        yield ours, theirs


@pytest.mark.parametrize("we_follow", [True, False])
def test_replication_in_both_directions(pair: tuple[Server, Server], we_follow: bool) -> None:
    replica, primary = pair if we_follow else pair[::-1]
    value = bytes(range(256)) * 4_000
    primary.run("SET", "before", value)
    replica.follow(primary)
    primary.run("SET", "after", value)
    with replica.resp() as connection, primary.resp() as writer:
        assert connection.command("GET", "before") == value
        eventually(lambda: connection.command("GET", "after") == value, "the stream arrives")
        assert writer.command("SET", "x", "y") == Simple("OK")
        assert writer.command("WAIT", 1, 5000) == 1
        listed = writer.command("INFO", "replication").decode()
        assert f"port={replica.port}," in listed  # where it is to be found by TLS
        connection.command("REPLICAOF", "NO", "ONE")


def test_who_is_not_trusted_is_not_followed(
    pair: tuple[Server, Server], tmp_path_factory: pytest.TempPathFactory
) -> None:
    strange = Authority(tmp_path_factory.mktemp("strange"), "stranger")
    with protect(ShoalNode(), strange, strange.issue("them")) as stranger:
        stranger.run("REPLICAOF", pair[1].host, pair[1].port)
        eventually(lambda: "its certificate is not trusted" in stranger.log, "the reason is in the log")
        assert stranger.info("replication")["master_link_status"] == "down"
