"""What two readings of all counters amount to."""

from __future__ import annotations

from dataclasses import replace

from cluster.plans.model import NodeInfo
from cluster.readings.activity import Reading, Sample, SlotUse, compare
from cluster.readings.command_times import Times, percentiles, times_of
from cluster.readings.slot_jobs import Job
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
    before = sample(
        1.0, a=Reading(slot_use={1: SlotUse(1_000_000, 500, 30), 2: SlotUse(500_000, 0)}), r=reading(0)
    )
    now = sample(
        2.0, a=Reading(slot_use={1: SlotUse(1_100_000, 700, 80), 3: SlotUse(900_000, 9)}), r=reading(0)
    )
    slot = {"address": "10.0.0.1:7001"}
    assert compare(before, now)["hot_slots"] == [
        # The first had less than slot 2.
        slot | {"slot": 3, "cpu_percent": 40.0, "ops_per_second": None, "bytes_per_second": None},
        slot | {"slot": 1, "cpu_percent": 10.0, "ops_per_second": 50, "bytes_per_second": 200},
    ]
    assert compare(before, now, hottest=1)["hot_slots"][0]["slot"] == 3
    assert compare(None, now)["hot_slots"] == []
    assert compare(None, sample(1.0, a=reading(0), r=reading(0)))["hot_slots"] is None


def test_migrations_of_whole_slots_and_key_by_key() -> None:
    job = Job("j", "EXPORT", from_range(0, 4), "r", "snapshotting", "", 1000)
    before = sample(1.0, a=Reading(jobs=(replace(job, sent=400),)), r=reading(0))
    now = sample(3.0, a=Reading(jobs=(job,), open_slots={7: "r", 8: "r", 9: "gone"}), r=reading(0))
    known = {"from": "10.0.0.1:7001", "to": "10.0.0.2:7001"}
    by_key = {"state": "key by key", "sent_bytes": None, "bytes_per_second": None}
    assert compare(before, now)["migrations"] == [
        known | {"slots": 5, "state": "snapshotting", "sent_bytes": 1000, "bytes_per_second": 300},
        known | {"slots": 2} | by_key,
        known | {"slots": 1, "to": "gone"} | by_key,
    ]
    assert compare(None, now)["migrations"][0]["bytes_per_second"] is None


def test_percentiles_are_of_the_commands_between_two_readings() -> None:
    before: Times = {"get": {1: 1000, 16: 10}, "info": {1056: 5}}
    now: Times = {"get": {1: 1090, 16: 18, 132: 1}, "set": {2: 1}, "info": {1056: 9}}
    assert percentiles(before, now, 50, 98, 99, 100) == [1, 16, 16, 132]
    assert percentiles(now, now, 50) == [None]
    assert percentiles({"get": {1: 5000}}, {"get": {1: 3, 2: 1}}, 50, 99) == [1, 2], "a restart"
    row = compare(
        sample(1.0, a=replace(reading(0), times=before), r=reading(0)),
        sample(2.0, a=replace(reading(0), times=now), r=reading(0)),
    )["nodes"][0]
    assert (row["p50_us"], row["p99_us"]) == (1, 16)


def test_a_histogram_as_it_is_told() -> None:
    told = [b"get", [b"calls", 3, b"histogram_usec", [1, 1, 33, 3]], b"client|list", [b"calls", 0]]
    assert times_of(told) == {"get": {1: 1, 33: 2}, "client|list": {}}
