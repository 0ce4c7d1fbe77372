"""The network that can be cut: members meet only through it, and it does to them what it says."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.harness.clusters import RunningCluster
from tests.harness.cutter import Cutter
from tests.harness.resp import Resp
from tests.harness.servers import Server, server
from tests.harness.wait import eventually


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Cutter, Server, Server]]:
    """A worker of ours and one of Valkey's, which have met."""
    with Cutter() as cutter:
        nodes = [
            server(kind, cluster_enabled="yes", cluster_node_timeout=1000) for kind in ("shoal", "valkey")
        ]
        for node in nodes:
            node.config |= cutter.place(node)
        cutter.open()
        ours, theirs = nodes
        with ours, theirs:
            assert ours.run("CLUSTER", "MEET", cutter.host_of(theirs), theirs.port).text == "OK"
            eventually(lambda: connected(ours, theirs, cutter), "they meet")
            yield cutter, ours, theirs


def connected(ours: Server, theirs: Server, cutter: Cutter) -> bool:
    """Both show each other's relay as the address, and have links both ways."""
    cluster = RunningCluster([ours, theirs])
    for one, other in ((ours, theirs), (theirs, ours)):
        line = cluster.line_of(other, seen_by=one)
        assert line.address.startswith(f"{cutter.host_of(other)}:{other.port}@{other.port + 10000}")
        if line.link != "connected" or line.flags & {"fail?", "fail", "handshake"}:
            return False
    return True


def suspects(one: Server, other: Server) -> bool:
    return bool(RunningCluster([one, other]).line_of(other, seen_by=one).flags & {"fail?", "fail"})


@pytest.mark.parametrize("rule", ["silence", "cut"])
def test_who_is_cut_off_is_suspected_by_both_and_heals(
    pair: tuple[Cutter, Server, Server], rule: str
) -> None:
    cutter, ours, theirs = pair
    cutter.set(cutter.around(ours), rule)
    eventually(lambda: suspects(ours, theirs) and suspects(theirs, ours), "they miss each other")
    cutter.heal()
    eventually(lambda: connected(ours, theirs, cutter), "they have found each other again")


def test_clients_are_held_up_apart_from_members(pair: tuple[Cutter, Server, Server]) -> None:
    cutter, ours, _ = pair
    with Resp(ours.port, cutter.host_of(ours)) as client:
        assert client.command("PING").text == "PONG"
        cutter.set(cutter.with_clients(ours), "silence")
        client.send_command("PING")
        assert client.silent(0.2)
        assert ours.run("PING").text == "PONG"
        cutter.heal()
        assert client.read().text == "PONG"
        cutter.set(cutter.with_clients(ours), "delay:0.1")
        started = time.monotonic()
        assert client.command("PING").text == "PONG"
        assert time.monotonic() - started >= 0.2
        cutter.set(cutter.with_clients(ours), "cut")
        with pytest.raises((EOFError, OSError)):
            client.command("PING")
    cutter.heal()
