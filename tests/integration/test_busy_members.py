"""Busy is not dead: members in the middle of long scripts, and what reaches them there.

`SHOAL_FULL=1`: scripts of 20 seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.chaos.scale import scaled
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.resp import Error, Resp, Simple
from tests.harness.servers import Server
from tests.harness.wait import eventually

OK = Simple("OK")
NODE_TIMEOUT = scaled(1000, 2000)
LONG = scaled(2, 20)
"""Seconds of processor time: at least as long by the clock."""
COUNT_FOR = """
local start, n = os.clock(), 0
while os.clock() - start < tonumber(ARGV[1]) do
    for i = 1, 10000 do end
    n = redis.call('incr', KEYS[1])
end
return n"""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    """One of three primaries is Valkey's: it knows nothing of witnesses."""
    kinds = ("shoal", "shoal", "valkey", "shoal", "shoal", "shoal")
    settings = {"kind": kinds, "node_timeout": NODE_TIMEOUT, "cluster_manual_failover_timeout": 30_000}
    with cluster_of(3, replicas=1, **settings) as formed:
        yield formed


@contextmanager
def counting(node: Server, key: str, seconds: float) -> Iterator[Resp]:
    """The connection on which a script counts, for so long."""
    with Resp(node.port, node.host, timeout=60) as caller:
        caller.send_command("EVAL", COUNT_FOR, 1, key, seconds)
        time.sleep(0.2)
        yield caller


def outcome(caller: Resp, meanwhile: Callable[[], None] = lambda: None) -> Any:
    """What the script replies. None if its worker may not tell any more, and hangs up: it was replaced."""
    try:
        while caller.silent():
            meanwhile()
        return caller.read()
    except EOFError:
        return None


def of_ours(cluster: RunningCluster) -> list[Server]:
    return [node for node in cluster.primaries if node.kind == "shoal"]


def key_of(cluster: RunningCluster, node: Server) -> str:
    return next(key for key in (f"key:{n}" for n in range(1000)) if cluster.owner_of(key) is node)


def test_a_script_that_runs_long_is_no_failure(cluster: RunningCluster) -> None:
    busy, witness = of_ours(cluster)
    owners = cluster.slot_owners(witness)
    with counting(busy, key_of(cluster, busy), LONG) as caller:

        def look() -> None:
            assert not {"fail", "fail?"} & cluster.line_of(busy, seen_by=witness).flags
            assert {line.link for line in cluster.view(witness).values()} == {"connected"}

        assert isinstance(outcome(caller, look), int)
    assert cluster.slot_owners(witness) == owners
    assert cluster.is_settled()


def test_a_manual_failover_waits_for_the_end_of_a_script(cluster: RunningCluster) -> None:
    busy = of_ours(cluster)[0]
    (heir,) = cluster.replicas_of(busy)
    key = key_of(cluster, busy)
    with counting(busy, key, 0.7) as caller:
        assert heir.run("CLUSTER", "FAILOVER") == OK

        def look() -> None:
            is_replica = "slave" in cluster.line_of(heir).flags
            assert is_replica or not caller.silent()

        last = outcome(caller, look)
    eventually(lambda: "master" in cluster.line_of(heir).flags, "the replica took over", timeout=20)
    if last is not None:
        assert heir.run("GET", key) == b"%d" % last, "all that the script wrote"
    cluster.wait_settled()


def test_a_script_does_not_notice_that_its_worker_was_replaced(cluster: RunningCluster) -> None:
    """A busy machine may need longer to replace it than a short script runs: then a longer one is tried."""
    assert any(was_replaced_meanwhile(cluster, seconds) for seconds in (0.7, 3, 10))


def was_replaced_meanwhile(cluster: RunningCluster, seconds: float) -> bool:
    """Whether the others knew the new owner before the script ended. What is promised holds anyhow."""
    busy, witness = of_ours(cluster)
    (heir,) = cluster.replicas_of(busy)
    key = key_of(cluster, busy)
    with counting(busy, key, seconds) as caller:
        assert heir.run("CLUSTER", "FAILOVER", "TAKEOVER") == OK
        owned = lambda: bool(cluster.line_of(heir, seen_by=witness).slots)  # noqa: E731
        eventually(owned, "the others know the new owner")
        meanwhile = caller.silent()
        assert not isinstance(outcome(caller), Error), "no write was refused"
    eventually(lambda: "slave" in cluster.line_of(busy).flags, "it learned its new role afterwards")
    cluster.wait_settled()
    with Resp(busy.port) as reader:
        reader.command("READONLY")
        eventually(lambda: reader.command("GET", key) == heir.run("GET", key), "it copied its successor")
    return meanwhile


def test_a_busy_primary_gives_its_vote(cluster: RunningCluster) -> None:
    """Of three primaries two must vote: the busy one, and the one that hears of the death by a plain FAIL."""
    busy, dead = of_ours(cluster)
    (valkey,) = [node for node in cluster.primaries if node.kind == "valkey"]
    (heir,) = cluster.replicas_of(dead)
    dead_id = cluster.id_of(dead)
    with counting(busy, key_of(cluster, busy), LONG) as caller:
        dead.kill()
        assert heir.run("CLUSTER", "WITNESS", "DEAD", dead_id) == OK
        eventually(lambda: "master" in cluster.line_of(heir).flags, "the heir was voted for", timeout=5)
        assert caller.silent()
        assert isinstance(outcome(caller), int)
    assert f"FAIL message received from {cluster.id_of(heir)}" in valkey.log
