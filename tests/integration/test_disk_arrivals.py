"""Slots that move to a worker with the disk tier: its store has their keys before they are its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.slot_tags import tag_of
from tests.harness.servers import Server
from tests.harness.slot_moves import Pair, moving_pair
from tests.harness.wait import eventually

SLOTS = 50
KEYS = 3000


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with moving_pair("shoal", "disk") as running:
        yield running


@pytest.fixture
def filled(pair: Pair) -> Iterator[list[str]]:
    """Keys of the slots that are to move, at the source."""
    names = [f"{{{tag_of(number % SLOTS).decode()}}}{number}" for number in range(KEYS)]
    with pair.source.client() as client:
        pipe = client.pipeline(transaction=False)
        for name in names:
            pipe.set(name, "v" * 50)
        pipe.hset(f"{{{tag_of(0).decode()}}}hash", mapping={f"field:{n}": n for n in range(2000)})
        pipe.execute()
    yield names
    pair.hold("pause", False)
    if pair.owns(pair.target, 0):
        pair.target.run(
            "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", 0, SLOTS - 1, "NODE", pair.cluster.id_of(pair.source)
        )
        eventually(lambda: pair.owns(pair.source, 0), "they are back")
    pair.source.run("FLUSHALL")
    pair.cluster.wait_settled()


def behind(node: Server) -> int:
    return int(node.info("storage")["storage_keys_behind"])


def held_before_the_end(pair: Pair) -> None:
    """All keys are at the target, and in its store, and do not change hands yet."""
    pair.hold("pause", True)
    pair.begin(0, SLOTS - 1)
    pair.await_state(pair.target, b"waiting-for-paused")
    eventually(lambda: behind(pair.target) == 0, "the store has them")
    assert pair.target.run("DBSIZE") == 0
    assert pair.target.run("CLUSTER", "COUNTKEYSINSLOT", 0) == KEYS // SLOTS + 1


def test_what_has_arrived_is_in_the_store_when_it_changes_hands(pair: Pair, filled: list[str]) -> None:
    """So that a target that is killed next has all of it."""
    held_before_the_end(pair)
    with pair.source.client() as client:
        client.set(filled[0], "changed")
        client.delete(filled[1])
        client.set(f"{filled[2]}:new", "1", ex=1000)
        client.hset(f"{{{tag_of(0).decode()}}}hash", "field:7", "changed")
    eventually(lambda: pair.target.run("CLUSTER", "COUNTKEYSINSLOT", 2) == KEYS // SLOTS + 1, "they followed")
    eventually(lambda: behind(pair.target) == 0, "the store has them, too")
    commits = pair.target.info("storage")["storage_commits"]
    pair.hold("pause", False)
    pair.await_success()
    assert behind(pair.target) == 0
    assert pair.target.info("storage")["storage_commits"] <= commits + 1
    pair.target.kill()
    pair.target.start()
    eventually(lambda: pair.target.run("DBSIZE") == KEYS + 1, "all are there")
    pair.cluster.wait_settled()
    with pair.target.client() as client:
        assert client.get(filled[0]) == b"changed"
        assert client.get(filled[1]) is None
        assert 0 < client.ttl(f"{filled[2]}:new") <= 1000
        assert client.hmget(f"{{{tag_of(0).decode()}}}hash", "field:7", "field:8") == [b"changed", b"8"]
        assert client.get(filled[-1]) == b"v" * 50


def test_a_move_that_is_given_up_leaves_nothing_in_the_store(pair: Pair, filled: list[str]) -> None:
    held_before_the_end(pair)
    pair.source.run("CLUSTER", "CANCELSLOTMIGRATIONS")
    pair.await_state(pair.target, b"failed")
    pair.source.run("DEL", filled[0])
    pair.source.run("SET", f"{filled[0]}:instead", "v")
    held_before_the_end(pair)
    pair.target.kill()
    pair.await_state(pair.source, b"failed")
    pair.target.start()
    pair.cluster.wait_settled()
    eventually(lambda: pair.target.run("CLUSTER", "COUNTKEYSINSLOT", 0) == 0, "what was on its way is gone")
    assert pair.target.run("DBSIZE") == 0
    pair.hold("pause", False)
    pair.begin(0, SLOTS - 1)
    pair.await_success()
    assert pair.target.run("DBSIZE") == KEYS + 1
    assert pair.target.run("EXISTS", filled[0]) == 0
    pair.target.restart()
    eventually(lambda: pair.target.run("DBSIZE") == KEYS + 1, "all are there")
    pair.cluster.wait_settled()


def test_the_source_waits_for_the_disk(pair: Pair) -> None:
    """A target's store is never much behind, however much comes."""
    names = [f"{{{tag_of(number % SLOTS).decode()}}}{number}" for number in range(60_000)]
    with pair.source.client() as client:
        for start in range(0, len(names), 5000):
            pipe = client.pipeline(transaction=False)
            for name in names[start : start + 5000]:
                pipe.set(name, "v")
            pipe.execute()
    most = 0
    pair.begin(0, SLOTS - 1)
    while pair.state(pair.source) != b"success":
        most = max(most, behind(pair.target))
        assert pair.state(pair.source) != b"failed", pair.job(pair.source)
    assert most < 40_000
    assert pair.target.run("DBSIZE") == len(names)
