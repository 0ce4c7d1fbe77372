"""What two readings of all counters amount to."""

from __future__ import annotations

from cluster.operations.gauges import Reading, Sample, compare
from cluster.plans.model import NodeInfo
from cluster.slots import from_range

NODES = {
    "a": NodeInfo("a", "10.0.0.1", 7001, from_range(0, 9)),
    "r": NodeInfo("r", "10.0.0.2", 7001, primary_id="a"),
}


def reading(commands: int, cpu: float = 0.0, offset: int = 0, **more: str) -> Reading:
    fields = {
        "total_commands_processed": str(commands),
        "used_cpu_user": str(cpu),
        "used_cpu_sys": "1.0",
        "used_memory": "1000",
        "master_repl_offset": str(offset),
        "slave_repl_offset": str(offset),
        "instantaneous_ops_per_sec": "7",
        "redis_version": "7.2.0",
        "db0": "keys=5,expires=0,avg_ttl=0",
        "db3": "keys=2,expires=0",
    }
    return Reading(fields | more)


def sample(at: float, **readings: Reading) -> Sample:
    return Sample(at, NODES, readings)


def test_rates_are_differences_over_time() -> None:
    before = sample(10.0, a=reading(100, 1.0), r=reading(0))
    now = sample(12.0, a=reading(300, 2.0, keyspace_hits="30", keyspace_misses="10"), r=reading(0))
    row = compare(before, now)["nodes"][0]
    assert (row["ops_per_second"], row["cpu_percent"], row["hit_percent"]) == (100.0, 50.0, 75.0)
    assert (row["keys"], row["memory_bytes"], row["slots"], row["role"]) == (7, 1000, 10, "primary")


def test_the_first_has_no_rates_but_what_servers_say() -> None:
    row = compare(None, sample(1.0, a=reading(100), r=reading(0)))["nodes"][0]
    assert (row["ops_per_second"], row["cpu_percent"], row["hit_percent"]) == (7.0, None, None)


def test_a_restart_is_no_negative_rate() -> None:
    row = compare(sample(1.0, a=reading(900), r=reading(0)), sample(2.0, a=reading(3), r=reading(0)))[
        "nodes"
    ][0]
    assert row["ops_per_second"] == 0.0


def test_replicas_lag_and_the_silent_are_said_to_be() -> None:
    now = sample(1.0, a=reading(0, offset=500), r=reading(0, offset=420, master_link_status="up"))
    replica = compare(None, now)["nodes"][1]
    assert (replica["lag_bytes"], replica["in_sync"], replica["primary"]) == (80, True, "10.0.0.1:7001")
    figures = compare(None, sample(1.0, a=Reading(problem="connection refused"), r=reading(0)))
    assert (figures["nodes"][0]["state"], figures["nodes"][1]["lag_bytes"]) == ("connection refused", None)
    assert (figures["cluster"]["not_ok"], figures["cluster"]["keys"]) == (1, 0)


def test_hot_slots_by_what_they_took_since() -> None:
    before = sample(1.0, a=Reading({}, slot_usec={1: 1_000_000, 2: 500_000}), r=reading(0))
    now = sample(2.0, a=Reading({}, slot_usec={1: 1_100_000, 3: 900_000}), r=reading(0))
    assert compare(before, now)["hot_slots"] == [
        {"slot": 3, "address": "10.0.0.1:7001", "cpu_percent": 40.0},  # it had less than slot 2
        {"slot": 1, "address": "10.0.0.1:7001", "cpu_percent": 10.0},
    ]
    assert compare(None, now)["hot_slots"] == []
