"""The proxy's map: reading CLUSTER NODES, and whom to believe when nodes disagree."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from node.core.reactor import Reactor
from proxy.core.connection import Turns
from proxy.core.routes import SlotMap
from proxy.workers.dialogue import Login
from proxy.workers.failover import FailoverWait
from proxy.workers.topology import Layout, Topology, parse_nodes
from proxy.workers.upstreams import UpstreamPool

A = "a" * 40
B = "b" * 40


def line(node: str, address: str, flags: str, epoch: int, slots: str = "") -> str:
    return f"{node} {address} {flags} - 0 0 {epoch} connected {slots}".rstrip()


def test_reads_lines_of_all_versions() -> None:
    text = "\n".join(
        [
            line(A, ":7001@17001,host.example", "myself,master", 1, "0-100 200 [300->-" + B + "]"),
            line(B, "10.0.0.2:7002@17002", "slave", 1),
            line("c" * 40, "10.0.0.3:7003", "master,fail", 3, "101-199"),
            line("d" * 40, ":0@0", "master,noaddr", 0),
        ]
    )
    first, second, third, fourth = parse_nodes(text, ("10.0.0.1", 7001))
    assert first.address == ("10.0.0.1", 7001)
    assert first.ranges == ((0, 100), (200, 200))
    assert first.leaving == {300}
    assert (second.address, second.ranges, second.usable) == (("10.0.0.2", 7002), (), True)
    assert (third.epoch, third.usable) == (3, False)
    assert not fourth.usable


@pytest.mark.parametrize("text", ["hello", "a b c d e f g", line(A, "x:y@1", "master", 1)])
def test_refuses_other_texts(text: str) -> None:
    with pytest.raises(ValueError):
        parse_nodes(text, ("h", 1))


def test_the_highest_epoch_wins_a_slot_whoever_says_it_first() -> None:
    old = parse_nodes(
        line(A, "h:1@2", "master", 5, "0-16383") + "\n" + line(B, "h:2@3", "slave", 5), ("h", 1)
    )
    new = parse_nodes(
        line(A, "h:1@2", "master,fail", 5) + "\n" + line(B, "h:2@3", "master", 6, "0-16383"), ("h", 2)
    )
    for views in ([old, new], [new, old]):
        layout = Layout.merge(views)
        assert set(layout.owners) == {("h", 2)}
        assert layout.failed == {("h", 1)}
        assert ("h", 2) in layout.nodes


def test_slots_nobody_claims_have_no_owner() -> None:
    layout = Layout.merge([parse_nodes(line(A, "h:1@2", "master", 1, "5"), ("h", 1))])
    assert layout.owners[5] == ("h", 1)
    assert layout.owners.count(None) == 16383


def test_of_claims_of_one_epoch_the_first_counts() -> None:
    first = parse_nodes(line(A, "h:1@2", "master", 1, "0-9"), ("h", 1))
    second = parse_nodes(line(B, "h:2@3", "master", 1, "5-14"), ("h", 2))
    owners = Layout.merge([first, second]).owners
    assert owners[9] == ("h", 1)
    assert owners[10] == ("h", 2)


class Kept:
    """A map that is kept like a cluster of two primaries."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.told = 0
        self.topology = Topology([("h", 1)], Login(), self._tell)
        self.pool = UpstreamPool(Turns(Reactor(loop)), Login(), FailoverWait(1.0, False), 1000)
        self.pool.topology = self.topology
        self.slots = SlotMap()
        self.topology.keep(self.slots, self.pool)

    def _tell(self) -> None:
        self.told += 1

    def see(self, boundary: int, epoch: int) -> None:
        """The first primary has the slots below `boundary`."""
        own = f"0-{boundary - 1}" if boundary else ""
        text = "\n".join(
            [line(A, "h:1@2", "master", 1, own), line(B, "h:2@3", "master", epoch, f"{boundary}-16383")]
        )
        self.topology._apply(Layout.merge([parse_nodes(text, ("h", 1))]))

    def owner(self, slot: int) -> tuple[str, int]:
        found = self.slots.find(slot, 2)
        return found.host, found.port


@pytest.fixture
def kept() -> Iterator[Kept]:
    loop = asyncio.new_event_loop()
    yield Kept(loop)
    loop.close()


def test_slots_that_change_hands_are_assigned_and_told_of_once(kept: Kept) -> None:
    kept.see(8000, 2)
    kept.see(6000, 3)
    kept.see(6000, 3)
    assert (kept.owner(5999), kept.owner(6000), kept.told) == (("h", 1), ("h", 2), 2)
    assert kept.topology.primaries == {("h", 1), ("h", 2)}
    assert [first for first, _ in kept.pool.shards(2)] == [0, 6000]


def test_a_redirection_is_believed_at_once_and_by_those_who_ask_every_shard(kept: Kept) -> None:
    kept.see(16000, 2)
    assert [first for first, _ in kept.pool.shards(2)] == [0, 16000]
    kept.topology.moved(100, ("h", 2))
    assert kept.owner(100) == ("h", 2)
    assert [first for first, _ in kept.pool.shards(2)] == [0, 100]


def test_who_owns_no_slots_any_more_is_no_shard(kept: Kept) -> None:
    kept.see(8000, 2)
    kept.see(0, 3)
    assert kept.owner(0) == ("h", 2)
    assert [(first, each.port) for first, each in kept.pool.shards(2)] == [(0, 2)]
