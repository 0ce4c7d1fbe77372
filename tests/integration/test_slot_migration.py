"""Whole slots move at once, between our workers and to and from Valkey, while clients go on.

One cluster for each pair of kinds serves all tests of it: two primaries, and a replica of the target that is
of the other kind where there is one, so that it shows whether the stream is understood. Each test moves slots
of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from cluster.slot_tags import tag_of
from tests.harness.resp import Error
from tests.harness.servers import Server
from tests.harness.slot_moves import ENDED, OK, Pair, jobs, moving_pair
from tests.harness.wait import eventually

PAIRS = {
    "shoal-shoal": ("shoal", "shoal", "shoal"),
    "valkey-shoal": ("valkey", "shoal", "valkey"),
    "shoal-valkey": ("shoal", "valkey", "shoal"),
    "disk-shoal": ("disk", "shoal", "disk"),
    "shoal-disk": ("shoal", "disk", "shoal"),
}


@pytest.fixture(scope="module", params=PAIRS)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with moving_pair(*PAIRS[request.param]) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_is_held(pair: Pair) -> Iterator[None]:
    yield
    for what in ("pause", "failover"):
        pair.hold(what, False)


def tagged(slot: int, name: str) -> str:
    """A key of that slot."""
    return f"{{{tag_of(slot).decode()}}}{name}"


def digests(node: Server, keys: list[str]) -> list[bytes]:
    with node.client() as client:
        return [client.execute_command("DEBUG", "DIGEST-VALUE", key)[0] for key in keys]


def fill(node: Server, slot: int) -> list[str]:
    """Keys of all types, small and large; a hash with expiring fields is not among those returned, since
    Valkey's digest of it is another."""
    keys = {name: tagged(slot, name) for name in ("s", "e", "l", "L", "h", "H", "S", "T", "z", "Z", "x")}
    fading = tagged(slot, "f")
    with node.client() as client:
        client.set(keys["s"], b"\x00\r\n binary")
        client.set(keys["e"], "fades", px=3_600_000)
        client.rpush(keys["l"], *range(10))
        client.rpush(keys["L"], *("x" * (i % 300) for i in range(2000)))
        client.hset(keys["h"], mapping={"a": 1, "b": "two"})
        client.hset(keys["H"], mapping={f"f{i}": "v" * (i % 70) for i in range(1500)})
        client.sadd(keys["S"], *range(40))
        client.sadd(keys["T"], *(f"m{i}" for i in range(1500)))
        client.zadd(keys["z"], {"a": 1.5, "b": float("inf")})
        client.zadd(keys["Z"], {f"m{i}": i / 7 for i in range(1500)})
        for i in range(50):
            client.xadd(keys["x"], {"n": i}, id=f"{i + 1}-0")
        client.xgroup_create(keys["x"], "g", id="0")
        client.xreadgroup("g", "c", {keys["x"]: ">"}, count=7)
        client.hset(fading, mapping={"stays": 1, "goes": 2})
        client.execute_command("HPEXPIRE", fading, 3_600_000, "FIELDS", 1, "goes")
    return list(keys.values())


def test_keys_of_all_types_move(pair: Pair) -> None:
    first = 100
    keys = [key for slot in (first, first + 3) for key in fill(pair.source, slot)]
    before = digests(pair.source, keys)
    pair.begin(first, first + 1, first + 3, first + 3)
    pair.await_success()
    assert digests(pair.target, keys) == before
    assert pair.target.run("PTTL", tagged(first, "e")) > 3_000_000
    assert pair.target.run("HPTTL", tagged(first, "f"), "FIELDS", 1, "goes")[0] > 3_000_000
    assert sorted(pair.target.run("HGETALL", tagged(first, "f"))) == [b"1", b"2", b"goes", b"stays"]
    reply = pair.source.run("GET", tagged(first, "s"))
    assert isinstance(reply, Error) and reply.prefix == "MOVED"
    assert pair.replica is not None
    replica = pair.replica
    eventually(lambda: digests(replica, keys) == before, "the target's replica has them, too")
    eventually(
        lambda: pair.source.run("CLUSTER", "COUNTKEYSINSLOT", first) == 0, "the source has dropped them"
    )


