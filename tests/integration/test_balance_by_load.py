"""`shoal rebalance --by` and `shoal autobalance` on a cluster of ours, while clients use it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import redis

from cluster.operations.link import ANONYMOUS
from cluster.operations.slot_loads import LoadMeter, Measure
from cluster.operations.survey import Survey
from cluster.slot_tags import tag_of
from tests.harness.busy import busy
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.servers import source_environment
from tests.harness.shoal_command import COMMAND, shoal
from tests.harness.wait import eventually

Keys = list[str]
KEY, OTHER = (f"{{{tag_of(slot).decode()}}}" for slot in (100, 101))


def keys_of(first: int) -> Keys:
    """Of twelve slots of the first node."""
    return [f"{{{tag_of(slot).decode()}}}hot" for slot in range(first, first + 12)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with cluster_of(3, cluster_slot_stats_enabled="yes") as running:
        yield running


class Client:
    """Counts in every key in turn; what is in the keys must be what was counted."""

    def __init__(self, client: redis.RedisCluster, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self.rounds = 0

    def count(self) -> None:
        for key in self._keys:
            assert self._client.incr(key) == self.rounds + 1
        self.rounds += 1


def held(cluster: RunningCluster, keys: Keys) -> dict[str, int]:
    """Address of each node -> how many of these it has."""
    return dict(Counter(cluster.owner_of(key).address for key in keys))


def test_the_meter_counts_between_two_looks(cluster: RunningCluster) -> None:
    node = cluster.nodes[0]
    clock = iter([10.0, 14.0, 20.0])
    meter = LoadMeter(Measure.OPS, lambda: next(clock))
    with Survey.of(node.host, node.port, ANONYMOUS) as survey, cluster.client() as client:
        client.incr(KEY)
        assert meter.look(survey) is None
        for _ in range(3):
            client.incr(KEY)
        client.get(OTHER)
        loads = meter.look(survey)
        assert loads is not None
        assert (loads[100], loads[101], sum(loads)) == (3 / 4, 1 / 4, 1)
        node.run("CONFIG", "RESETSTAT")
        client.get(KEY)
        loads = meter.look(survey)
        assert loads is not None
        assert loads[100] == 1 / 6
        keys = LoadMeter(Measure.KEYS).look(survey)
        memory = LoadMeter(Measure.MEMORY).look(survey)
        assert keys is not None
        assert memory is not None
        assert (keys[100], keys[101], sum(keys)) == (1, 0, 1)
        assert memory[100] == sum(memory) > 0


def test_hot_slots_part_while_clients_notice_nothing(cluster: RunningCluster) -> None:
    first, keys = cluster.addresses[0], keys_of(200)
    with cluster.client() as connected:
        client = Client(connected, keys)
        with busy(client.count):
            shown = shoal("rebalance", first, "--by", "ops", "--watch", "0.5", "--dry-run").out
            done = shoal("rebalance", first, "--by", "ops", "--watch", "0.5", "--yes", "--json").json
    assert "slots to move" in shown
    assert done["spread_percent"]["before"] == pytest.approx(200, abs=1)
    assert done["spread_percent"]["after"] <= 5
    assert done["moved"]["slots"] == sum(move["count"] for move in done["moves"]) == 8
    eventually(cluster.is_settled, "all agree on the new owners")
    assert held(cluster, keys) == dict.fromkeys(cluster.addresses, 4)


def test_a_slot_that_is_hotter_than_a_share_is_named_and_stays(cluster: RunningCluster) -> None:
    first = cluster.addresses[0]
    with cluster.client() as client, busy(lambda: client.get(KEY)):
        plan = shoal("rebalance", first, "--by", "ops", "--watch", "0.3", "--dry-run", "--json").json
        text = shoal("rebalance", first, "--by", "ops", "--watch", "0.3", "--dry-run").out
    assert plan["moves"] == []
    assert plan["slots_heavier_than_a_share"] == [100]
    assert "so no plan can even them out: slots 100" in text
    quiet = shoal("rebalance", first, "--by", "ops", "--watch", "0.1", "--dry-run", code=1)
    assert "no slot has any ops to balance by" in quiet.error_line


def test_autobalance_moves_in_its_window_and_stops_cleanly(cluster: RunningCluster) -> None:
    first, keys = cluster.addresses[0], keys_of(300)
    options = ["--by", "ops", "--interval", "0.3", "--yes", "--json"]
    with cluster.client() as connected:
        client = Client(connected, keys)
        with busy(client.count):
            closed = shoal(
                "autobalance", first, *options, "--once", "--samples", 1, "--window", closed_window()
            )
            assert events(closed.out) == ["outside the windows"]
            dry = shoal(
                "autobalance", first, *options, "--once", "--dry-run", "--samples", 2, "--max-moves", 3
            )
            assert [json.loads(line)["moves"] for line in dry.out.splitlines()] == [0, 3]
            running = subprocess.Popen(
                [*COMMAND, "autobalance", first, *options, "--samples", "1"],
                stdout=subprocess.PIPE,
                text=True,
                env=source_environment(),
            )
            assert running.stdout is not None
            seen = [running.stdout.readline() for _ in range(2)]
            running.send_signal(signal.SIGTERM)
            running.communicate(timeout=20)
    assert running.returncode == 0
    assert events("".join(seen)) == ["move", "moved"]
    assert held(cluster, keys) == dict.fromkeys(cluster.addresses, 4)
    assert {"autobalance --by ops"} == {
        row["what"] for row in shoal("migrations", "--json").json if row["what"].startswith("auto")
    }


def events(out: str) -> list[str]:
    """Of each line the decision, or what happened."""
    return [line.get("decision", line["event"]) for line in map(json.loads, out.splitlines())]


def closed_window() -> str:
    """One that is not now."""
    begin, end = (datetime.now() + timedelta(hours=hours) for hours in (6, 7))
    return f"{begin:%H:%M}-{end:%H:%M}"


def test_setting_that_is_off_is_named(cluster: RunningCluster) -> None:
    cluster.nodes[1].run("CONFIG", "SET", "cluster-slot-stats-enabled", "no")
    for command in (["rebalance", "--dry-run"], ["autobalance", "--yes", "--once"]):
        refused = shoal(*command[:1], cluster.addresses[0], "--by", "cpu", *command[1:], code=1)
        assert f"{cluster.addresses[1]} does not count what its slots cost" in refused.err
        assert "CONFIG SET cluster-slot-stats-enabled yes" in refused.err
