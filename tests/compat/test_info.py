"""INFO beside redis-server: the same sections and fields, but for those listed here with the reason."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest

from tests.harness.resp import Simple
from tests.harness.servers import Oracle, Server, ShoalNode
from tests.harness.wait import eventually

LEFT_OUT = {
    "redis_git_*": "describes how the oracle was built",
    "redis_build_id": "as above",
    "gcc_version": "as above",
    "atomicvar_api": "as above",
    "io_thread_*": "there are no I/O threads",
    "io_threaded_total_prefetch_*": "as above",
    "cluster_connections": "of the bus: `CLUSTER LINKS` shows them",
    "total_net_repl_*": "is part of total_net_*",
    "instantaneous_*_repl_kbps": "as above",
    "active_defrag_*": "memory is not moved about",
    "*_active_defrag_time": "as above",
    "unexpected_error_replies": "counts what cannot happen",
    "dump_payload_sanitizations": "every payload is read with all checks",
    "reply_buffer_*": "clients have no reply buffer of their own",
    "mem_replica_full_sync_buffer": "a replica reads nothing of the stream before it has the snapshot",
    "module": "there are none",
    "module_fork_*": "as above",
}
"""Name or pattern → why it is not there."""

OURS = {"shoal_version", "python_version"}


def sections(server: Server, *wanted: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for line in server.run("INFO", *wanted).decode().splitlines():
        if line.startswith("# "):
            section = found[line[2:]] = {}
        elif line:
            name, _, value = line.partition(":")
            section[name] = value
    return found


def test_fields_are_those_of_redis(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    for server in (shoal_node, redis_oracle):
        server.run("CONFIG", "RESETSTAT")
        server.run("SET", "a", 1)
        server.run("NONSENSE")
    ours, theirs = sections(shoal_node, "everything"), sections(redis_oracle, "everything")
    assert list(ours) == [name for name in theirs if name != "Threads"]
    for name, fields in theirs.items():
        missing = [
            field
            for field in fields
            if field not in ours.get(name, {}) and not any(fnmatch(field, each) for each in LEFT_OUT)
        ]
        assert not missing, name
        assert not set(ours.get(name, {})) - set(fields) - OURS, f"{name}: made up"


def test_sections_can_be_chosen(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    for wanted in (
        (),
        ("default",),
        ("all",),
        ("everything",),
        ("cpu", "SERVER"),
        ("nonsense",),
        ("keysizes",),
    ):
        theirs = list(sections(redis_oracle, *wanted))
        unasked = (
            {"Threads"}
            if "keysizes" in wanted or wanted[:1] in (("all",), ("everything",))
            else {
                "Threads",
                "Keysizes",
            }
        )
        assert list(sections(shoal_node, *wanted)) == [name for name in theirs if name not in unasked], wanted


def test_sizes_of_keys(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    for server in (shoal_node, redis_oracle):
        with server.resp() as client:
            for size in (0, 1, 2, 3, 4, 7, 8, 100, 1000, 1023, 1024, 5000, 1 << 20, 3 << 20):
                client.command("SET", f"s{size}", "x" * size)
            for size in (1, 2, 5, 2000):
                numbers = range(size)
                client.command("RPUSH", f"l{size}", *numbers)
                client.command("SADD", f"t{size}", *numbers)
                client.command("ZADD", f"z{size}", *(word for n in numbers for word in (n, n)))
                client.command("HSET", f"h{size}", *(word for n in numbers for word in (n, n)))
            client.command("XADD", "x", "1-1", "a", "b")
            client.command("SELECT", 3)
            client.command("SET", "int", "12345")
    assert sections(shoal_node, "keysizes") == sections(redis_oracle, "keysizes")


def test_activity_is_counted(shoal_node: ShoalNode) -> None:
    shoal_node.run("CONFIG", "RESETSTAT")
    with shoal_node.resp() as client:
        for _ in range(50):
            client.command("PING")
    stats = sections(shoal_node, "stats")["Stats"]
    assert int(stats["total_reads_processed"]) >= 51
    assert int(stats["total_writes_processed"]) >= 51
    assert int(stats["eventloop_cycles"]) >= int(stats["total_reads_processed"])
    assert int(stats["eventloop_duration_sum"]) > 0
    assert int(stats["eventloop_duration_cmd_sum"]) > 0
    eventually(
        lambda: int(sections(shoal_node, "stats")["Stats"]["instantaneous_eventloop_cycles_per_sec"]) > 0,
        "the pace is known",
    )


def test_mean_time_to_live(shoal_node: ShoalNode) -> None:
    with shoal_node.resp() as client:
        for number in range(100):
            client.command("SET", number, 1, "EX", 1000)
    eventually(
        lambda: 900_000 < shoal_node.info("keyspace")["db0"]["avg_ttl"] <= 1_000_000, "a cycle saw the keys"
    )


def test_clients_that_are_too_slow_are_counted() -> None:
    limit = ["normal", "100000", "0", "0"]
    with ShoalNode(client_output_buffer_limit=limit) as node, node.resp() as slow:
        node.run("SET", "a", "x" * 1_000_000)
        slow.send(b"GET a\r\n" * 200)
        eventually(
            lambda: node.info("stats")["client_output_buffer_limit_disconnections"] == 1, "it was closed"
        )


@pytest.mark.parametrize("seconds", [1])
def test_idle_clients_are_closed_but_monitors(seconds: int) -> None:
    with ShoalNode(timeout=seconds) as node, node.resp() as idle, node.resp() as monitor:
        assert monitor.command("MONITOR") == Simple("OK")
        assert idle.read_until_closed() == b""
        assert monitor.command("PING") == Simple("PONG")


COUNTED = ("total_commands_processed", "total_error_replies", "keyspace_hits", "keyspace_misses")
MOVING_COUNTERS = """
GET | NOSUCH | SET s x | GET s | GET none | LPUSH s x | MULTI | PING | LPUSH s x | EXEC
MULTI | NOSUCH | EXEC
XADD x 1 a b | XADD x 2 a b | XGROUP CREATE x g 0 | XREADGROUP GROUP g c STREAMS x > | XACKDEL x g IDS 1 1
XACKDEL none g IDS 1 1 | XDELEX none IDS 1 1 | XACKDEL x g DELREF IDS 1 2 | LCS s s | LCS s none | LCS x s
PFADD p a | PFCOUNT p none | PFCOUNT s p | PFMERGE p none | PFADD s a
"""
CALLS_IN_A_SCRIPT = "redis.call('GET', 's'); redis.pcall('LPUSH', 's', 1); redis.pcall('GET')"


def test_the_same_commands_move_the_same_counters(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    moved = []
    for server in (shoal_node, redis_oracle):
        with server.resp() as client:
            client.command("FLUSHALL")
            client.command("CONFIG", "RESETSTAT")
            before = server.info("persistence")["rdb_changes_since_last_save"]
            for command in " | ".join(MOVING_COUNTERS.strip().splitlines()).split(" | "):
                client.command(*command.split())
            client.command(
                "EVAL", "redis.call('GET', 's'); redis.pcall('LPUSH', 's', 1); redis.pcall('GET')", 0
            )
            stats = server.info("stats")
            changes = server.info("persistence")["rdb_changes_since_last_save"] - before
        moved.append({"changes": changes} | {name: stats[name] for name in COUNTED})
    assert moved[0] == moved[1]