def test_nobody_sees_keys_on_their_way_and_writes_follow(pair: Pair) -> None:
    slot, other = 200, 9000
    counter, several = tagged(slot, "n"), [tagged(slot, f"k{i}") for i in range(3)]
    mine = tagged(other, "mine")
    pair.hold("pause", True)
    with pair.source.client() as client:
        client.set(counter, 1)
        client.set(several[0], "old", px=300)
        pair.begin(slot, slot)
        pair.await_state(pair.source, b"waiting-to-pause")
        assert client.incr(counter) == 2
        with client.pipeline(transaction=True) as transaction:
            transaction.mset(dict.fromkeys(several, "new")).rename(several[2], several[1]).rpush(
                several[2], 1, 2
            )
            transaction.execute()
        client.pexpire(several[0], 5)
        eventually(lambda: client.get(several[0]) is None, "it expires at the source, which tells")
    assert pair.replica is not None
    for node in (pair.target, pair.replica):
        eventually(lambda node=node: node.run("CLUSTER", "COUNTKEYSINSLOT", slot) == 3, "the keys are here")
        before = node.run("DBSIZE")
        assert pair.target.run("SET", mine, 1) == OK
        eventually(lambda node=node, before=before: node.run("DBSIZE") == before + 1, "what is served shows")
        assert [key for key in node.run("KEYS", "*") if key.decode() in (counter, *several)] == []
        assert pair.target.run("DEL", mine) == 1
        eventually(lambda node=node, before=before: node.run("DBSIZE") == before, "and is gone again")
    pair.hold("pause", False)
    pair.await_success()
    assert pair.target.run("GET", counter) == b"2"
    assert pair.target.run("EXISTS", *several) == 2
    assert pair.target.run("LRANGE", several[2], 0, -1) == [b"1", b"2"]


def test_a_move_that_is_cancelled_leaves_nothing(pair: Pair) -> None:
    slot = 300
    keys = [tagged(slot, str(i)) for i in range(100)]
    pair.hold("pause", True)
    with pair.source.client() as client:
        client.mset(dict.fromkeys(keys, "v"))
    pair.begin(slot, slot)
    pair.await_state(pair.source, b"waiting-to-pause")
    assert pair.replica is not None
    for node in (pair.target, pair.replica):
        eventually(
            lambda node=node: node.run("CLUSTER", "COUNTKEYSINSLOT", slot) == 100, "the keys have come"
        )
    assert pair.source.run("CLUSTER", "CANCELSLOTMIGRATIONS") == OK
    assert pair.state(pair.source) == b"cancelled"
    pair.await_state(pair.target, b"failed")
    assert b"Connection lost to source" in pair.job(pair.target)[b"message"]
    for node in (pair.target, pair.replica):
        eventually(lambda node=node: node.run("CLUSTER", "COUNTKEYSINSLOT", slot) == 0, "they are gone")
    pair.await_state(pair.replica, b"failed")
    assert pair.source.run("CLUSTER", "COUNTKEYSINSLOT", slot) == 100


@pytest.mark.parametrize("flushed", ["source", "target"])
def test_data_that_is_flushed_ends_it(pair: Pair, flushed: str) -> None:
    slot = 400
    pair.hold("pause", True)
    assert pair.source.run("SET", tagged(slot, "k"), "v") == OK
    pair.begin(slot, slot)
    pair.await_state(pair.source, b"waiting-to-pause")
    node, other = (pair.source, pair.target) if flushed == "source" else (pair.target, pair.source)
    assert node.run("FLUSHALL") == OK
    pair.await_state(node, b"failed")
    pair.await_state(other, b"failed")
    assert pair.job(node)[b"message"] == b"Data was flushed"
    assert pair.replica is not None
    for one in (pair.target, pair.replica):
        eventually(lambda one=one: one.run("CLUSTER", "COUNTKEYSINSLOT", slot) == 0, "nothing is left of it")


