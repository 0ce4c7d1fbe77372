"""The servers that are measured, set up alike.

Each is a cluster of its own: cluster mode is on, and one primary serves all slots, if wanted with a replica
of its kind beside it. Everything else is as each of them comes, so with ACL, slow log, statistics, expiry and
latency tracking; `check_alike` holds that no server has less of it than another.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from tests.bench.pinning import pin_process
from tests.harness.resp import Simple
from tests.harness.servers import Server, server
from tests.harness.wait import eventually

KINDS = ("shoal", "redis", "valkey")
LAST_SLOT = 16383

ALIKE = (
    "acllog-max-len",
    "activerehashing",
    "appendfsync",
    "appendonly",
    "cluster-enabled",
    "io-threads",
    "latency-monitor-threshold",
    "latency-tracking",
    "maxmemory",
    "notify-keyspace-events",
    "slowlog-log-slower-than",
    "slowlog-max-len",
    "timeout",
)
"""Directives that must not differ: each could make a server faster by doing less."""
SYNONYMS = {
    "slowlog-log-slower-than": "commandlog-execution-slower-than",
    "slowlog-max-len": "commandlog-slow-execution-max-len",
}
"""As Valkey has renamed some."""


@contextlib.contextmanager
def side_by_side(
    *, aof: bool = False, replica: bool = False, cpus: Iterable[int] = ()
) -> Iterator[dict[str, Server]]:
    """One of each kind, each serving all slots, on `cpus` if given."""
    with contextlib.ExitStack() as stack:
        # All at once: each refuses writes for its first two seconds.
        found = {kind: stack.enter_context(server(kind, **_settings(aof=aof))) for kind in KINDS}
        for each in found.values():
            _give_slots(each, 0, 1)
        for each in found.values():
            _wait_formed(each, 1)
        check_alike(found)
        if replica:
            followers = {kind: stack.enter_context(server(kind, **_settings(aof=False))) for kind in KINDS}
            for kind, follower in followers.items():
                _replicate(follower, found[kind])
        if cpus:
            for each in found.values():
                pin_process(each.pid, cpus)
        yield found


@contextlib.contextmanager
def primaries(kind: str, count: int) -> Iterator[list[Server]]:
    """So many members of one cluster, which share the slots evenly."""
    with contextlib.ExitStack() as stack:
        members = [stack.enter_context(server(kind, **_settings(aof=False))) for _ in range(count)]
        for number, each in enumerate(members):
            _give_slots(each, number, count)
        for each in members[1:]:
            _command(each, "CLUSTER", "MEET", members[0].host, members[0].port)
        for each in members:
            _wait_formed(each, count)
        yield members


def slots_of(number: int, count: int) -> tuple[int, int]:
    return number * (LAST_SLOT + 1) // count, (number + 1) * (LAST_SLOT + 1) // count - 1


def _settings(*, aof: bool) -> dict[str, Any]:
    # A rewrite in the middle would be measured, too.
    return {
        "cluster_enabled": "yes",
        "appendonly": "yes" if aof else "no",
        "auto_aof_rewrite_percentage": "0",
    }


def _command(each: Server, *words: str | int) -> None:
    assert each.run(*words) == Simple("OK"), f"{each!r} refuses {words}"


def _cluster_info(each: Server) -> dict[str, str]:
    lines = each.run("CLUSTER", "INFO").decode().split()
    return dict(line.split(":", 1) for line in lines)


def _give_slots(each: Server, number: int, count: int) -> None:
    _command(each, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
    _command(each, "CLUSTER", "ADDSLOTSRANGE", *slots_of(number, count))


def _wait_formed(each: Server, count: int) -> None:
    eventually(lambda: _is_formed(each, count), f"{each!r} is one of {count}", timeout=30)


def _is_formed(each: Server, count: int) -> bool:
    info = _cluster_info(each)
    return info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == count


def _replicate(follower: Server, primary: Server) -> None:
    _command(follower, "CLUSTER", "MEET", primary.host, primary.port)
    primary_id = primary.run("CLUSTER", "MYID").decode()
    # Refused until it knows the other.
    eventually(
        lambda: follower.run("CLUSTER", "REPLICATE", primary_id) == Simple("OK"),
        f"{follower!r} is a replica",
        timeout=30,
    )
    eventually(lambda: _is_linked(follower, primary), f"{follower!r} follows {primary!r}", timeout=30)


def _is_linked(follower: Server, primary: Server) -> bool:
    up = follower.info("replication")["master_link_status"] == "up"
    return up and primary.info("replication")["slave0"]["state"] == "online"


def check_alike(servers: dict[str, Server]) -> None:
    """No server has a feature off that another has on."""
    found = {kind: _directives(each) for kind, each in servers.items()}
    for name in ALIKE:
        values = {kind: each[name] for kind, each in found.items() if name in each}
        assert len(set(values.values())) == 1, f"{name} differs: {values}"
    assert all(each["cluster-enabled"] == "yes" for each in found.values())


def _directives(each: Server) -> dict[str, str]:
    with each.client(decode_responses=True) as client:
        every = client.config_get()
    named = {name: every.get(name, every.get(SYNONYMS.get(name, ""))) for name in ALIKE}
    return {name: value for name, value in named.items() if value is not None}
