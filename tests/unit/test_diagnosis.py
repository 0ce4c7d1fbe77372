"""What the doctor says of servers that were described to it."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.operations.certificate import DAY, days_left
from cluster.plans.diagnosis import diagnose
from cluster.plans.diagnosis.facts import Entrance, Facts, Machine
from cluster.plans.model import NodeInfo
from cluster.readings.proxy_names import name_of_proxy, proxies_among
from cluster.slots import from_range
from tests.harness.certificates import Authority

SOUND = {
    "bind": "*",
    "port": "0",
    "tls-port": "6379",
    "tls-auth-clients": "yes",
    "tls-cluster": "yes",
    "tls-replication": "yes",
    "protected-mode": "yes",
    "requirepass": "x" * 32,
    "masterauth": "x" * 32,
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory": str(1 << 30),
    "maxmemory-policy": "noeviction",
    "maxclients": "10000",
    "tcp-backlog": "511",
    "cluster-node-timeout": "5000",
    "cluster-secret-required": "no",
    "availability-zone": "",
}
INFO = {
    "role": "master",
    "connected_slaves": "1",
    "total_system_memory": str(8 << 30),
    "used_memory": "1000000",
}
MACHINE = Machine(overcommit=1, huge_pages="madvise", most_waiting=4096, open_files=65536)


def server(number: int, primary: int | None = None, **settings: str) -> Facts:
    """One of six: primaries 1 to 3 on hosts of their own, replicas 4 to 6 one host farther."""
    member = NodeInfo(
        id=f"{number:040}",
        host=f"h{number}",
        port=7000,
        slots=from_range(5461 * (number - 1), 5461 * number - 1) if primary is None else 0,
        primary_id=None if primary is None else f"{primary:040}",
        bus_port=17000,
    )
    own = {name.replace("_", "-"): value for name, value in settings.items()}
    return Facts(
        address=member.address,
        host=f"h{number if primary is None else primary % 3 + 1}",
        settings=SOUND | own,
        info=INFO if primary is None else INFO | {"role": "slave", "connected_slaves": "0"},
        version="shoal 1",
        default_user="user default on #abc ~* &* +@all",
        other_users=1,
        clock_ahead=0.01,
        certificate_days=90.0,
        machine=MACHINE,
        member=member,
    )


SIX = [server(number) for number in (1, 2, 3)] + [server(number + 3, number) for number in (1, 2, 3)]


def kinds(servers: list[Facts]) -> set[tuple[str, str]]:
    return {(problem.kind, problem.severity) for problem in diagnose(servers)}


def test_nothing_is_said_of_what_is_sound() -> None:
    assert diagnose(SIX) == []


@pytest.mark.parametrize(
    ("settings", "kind", "severity"),
    [
        ({"protected-mode": "no"}, "open", "error"),
        ({"protected-mode": "no", "bind": "127.0.0.1 -::1"}, "protected-mode", "warning"),
        ({"requirepass": "short"}, "password", "warning"),
        ({"masterauth": ""}, "masterauth", "error"),
        ({"enable-debug-command": "yes"}, "enable-debug-command", "warning"),
        ({"port": "6380"}, "plain-port", "warning"),
        ({"tls-cluster": "no"}, "tls-cluster", "warning"),
        ({"tls-cluster": "no"}, "bus", "advice"),
        ({"appendfsync": "no"}, "appendfsync", "advice"),
        ({"appendonly": "no"}, "no-persistence", "warning"),
        ({"maxmemory": "0"}, "maxmemory", "warning"),
        ({"maxmemory": "1000000"}, "full", "error"),
        ({"maxclients": "65536"}, "open-files", "warning"),
        ({"tcp-backlog": "5000"}, "backlog", "warning"),
        ({"maxmemory": str(9 << 30)}, "host-memory", "warning"),
        ({"cluster-node-timeout": "200"}, "node-timeout", "warning"),
        ({"cluster-node-timeout": "120000"}, "node-timeout", "advice"),
        ({"notify-keyspace-events": "KEA"}, "settings", "warning"),
    ],
)  # fmt: skip
def test_settings(settings: dict[str, str], kind: str, severity: str) -> None:
    bare = [replace(each, settings={**each.settings, "notify-keyspace-events": ""}) for each in SIX]
    first = replace(bare[0], settings={**bare[0].settings, **settings})
    if kind in ("open", "protected-mode"):
        first = replace(first, default_user="user default on nopass ~* &* +@all")
    assert (kind, severity) in kinds([first, *bare[1:]])


@pytest.mark.parametrize(
    ("changes", "kind", "severity"),
    [
        ({"settings": {}}, "untold", "advice"),
        ({"other_users": 0}, "dangerous-commands", "advice"),
        ({"certificate_days": 20.0}, "certificate", "warning"),
        ({"certificate_days": -1.0}, "certificate", "error"),
        ({"clock_ahead": 5.0}, "clock", "warning"),
        ({"version": "valkey 9.1.2"}, "versions", "advice"),
        ({"info": INFO | {"rdb_last_bgsave_status": "err"}}, "persistence-failed", "error"),
        ({"info": INFO | {"aof_last_write_status": "err"}}, "persistence-failed", "error"),
        ({"info": INFO | {"role": "slave", "master_link_status": "down"}}, "replica-cut-off", "error"),
        (
            {
                "info": INFO
                | {"master_repl_offset": "99999999", "slave0": "ip=h,port=1,state=online,offset=1,lag=0"}
            },
            "lag",
            "warning",
        ),
        ({"machine": replace(MACHINE, overcommit=0)}, "overcommit", "warning"),
        ({"machine": replace(MACHINE, huge_pages="always")}, "huge-pages", "warning"),
        ({"machine": replace(MACHINE, key_files=("/etc/key",))}, "key-file", "error"),
    ],
)  # fmt: skip
def test_what_was_seen(changes: dict[str, object], kind: str, severity: str) -> None:
    assert kinds([replace(SIX[0], **changes), *SIX[1:]]) == {(kind, severity)}  # type: ignore[arg-type]


def test_places() -> None:
    with_its_primary = replace(SIX[3], host="h1")
    assert kinds([*SIX[:3], with_its_primary, *SIX[4:]]) == {("same-host", "warning")}
    assert kinds([replace(each, host="h") for each in SIX]) == {("one-host", "advice")}
    zones = [replace(each, settings={**each.settings, "availability-zone": each.host[1]}) for each in SIX]
    assert kinds(zones) == set()
    crowded = [replace(zones[0], settings={**zones[0].settings, "availability-zone": "2"}), *zones[1:]]
    assert ("majority", "warning") in kinds(crowded)


def test_voters() -> None:
    assert ("quorum", "error") in kinds([SIX[0], SIX[1], SIX[3], SIX[4]])
    four = server(4)
    assert ("quorum", "advice") in kinds([*SIX[:3], replace(four, host="h4"), *SIX[3:]])


def test_a_server_alone_without_disk_and_replica() -> None:
    alone = replace(SIX[0], member=None, info=INFO | {"connected_slaves": "0"})
    alone = replace(alone, settings={**alone.settings, "appendonly": "no"})
    assert kinds([alone]) == {("no-persistence", "error")}


def test_what_holds_for_all_is_said_once_and_passwords_never() -> None:
    weak = [replace(each, settings={**each.settings, "requirepass": "s3cret"}) for each in SIX]
    (problem,) = diagnose(weak)
    assert problem.text.startswith("every server: has a password of fewer")
    (problem, other) = diagnose([weak[0], *SIX[1:]])
    assert "h1:7000 " in problem.text and "requirepass" in other.text
    assert "s3cret" not in repr((problem, other))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, {("open-proxy", "error"), ("plain-proxy", "warning")}),
        ({"is_plain": False}, {("open-proxy", "error")}),
        ({"lets_in": False}, {("plain-proxy", "warning")}),
        ({"lets_in": False, "is_plain": False}, set()),
        ({"from_elsewhere": False}, {("protected-mode", "warning")}),
        ({"from_elsewhere": False, "protected_mode": "yes"}, set()),
        ({"from_elsewhere": False, "protected_mode": ""}, set()),
    ],
)
def test_proxies(changes: dict[str, object], found: set[tuple[str, str]]) -> None:
    """Before workers that all have a password, and ask for TLS."""
    proxy = replace(Entrance("h9:6379", True, True, True, "no"), **changes)  # type: ignore[arg-type]
    assert {(problem.kind, problem.severity) for problem in diagnose(SIX, [proxy])} == found
    plain = [replace(each, settings={**each.settings, "port": "6380"}) for each in SIX]
    assert "plain-proxy" not in {problem.kind for problem in diagnose(plain, [proxy])}


def test_what_holds_for_all_proxies_is_said_once() -> None:
    proxies = [Entrance(f"h{number}:6379", True, True, False) for number in (8, 9)]
    (problem,) = diagnose(SIX, proxies)
    assert problem.text.startswith("every proxy: lets in whoever reaches it")


def test_users_that_a_proxy_tells_of_are_not_its_own() -> None:
    settings = {**SIX[0].settings, "protected-mode": "no"}
    open_to_all = replace(SIX[0], settings=settings, default_user="user default on nopass ~* &* +@all")
    assert ("open", "error") in kinds([open_to_all])
    proxy = replace(open_to_all, info={**INFO, "server_name": "shoal-proxy"})
    assert ("open", "error") not in kinds([proxy])


def test_proxies_are_where_their_connections_come_from() -> None:
    lines = [
        "id=1 addr=10.0.0.9:41234 laddr=10.0.0.1:7001 name=shoal-proxy:6379 db=0",
        "id=2 addr=[fd00::9]:41234 name=shoal-proxy:6380 db=0",
        "id=3 addr=127.0.0.1:41234 name=shoal-proxy:6381 db=0",
        "id=4 addr=/run/shoal.sock:0 name=shoal-proxy:6382 db=0",
        "id=5 addr=10.0.0.9:5 name= db=0",
        *(
            f"id=6 addr=10.0.0.9:6 name={name}"
            for name in ("x", "shoal-proxy", "shoal-proxy:0", "shoal-proxy:x")
        ),
        *(f"id=7 addr=10.0.0.9:7 name=shoal-proxy:{port}" for port in ("65536", "-1", "٣", "9" * 5000)),
        "",
    ]
    found = {("10.0.0.9", 6379), ("fd00::9", 6380), ("h1", 6381), ("h1", 6382)}
    assert proxies_among("\n".join(lines), "h1") == found
    assert name_of_proxy(6379, 6380) == "shoal-proxy:6379" and name_of_proxy(0, 6380) == "shoal-proxy:6380"
    assert name_of_proxy(0, 0) == "shoal-proxy"


def test_the_end_of_a_certificate(tmp_path: Path) -> None:
    certificate = Authority(tmp_path).own.certificate.read_text()
    der = ssl.PEM_cert_to_DER_cert(certificate)
    ends = ssl.cert_time_to_seconds(ssl._ssl._test_decode_cert(tmp_path / "authority.crt")["notAfter"])  # type: ignore[attr-defined]
    assert days_left(der, ends - 3 * DAY) == 3
    for damaged in (b"", der[:10], b"\x30\x03abc", bytes(100)):
        with pytest.raises(ValueError, match="certificate"):
            days_left(damaged, 0)