def test_writes_wait_for_the_change_and_find_the_new_owner(pair: Pair) -> None:
    slot, other = 500, 501
    key = tagged(slot, "k")
    assert pair.source.run("SET", key, "old") == OK
    pair.hold("failover", True)
    pair.begin(slot, slot)
    pair.await_state(pair.source, b"failover-granted")
    replies: list[object] = []
    writer = threading.Thread(target=lambda: replies.append(pair.source.run("SET", key, "new")))
    writer.start()
    assert pair.source.run("GET", key) == b"old"
    if pair.source.kind == "shoal":
        assert pair.source.run("SET", tagged(other, "k"), "v") == OK, "other slots are written meanwhile"
        assert pair.source.run("PUBLISH", "channel", "message") == 0
    assert not replies
    pair.hold("failover", False)
    pair.await_success()
    writer.join(5)
    assert isinstance(replies[0], Error) and replies[0].text.startswith(f"MOVED {slot} "), replies
    assert pair.target.run("GET", key) == b"old"


def test_several_moves_at_once(pair: Pair) -> None:
    slots = [600, 601, 602]
    pair.hold("pause", True)
    for slot in slots:
        assert pair.source.run("SET", tagged(slot, "k"), slot) == OK
        pair.begin(slot, slot)
    pair.await_state(pair.source, b"waiting-to-pause")
    refused = pair.source.run(
        "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", 601, 601, "NODE", pair.cluster.id_of(pair.target)
    )
    assert refused == Error("ERR I am already migrating slot 601.")
    assert pair.source.run("CLUSTER", "SETSLOT", 7, "STABLE") == Error("ERR Slot export in progress.")
    pair.hold("pause", False)
    pair.await_success()
    for slot in slots:
        eventually(lambda slot=slot: pair.owns(pair.target, slot), "the target owns it")
        assert pair.target.run("GET", tagged(slot, "k")) == b"%d" % slot


def statuses(node: Server, *which: bytes | str) -> list[dict[bytes, Any]]:
    rows = node.run("CLUSTER", "MIGRATION", "STATUS", *which)
    return [dict(zip(row[::2], row[1::2], strict=True)) for row in rows]


def knows_migration(node: Server) -> bool:
    """Whether it has CLUSTER MIGRATION: ours do, and Valkey says that it does not."""
    if node.kind != "valkey":
        return True
    reply = node.run("CLUSTER", "MIGRATION", "STATUS", "ALL")
    assert isinstance(reply, Error) and reply.text.startswith("ERR unknown subcommand"), reply
    return False


