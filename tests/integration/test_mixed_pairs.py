"""Our workers and real servers as primaries and replicas of each other, in every combination, in one cluster.

Whatever happens here happens to all pairs at once, since most of it is waiting. Roles go there and back from
test to test, so each finds out who is who.

Some pairs of real servers cannot work by themselves, with or without us beside them: see README.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.harness.pairs import Pair, PairedCluster, both_logs, pairs_of
from tests.harness.resp import Simple
from tests.harness.wait import eventually
from tests.integration.datasets import FAR, content, fill

OK = Simple("OK")
PAIRS = (
    ("shoal", "redis"),
    ("redis", "shoal"),
    ("shoal", "valkey"),
    ("valkey", "shoal"),
    ("disk", "redis-7.0"),
    ("redis-7.0", "shoal"),
    ("valkey", "redis"),
    ("redis-7.0", "valkey"),
)
LIBRARY = """#!lua name=mixed
redis.register_function('add', function(k, a) return redis.call('INCRBY', k[1], a[1]) end)"""


@pytest.fixture(scope="module")
def running() -> Iterator[PairedCluster]:
    with pairs_of(*PAIRS, cluster_replica_validity_factor=0) as cluster:
        for pair in cluster.pairs:
            fill(pair.primary, pair.key(""))
            assert pair.primary.run("FUNCTION", "LOAD", LIBRARY) == b"mixed"
        yield cluster


@pytest.fixture
def cluster(running: PairedCluster) -> PairedCluster:
    """Tests that change who owns what wait until all agree on it."""
    running.wait_synchronized()
    return running


@pytest.fixture
def ours(cluster: PairedCluster) -> list[Pair]:
    """Pairs in which one is a worker of ours."""
    return [pair for pair in cluster.pairs if "shoal" in pair.kinds]


def for_all(pairs: list[Pair], condition: Callable[[Pair], Any], timeout: float = 15) -> None:
    for pair in pairs:
        eventually(lambda pair=pair: condition(pair), lambda pair=pair: both_logs(pair), timeout=timeout)


def swapped(pairs: list[Pair]) -> Callable[[Pair], bool]:
    """Whether the roles have changed since now, and the new replica follows."""
    heirs = {pair: pair.replica for pair in pairs}
    return lambda pair: pair.primary is heirs[pair] and pair.is_synchronized()


def same_content(pair: Pair) -> bool:
    return known(content(pair.primary)) == known(content(pair.replica))


def known(content: Any) -> Any:
    """Without what replicas see by their own clocks, and what a stream that Redis 7.0 replicates leaves
    open."""
    for kind, value, _ in content.values():
        for group in value[b"groups"] if kind == b"stream" else ():
            del group[b"entries-read"], group[b"lag"]
            for consumer in group[b"consumers"]:
                consumer.pop(b"active-time", None)
                del consumer[b"seen-time"]
    return content


def test_a_replica_has_what_was_streamed(cluster: PairedCluster) -> None:
    for pair in cluster.pairs:
        assert len(content(pair.primary)) > 30
        assert same_content(pair), pair
        assert pair.replica.run("FUNCTION", "LIST")[0][1] == b"mixed"


def test_a_replica_has_what_a_snapshot_holds(cluster: PairedCluster, ours: list[Pair]) -> None:
    """In a format of its age for Redis 7.0, which knows no packed sets; with expiring fields for Valkey."""
    for pair in ours:
        if "redis-7.0" not in pair.kinds:
            assert pair.primary.run("HSET", pair.key("fields"), "a", 1, "b", 2) in (0, 2)
            expiring = ("HPEXPIREAT", pair.key("fields"), FAR, "FIELDS", 1, "a")
            assert pair.primary.run(*expiring) == [1]
    replicas = [pair.replica for pair in ours]
    for each in replicas:
        cluster.kill(each)
        each.start(wait=False)
    for each in replicas:
        each.wait_ready()
    for_all(ours, Pair.is_synchronized)
    for pair in ours:
        assert same_content(pair), pair
        assert pair.replica.run("FUNCTION", "LIST")[0][1] == b"mixed"
        if "redis-7.0" not in pair.kinds:
            with pair.replica.resp() as connection:
                connection.command("READONLY")
                asked = ("HPEXPIRETIME", pair.key("fields"), "FIELDS", 2, "a", "b")
                assert connection.command(*asked) == [FAR, -1]


def test_keys_expire_at_the_word_of_the_primary(cluster: PairedCluster) -> None:
    """A replica shows none that is overdue, but keeps it until it is told."""
    before = {pair: pair.primary.run("DBSIZE") for pair in cluster.pairs}
    try:
        for pair in cluster.pairs:
            assert pair.primary.run("DEBUG", "SET-ACTIVE-EXPIRE", 0) == OK
            assert pair.primary.run("SET", pair.key("brief"), "x", "PX", 100) == OK
        for_all(cluster.pairs, Pair.is_synchronized)
        for_all(cluster.pairs, lambda pair: not is_shown(pair, "brief"))
        for pair in cluster.pairs:
            assert [each.run("DBSIZE") for each in pair.servers] == [before[pair] + 1] * 2, pair
    finally:
        for pair in cluster.pairs:
            assert pair.primary.run("DEBUG", "SET-ACTIVE-EXPIRE", 1) == OK
    for_all(cluster.pairs, lambda pair: [each.run("DBSIZE") for each in pair.servers] == [before[pair]] * 2)


def is_shown(pair: Pair, name: str) -> bool:
    with pair.replica.resp() as connection:
        connection.command("READONLY")
        return bool(connection.command("EXISTS", pair.key(name)))


def test_scripts_and_functions_have_the_same_effect(cluster: PairedCluster) -> None:
    script = "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('APPEND', KEYS[1], redis.call('TIME')[2])"
    for pair in cluster.pairs:
        assert pair.primary.run("EVAL", script, 1, pair.key("script"), "x") > 1
        assert pair.primary.run("FCALL", "add", 1, pair.key("counter"), 2) % 2 == 0
    for_all(cluster.pairs, Pair.is_synchronized)
    for pair in cluster.pairs:
        assert same_content(pair), pair


def test_a_lost_link_is_taken_up_again(cluster: PairedCluster) -> None:
    """Partially: only what was missed is sent."""
    before = {pair: syncs(pair) for pair in cluster.pairs}
    for pair in cluster.pairs:
        assert pair.primary.run("CLIENT", "KILL", "TYPE", "replica") == 1
        assert pair.primary.run("SET", pair.key("missed"), "x") == OK
    for_all(cluster.pairs, lambda pair: syncs(pair) != before[pair] and pair.is_synchronized())
    for pair in cluster.pairs:
        full, partial = before[pair]
        assert syncs(pair) == (full, partial + 1), pair
        assert same_content(pair), pair


def syncs(pair: Pair) -> tuple[int, int]:
    """How often the primary, as it counts, sent everything and how often only what was missed."""
    stats = pair.primary.info("stats")
    return stats["sync_full"], stats["sync_partial_ok"]


def test_manual_failover_there_and_back(cluster: PairedCluster) -> None:
    """Without loss, and without sending everything again."""
    for number in range(2):
        full = {pair: syncs_of_both(pair) for pair in cluster.pairs}
        done = swapped(cluster.pairs)
        for pair in cluster.pairs:
            eventually(lambda: pair.primary.run("SET", pair.key("handed over"), number) == OK)  # noqa: B023
            take_over(pair)
        for_all(cluster.pairs, done)
        for pair in cluster.pairs:
            assert pair.primary.run("GET", pair.key("handed over")) == b"%d" % number
            assert pair.primary.run("FCALL", "add", 1, pair.key("counter"), 2) % 2 == 0
            assert syncs_of_both(pair) == full[pair], pair
        cluster.wait_settled()


def take_over(pair: Pair, *how: str) -> None:
    """Ordered again if votes were refused: each primary may be voted about every two node timeouts, and this
    one was in the test before."""
    heir = pair.replica

    def took_over() -> bool:
        assert heir.run("CLUSTER", "FAILOVER", *how) == OK
        eventually(lambda: heir.info("replication")["role"] == "master", lambda: both_logs(pair), timeout=6)
        return True

    eventually(took_over, timeout=15)


def syncs_of_both(pair: Pair) -> list[int]:
    return [each.info("stats")["sync_full"] for each in pair.servers]


def test_failover_without_consent_there_and_back(cluster: PairedCluster, ours: list[Pair]) -> None:
    """First without the primary's consent, then without that of the others."""
    for how in ("FORCE", "TAKEOVER"):
        done = swapped(ours)
        for pair in ours:
            take_over(pair, how)
        for_all(ours, done)
        cluster.wait_settled()


@pytest.mark.parametrize("part", [0, 1])
def test_a_killed_primary_has_an_heir_and_returns_as_its_replica(
    cluster: PairedCluster, ours: list[Pair], part: int
) -> None:
    """Three at a time: the others are the majority that votes."""
    pairs = ours[part::2]
    done = swapped(pairs)
    victims = [pair.primary for pair in pairs]
    for each in victims:
        cluster.kill(each)
    for_all(pairs, lambda pair: pair.primary not in victims, timeout=20)
    for each in victims:
        each.start(wait=False)
    for_all(pairs, done, timeout=20)
    cluster.wait_settled()
    for pair in pairs:
        assert same_content(pair), pair
