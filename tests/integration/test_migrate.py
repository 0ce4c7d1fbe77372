"""MIGRATE between our workers and the real servers: a key is always on exactly one side, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.ports import lease_port, release_port
from tests.harness.resp import Error, Resp, Simple
from tests.harness.servers import Oracle, Server, ShoalNode, server
from tests.integration.datasets import FAR, content, fill

OK = Simple("OK")


@pytest.fixture(scope="module", params=["shoal", "redis", "valkey", "redis-7.0"])
def target(request: pytest.FixtureRequest) -> Iterator[Server]:
    with server(request.param) as running:
        yield running


@pytest.fixture
def here(shoal_node: ShoalNode, target: Server) -> Iterator[Resp]:
    """A connection to our worker; both sides are empty."""
    target.run("FLUSHALL")
    with shoal_node.resp() as connection:
        yield connection


def to(target: Server, key: str, *options: str | int, timeout: int = 5000) -> tuple[str | int, ...]:
    return ("MIGRATE", target.host, target.port, key, 0, timeout, *options)


def test_a_key_moves_with_its_value_and_its_time_to_live(here: Resp, target: Server) -> None:
    here.command("SET", "k", b"\x00\xff binary", "PX", 60_000)
    assert here.command(*to(target, "k")) == OK
    assert here.command("EXISTS", "k") == 0
    assert target.run("GET", "k") == b"\x00\xff binary"
    assert 50_000 < target.run("PTTL", "k") <= 60_000


def test_it_comes_back(here: Resp, target: Server, shoal_node: ShoalNode) -> None:
    target.run("SET", "k", "v")
    assert target.run(*to(shoal_node, "k")) == OK
    assert here.command("GET", "k") == b"v"
    assert target.run("EXISTS", "k") == 0


def test_every_type_is_understood(here: Resp, target: Server, shoal_node: ShoalNode) -> None:
    """By servers as old as Redis 7.0, too; a consumer of a stream was active when it was seen, for that
    one."""
    fill(shoal_node)
    before = what_lasts(shoal_node)
    assert here.command(*to(target, "", "KEYS", *before)) == OK
    assert here.command("DBSIZE") == 0
    assert what_lasts(target) == before


def what_lasts(server: Server) -> dict[bytes, Any]:
    """Values, and whether they expire, which MIGRATE says as the time that is left."""
    found = content(server)
    for kind, value, _ in found.values():
        for group in value[b"groups"] if kind == b"stream" else ():
            for consumer in group[b"consumers"]:
                consumer.pop(b"active-time", None)
    return {key: (value, expires_at > 0) for key, (_, value, expires_at) in found.items()}


@pytest.mark.parametrize("size", [3, 300])
def test_fields_that_expire(here: Resp, target: Server, size: int) -> None:
    here.command("HSET", "h", *(f"{n}" for n in range(2 * size)))
    here.command("HPEXPIREAT", "h", FAR, "FIELDS", 1, "0")
    moved = here.command(*to(target, "h"))
    if target.kind == "redis-7.0":
        assert isinstance(moved, Error) and "DUMP payload version" in moved.text
        assert here.command("HLEN", "h") == size
        here.command("HPERSIST", "h", "FIELDS", 1, "0")
        assert here.command(*to(target, "h")) == OK
    else:
        assert moved == OK
        assert target.run("HPEXPIRETIME", "h", "FIELDS", 2, "0", "2") == [FAR, -1]
    assert target.run("HLEN", "h") == size


def test_many_keys_move_at_once_and_absent_ones_are_passed_over(here: Resp, target: Server) -> None:
    keys = [f"k{i}" for i in range(1000)]
    here.pipeline(*(("SET", key, f"value of {key}" * 10) for key in keys))
    assert here.command(*to(target, "", "KEYS", "absent", *keys)) == OK
    assert here.command("DBSIZE") == 0
    with target.resp() as there:
        values = there.pipeline(*(("GET", key) for key in keys))
    assert values == [(f"value of {key}" * 10).encode() for key in keys]


def test_copy_leaves_the_key_here(here: Resp, target: Server) -> None:
    here.command("SET", "k", "v")
    assert here.command(*to(target, "k", "COPY")) == OK
    assert here.command("GET", "k") == target.run("GET", "k") == b"v"


def test_an_existing_key_is_refused_without_replace_and_the_others_move(here: Resp, target: Server) -> None:
    here.pipeline(*(("SET", key, "new") for key in "abc"))
    target.run("SET", "b", "old")
    refusal = here.command(*to(target, "", "KEYS", "a", "b", "c"))
    assert isinstance(refusal, Error)
    assert refusal.text.startswith("ERR Target instance replied with error: BUSYKEY")
    assert here.command("EXISTS", "a", "b", "c") == 1
    assert target.run("MGET", "a", "b", "c") == [b"new", b"old", b"new"]
    assert here.command(*to(target, "b", "REPLACE")) == OK
    assert target.run("GET", "b") == b"new"
    assert here.command("DBSIZE") == 0


def test_nothing_to_move(here: Resp, target: Server) -> None:
    assert here.command(*to(target, "absent")) == Simple("NOKEY")
    assert here.command(*to(target, "", "KEYS", "absent", "gone")) == Simple("NOKEY")


def test_a_database_the_target_does_not_have_moves_nothing(here: Resp, target: Server) -> None:
    here.command("SET", "k", "v")
    refusal = here.command("MIGRATE", target.host, target.port, "k", 9999, 5000)
    assert refusal == Error("ERR Target instance replied with error: ERR DB index is out of range")
    assert here.command("GET", "k") == b"v"
    assert target.run("DBSIZE") == 0
    assert here.command(*to(target, "k")) == OK


def test_passwords(here: Resp) -> None:
    with Oracle("redis", requirepass="secret") as guarded:
        here.command("SET", "k", "v")
        refused = here.command(*to(guarded, "k"))
        assert isinstance(refused, Error) and "NOAUTH" in refused.text
        refused = here.command(*to(guarded, "k", "AUTH", "wrong"))
        assert isinstance(refused, Error) and "WRONGPASS" in refused.text
        assert here.command("GET", "k") == b"v"
        assert here.command(*to(guarded, "k", "AUTH2", "default", "secret")) == OK
        here.command("SET", "k2", "v")
        assert here.command(*to(guarded, "", "AUTH", "secret", "KEYS", "k2")) == OK
        assert here.command("DBSIZE") == 0


def test_nobody_there(here: Resp) -> None:
    port = lease_port()
    here.command("SET", "k", "v")
    refused = here.command("MIGRATE", "127.0.0.1", port, "k", 0, 1000)
    assert refused == Error("IOERR error or timeout connecting to the client")
    refused = here.command("MIGRATE", "127.0.0.1", 99999, "k", 0, 1000)
    assert refused == Error("IOERR error or timeout connecting to the client")
    assert here.command("GET", "k") == b"v"
    release_port(port)


def test_a_target_that_hangs_is_given_up_and_the_key_stays(here: Resp) -> None:
    with Oracle("redis") as hanging:
        here.command("SET", "k", "v")
        hanging.pause()
        refused = here.command(*to(hanging, "k", timeout=200))
        assert refused == Error("IOERR error or timeout reading to target instance")
        assert here.command("GET", "k") == b"v"
        hanging.resume()


def test_a_kept_connection_that_the_target_closed_is_replaced(here: Resp) -> None:
    with Oracle("redis") as other:
        here.command("SET", "k", "v")
        assert here.command(*to(other, "k")) == OK
        other.restart()
        here.command("SET", "k", "again")
        assert here.command(*to(other, "k")) == OK
        assert other.run("GET", "k") == b"again"


@pytest.mark.parametrize(
    "request_words",
    [
        ("localhost", "1", "k", "0", "1000", "NONSENSE"),
        ("localhost", "1", "k", "0", "1000", "AUTH"),
        ("localhost", "1", "k", "0", "1000", "AUTH2", "user"),
        ("localhost", "1", "k", "0", "1000", "KEYS", "a"),
        ("localhost", "1", "k", "zero", "1000"),
        ("localhost", "1", "k", "0", "soon"),
        ("localhost", "1", "", "0", "1000", "KEYS"),
        ("localhost", "1"),
    ],
)
def test_bad_requests_get_redis_words(
    here: Resp, redis_oracle: Oracle, request_words: tuple[str, ...]
) -> None:
    theirs = redis_oracle.run("MIGRATE", *request_words)
    assert here.command("MIGRATE", *request_words) == theirs