def test_a_move_that_its_target_asks_for(pair: Pair) -> None:
    """CLUSTER MIGRATION, as in Redis 8.4."""
    if not knows_migration(pair.target):
        return
    assert pair.source.run("SET", tagged(650, "k"), "v") == OK
    pair.hold("pause", True)
    name = pair.target.run("CLUSTER", "MIGRATION", "IMPORT", 650, 651, 653, 653)
    assert isinstance(name, bytes) and len(name) == 40
    eventually(lambda: statuses(pair.target, "ID", name)[0][b"state"] == b"waiting-for-paused", "it begins")
    (status,) = statuses(pair.target, "ID", name)
    assert (status[b"slots"], status[b"operation"], status[b"end_time"]) == (b"650-651 653", b"import", 0)
    ends = {pair.cluster.id_of(node).encode() for node in (pair.source, pair.target)}
    assert {status[b"source"], status[b"dest"]} == ends
    again = pair.target.run("CLUSTER", "MIGRATION", "IMPORT", 651, 651)
    assert isinstance(again, Error) and "in progress" in again.text
    assert pair.target.run("CLUSTER", "MIGRATION", "CANCEL", "ID", name) == 1
    assert pair.target.run("CLUSTER", "MIGRATION", "CANCEL", "ALL") == 0
    assert statuses(pair.target, "ID", name)[0][b"state"] == b"canceled"
    eventually(lambda: all(job[b"state"] in ENDED for job in jobs(pair.source)), "the source hears of it")
    eventually(lambda: pair.target.run("CLUSTER", "COUNTKEYSINSLOT", 650) == 0, "nothing is left of it")
    pair.hold("pause", False)
    name = pair.target.run("CLUSTER", "MIGRATION", "IMPORT", 650, 651)
    eventually(lambda: statuses(pair.target, "ID", name)[0][b"state"] == b"completed", "it moves")
    assert name in [status[b"id"] for status in statuses(pair.target, "ALL")]
    assert pair.target.run("GET", tagged(650, "k")) == b"v"
    eventually(lambda: jobs(pair.source)[0][b"state"] == b"success", "the source knows")
    if pair.source.kind != "valkey":
        status = statuses(pair.source, "ID", jobs(pair.source)[0][b"name"])[0]
        assert (status[b"operation"], status[b"state"]) == (b"migrate", b"completed")
        assert 0 <= status[b"write_pause_ms"] < 5000 <= status[b"end_time"]


def test_what_cannot_be_asked_for(pair: Pair) -> None:
    if not knows_migration(pair.target):
        return

    def refusal(*args: str | int) -> str:
        reply = pair.target.run("CLUSTER", "MIGRATION", *args)
        assert isinstance(reply, Error), reply
        return reply.text

    assert refusal("IMPORT", 16000, 16001) == "ERR this node is already the owner of the slot range"
    assert "wrong number of arguments" in refusal("IMPORT", 1)
    assert "wrong number of arguments" in refusal("STATUS", "ID")
    assert refusal("STATUS", "SOME") == refusal("DANCE", "ALL") == "ERR unknown argument"
    assert "Invalid or out of range slot" in refusal("IMPORT", 1, 16384)
    assert refusal("IMPORT", 1, "x") == "ERR Invalid or out of range slot"
    assert statuses(pair.target, "ID", "f" * 40) == []
    with pair.source.resp() as insider:
        assert insider.command("CONFIG", "SET", "requirepass", "secret") == OK
        name = pair.target.run("CLUSTER", "MIGRATION", "IMPORT", 660, 661)
        eventually(lambda: statuses(pair.target, "ID", name)[0][b"state"] == b"failed", "it may not ask")
        assert statuses(pair.target, "ID", name)[0][b"last_error"].startswith(b"NOAUTH")
        assert insider.command("CONFIG", "SET", "requirepass", "") == OK


def test_clients_notice_nothing(pair: Pair) -> None:
    """Slots move while they are read and written; every value that was acknowledged is there, the latest
    one."""
    span = range(700, 720)
    keys = [tagged(slot, str(i)) for slot in span for i in range(10)]
    written: dict[str, int] = {}
    problems: list[Exception] = []
    stop = threading.Event()

    def write() -> None:
        client = pair.cluster.client()
        try:
            for version in range(1, 1_000_000):
                for key in keys:
                    client.set(key, version)
                    written[key] = version
                    if stop.is_set():
                        return
        except redis.RedisError as error:
            problems.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    eventually(lambda: len(written) == len(keys), "all keys are there")
    pair.begin(span[0], span[-1])
    pair.await_success()
    reached = dict(written)
    eventually(lambda: problems or all(written[key] > reached[key] for key in keys), "writing goes on")
    stop.set()
    writer.join()
    assert not problems
    with pair.target.client() as client:
        assert {key: int(client.get(key) or 0) for key in keys} == written
