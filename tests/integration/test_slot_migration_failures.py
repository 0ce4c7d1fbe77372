"""Whole slots move, and something breaks: each has one owner afterwards, and no key is lost or left over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cluster.slot_tags import tag_of
from tests.harness.clusters import cluster_of
from tests.harness.resp import Error
from tests.harness.servers import Server, server
from tests.harness.shoal_command import shoal
from tests.harness.slot_moves import OK, Pair, jobs, moving_pair
from tests.harness.wait import eventually

SLOT = 100
KEYS = [f"{{{tag_of(SLOT).decode()}}}{i}" for i in range(200)]


@pytest.fixture(params=["valkey-shoal", "shoal-valkey"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    source, target = request.param.split("-")
    with moving_pair(source, target, appendonly="yes") as running:
        fill(running.source)
        yield running


def fill(node: Server) -> None:
    with node.client() as client:
        client.mset(dict.fromkeys(KEYS, "v"))


def count(node: Server) -> int:
    """Keys of the slot, those on their way included."""
    return int(node.run("CLUSTER", "COUNTKEYSINSLOT", SLOT))


def held_before_pause(pair: Pair) -> None:
    """A move that has brought everything and waits."""
    pair.hold("pause", True)
    pair.begin(SLOT, SLOT)
    pair.await_state(pair.source, b"waiting-to-pause")
    eventually(lambda: count(pair.target) == len(KEYS), "all keys have come")


def serves(node: Server) -> bool:
    return bool(node.run("GET", KEYS[0]) == b"v")


def join(pair: Pair, late: Server, primary: Server) -> None:
    """Make `late` a replica of one of the two."""
    assert late.run("CLUSTER", "MEET", primary.host, primary.port) == OK
    primary_id, late_id = pair.cluster.id_of(primary), pair.cluster.id_of(late)
    eventually(lambda: late.run("CLUSTER", "REPLICATE", primary_id) == OK, "it knows its primary")
    eventually(lambda: late.info("replication")["master_link_status"] == "up", "it follows")
    for node in (late, pair.source, pair.target):
        eventually(lambda node=node: late_id in pair.cluster.view(node), "all know it")
        eventually(
            lambda node=node: all(line.link == "connected" for line in pair.cluster.view(node).values()),
            "all links are there",
        )


def test_processes_that_are_killed(pair: Pair) -> None:
    """Two of ours are killed by tests/chaos/test_slot_moves.py."""
    source, target = pair.source, pair.target

    held_before_pause(pair)
    target.kill()
    pair.await_state(source, b"failed")
    assert pair.job(source)[b"message"].startswith(b"Connection lost to target")
    assert pair.owns(source, SLOT) and source.run("DEL", KEYS[-1]) == 1
    target.start()
    assert count(target) == 0, "what it had of it went with the process, or is not its own"
    pair.cluster.wait_settled()
    assert serves(source) and count(source) == len(KEYS) - 1
    fill(source)

    held_before_pause(pair)
    source.kill()
    pair.await_state(target, b"failed")
    assert pair.job(target)[b"message"].startswith(b"Connection lost to source")
    assert count(target) == 0
    source.start()
    pair.cluster.wait_settled()
    assert serves(source) and count(source) == len(KEYS)

    pair.hold("failover", True)
    pair.begin(SLOT, SLOT)
    pair.await_state(source, b"failover-granted")
    target.run("DEBUG", "SLOTMIGRATION", "PREVENT-FAILOVER", 0)
    eventually(lambda: pair.owns(target, SLOT), "the target takes it")
    target.kill()
    target.start()
    pair.cluster.wait_settled()
    eventually(lambda: pair.owns(target, SLOT) and not pair.owns(source, SLOT), "it is the target's")
    assert serves(target) and count(target) == len(KEYS)
    eventually(lambda: count(source) == 0, "the source has dropped it")


@pytest.fixture(scope="module")
def shared() -> Iterator[Pair]:
    """For tests after which both nodes are as they were."""
    with moving_pair("shoal", "shoal", cluster_databases=3) as running:
        yield running


@pytest.fixture
def calm(shared: Pair) -> Iterator[Pair]:
    fill(shared.source)
    yield shared
    for what in ("pause", "failover"):
        shared.hold(what, False)


@contextmanager
def setting(node: Server, name: str, value: object) -> Iterator[None]:
    before = node.run("CONFIG", "GET", name)[1]
    assert node.run("CONFIG", "SET", name, str(value)) == OK
    yield
    assert node.run("CONFIG", "SET", name, before) == OK


@pytest.mark.parametrize("silent", ["source", "target"])
def test_one_that_is_silent_is_given_up(calm: Pair, silent: str) -> None:
    silent_node, other = (calm.source, calm.target) if silent == "source" else (calm.target, calm.source)
    held_before_pause(calm)
    with setting(other, "repl-timeout", 1):
        silent_node.pause()
        calm.await_state(other, b"failed")
        silent_node.resume()
    assert calm.job(other)[b"message"] == b"Timed out after too long with no interaction"
    calm.await_state(silent_node, b"failed")
    eventually(lambda: count(calm.target) == 0, "nothing is left of it")
    calm.cluster.wait_settled()
    assert serves(calm.source) and count(calm.source) == len(KEYS)


def test_a_target_that_never_takes_the_slots(calm: Pair) -> None:
    calm.hold("failover", True)
    with setting(calm.source, "cluster-manual-failover-timeout", 100):
        calm.begin(SLOT, SLOT)
        calm.await_state(calm.source, b"failover-granted")
        calm.await_state(calm.source, b"failed")
    assert calm.job(calm.source)[b"message"].startswith(b"Unpaused before migration completed")
    calm.await_state(calm.target, b"failed")
    assert calm.source.run("SET", KEYS[0], "v") == OK, "writes go on"
    assert count(calm.target) == 0


def test_a_target_that_asks_for_a_password(calm: Pair) -> None:
    with calm.target.resp() as insider, setting(calm.source, "masterauth", "wrong"):
        assert insider.command("CONFIG", "SET", "requirepass", "secret") == OK
        calm.begin(SLOT, SLOT)
        calm.await_state(calm.source, b"failed")
        assert calm.job(calm.source)[b"message"].startswith(b"Failed to AUTH to target node: -WRONGPASS")
        assert calm.source.run("CONFIG", "SET", "masterauth", "secret") == OK
        calm.source.run("DEBUG", "SLOTMIGRATION", "PREVENT-PAUSE", 1)
        calm.begin(SLOT, SLOT)
        calm.await_state(calm.source, b"waiting-to-pause")
        assert calm.source.run("CLUSTER", "CANCELSLOTMIGRATIONS") == OK
        assert insider.command("CONFIG", "SET", "requirepass", "") == OK


def test_a_target_without_memory(calm: Pair) -> None:
    held_before_pause(calm)
    with setting(calm.target, "maxmemory", 1):
        fill(calm.source)
        calm.await_state(calm.target, b"failed")
    assert calm.job(calm.target)[b"message"] == b"Ran out of memory (OOM) during slot import"
    calm.await_state(calm.source, b"failed")
    assert count(calm.target) == 0 and count(calm.source) == len(KEYS)


def test_a_target_that_may_keep_little_apart(calm: Pair) -> None:
    held_before_pause(calm)
    with setting(calm.target, "slot-migration-max-staging-bytes", 1000):
        fill(calm.source)
        calm.await_state(calm.target, b"failed")
    assert b"exceeds slot-migration-max-staging-bytes" in calm.job(calm.target)[b"message"]
    calm.await_state(calm.source, b"failed")
    assert count(calm.target) == 0 and count(calm.source) == len(KEYS)
    calm.hold("pause", False)
    target, source = calm.target, calm.source
    with setting(target, "slot-migration-max-staging-bytes", 1000):
        ends = ("--from", source.port, "--to", target.port)
        told = shoal("reshard", source.address, *ends, "-n", 101, "--yes", "--json", code=1)
    assert "raise slot-migration-max-staging-bytes of the target" in told.error_line


def test_more_is_written_than_may_wait_for_the_target(calm: Pair) -> None:
    with (
        setting(calm.source, "slot-migration-max-bandwidth", 1000),
        setting(calm.source, "client-output-buffer-limit", "replica 100000 0 0"),
    ):
        calm.begin(SLOT, SLOT)
        calm.await_state(calm.source, b"snapshotting")
        assert calm.source.run("SET", KEYS[0], "x" * 200_000) == OK
        calm.await_state(calm.source, b"failed")
    assert b"client-output-buffer-limit" in calm.job(calm.source)[b"message"]
    calm.await_state(calm.target, b"failed")
    assert calm.source.run("SET", KEYS[0], "v") == OK
    eventually(lambda: count(calm.target) == 0, "nothing is left of it")


def test_numbered_databases_and_clients_that_are_servers(calm: Pair) -> None:
    elsewhere = KEYS[0]
    with calm.source.resp() as client:
        for command in (("SELECT", 2), ("SET", elsewhere, "in 2"), ("SELECT", 0)):
            assert client.command(*command) == OK
        held_before_pause(calm)
        listed = calm.target.run("CLIENT", "LIST").decode().splitlines()
        assert ["flags=i" in line for line in listed if "cmd=cluster|syncslots" in line] == [True]
        assert calm.target.info("clients")["blocked_clients"] == 0
        assert client.command("COPY", KEYS[1], elsewhere, "DB", 1) == 1
        assert client.command("MOVE", KEYS[2], 2) == 1
        for node in (calm.source, calm.target):
            assert node.run("CONFIG", "SET", "cluster-slot-migration-log-max-len", 0) == OK
        calm.hold("pause", False)
        eventually(lambda: calm.owns(calm.target, SLOT) and not calm.owns(calm.source, SLOT), "it moves")
    with calm.target.resp() as client:
        for number, expected in enumerate(
            ({KEYS[0]: b"v"}, {elsewhere: b"v"}, {elsewhere: b"in 2", KEYS[2]: b"v"})
        ):
            assert client.command("SELECT", number) == OK
            assert {key: client.command("GET", key) for key in expected} == expected
        assert client.command("CLUSTER", "COUNTKEYSINSLOT", SLOT) == 2
    for node in (calm.source, calm.target):
        eventually(lambda node=node: jobs(node) == [], "no record is kept")
        assert node.run("CONFIG", "SET", "cluster-slot-migration-log-max-len", 1000) == OK
    source_id = calm.cluster.id_of(calm.source)
    assert calm.target.run("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", SLOT, SLOT, "NODE", source_id) == OK
    eventually(lambda: calm.owns(calm.source, SLOT) and not calm.owns(calm.target, SLOT), "it moves back")


@pytest.mark.parametrize("kind", ["shoal", "valkey"])
def test_a_replica_that_comes_in_the_middle(kind: str) -> None:
    """It gets what is on its way with the snapshot, hides it, and follows to the end."""
    with moving_pair("shoal", "shoal") as pair, server(kind, cluster_enabled="yes") as late:
        fill(pair.source)
        held_before_pause(pair)
        join(pair, late, pair.target)
        assert (late.run("DBSIZE"), count(late)) == (0, len(KEYS))
        assert pair.state(late) == b"occurring-on-primary"
        fill(pair.source)
        pair.hold("pause", False)
        pair.await_success()
        pair.await_state(late, b"success")
        assert late.run("DBSIZE") == len(KEYS)


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_a_replica_that_restarts_in_the_middle(preamble: str) -> None:
    """Its append-only file, rewritten at that, tells of the move; a full synchronization does so again."""
    with moving_pair("shoal", "shoal", "shoal", appendonly="yes", aof_use_rdb_preamble=preamble) as pair:
        replica = pair.replica
        assert replica is not None
        fill(pair.source)
        held_before_pause(pair)
        eventually(lambda: count(replica) == len(KEYS), "it has them")
        for node in (pair.target, replica):
            node.run("BGREWRITEAOF")
            eventually(lambda node=node: not node.info("persistence")["aof_rewrite_in_progress"], "rewritten")
        fill(pair.source)
        replica.kill()
        replica.start()
        eventually(lambda: replica.info("replication")["master_link_status"] == "up", "it follows")
        assert (replica.run("DBSIZE"), count(replica)) == (0, len(KEYS))
        assert pair.state(replica) == b"occurring-on-primary"
        pair.hold("pause", False)
        pair.await_success()
        pair.await_state(replica, b"success")
        assert replica.run("DBSIZE") == len(KEYS)
        pair.target.kill()
        pair.target.start()
        pair.cluster.wait_settled()
        assert serves(pair.target) and count(pair.target) == len(KEYS)


def test_a_target_that_loads_its_data_anew(calm: Pair) -> None:
    held_before_pause(calm)
    assert calm.target.run("DEBUG", "RELOAD") == OK
    calm.await_state(calm.target, b"failed")
    assert calm.job(calm.target)[b"message"] == b"A new RDB is being loaded"
    calm.await_state(calm.source, b"failed")
    eventually(lambda: count(calm.target) == 0, "nothing is left of it")


def test_a_target_that_took_the_slots_in_secret_and_died() -> None:
    """Nobody heard of it: the source goes on, and what it accepts is there when the target comes back."""
    with cluster_of(3, node_timeout=1000, cluster_manual_failover_timeout=500) as cluster:
        pair = Pair(cluster)
        fill(pair.source)
        pair.hold("failover", True)
        pair.begin(SLOT, SLOT)
        pair.await_state(pair.source, b"failover-granted")
        target, source = cluster.line_of(pair.target), cluster.line_of(pair.source)
        epoch = max(line.epoch for line in cluster.view(pair.source).values()) + 1
        pair.target.kill()
        claim(pair.target, source.id, target.id, epoch)
        pair.await_state(pair.source, b"failed")
        assert pair.job(pair.source)[b"message"].startswith(b"Unpaused before migration completed")
        eventually(lambda: cluster.line_of(pair.source).epoch > epoch, "it outbids the dead target")
        assert pair.source.run("CONFIG", "SET", "cluster-require-full-coverage", "no") == OK
        eventually(lambda: pair.source.run("SET", KEYS[0], "accepted since") == OK, "writes go on")
        pair.target.start()
        cluster.wait_settled()
        assert pair.owns(pair.source, SLOT) and not pair.owns(pair.target, SLOT)
        assert pair.source.run("GET", KEYS[0]) == b"accepted since"


def claim(node: Server, owner: str, claimer: str, epoch: int) -> None:
    """Let nodes.conf of a node that is down say that it has taken SLOT under that epoch."""
    path = node.directory / "nodes.conf"
    lines = []
    for line in path.read_text().splitlines():
        if line.startswith(owner):
            line = line.replace(" 0-", f" 0-{SLOT - 1} {SLOT + 1}-")
        elif line.startswith(claimer):
            words = line.split()
            line = " ".join([*words[:6], str(epoch), *words[7:], str(SLOT)])
        elif line.startswith("vars"):
            line = f"vars currentEpoch {epoch} lastVoteEpoch 0"
        lines.append(line)
    path.write_text("\n".join(lines) + "\n")


def test_a_failover_of_the_target() -> None:
    with moving_pair("shoal", "shoal", "shoal") as pair:
        fill(pair.source)
        held_before_pause(pair)
        assert pair.replica is not None
        eventually(lambda: pair.replica and count(pair.replica) == len(KEYS), "the replica has them")
        assert pair.replica.run("CLUSTER", "FAILOVER") == OK
        for node in (pair.source, pair.target, pair.replica):
            pair.await_state(node, b"failed")
        assert pair.job(pair.replica)[b"message"] == b"A failover occurred during slot import"
        for node in (pair.target, pair.replica):
            eventually(lambda node=node: count(node) == 0, "nothing is left of it")
        assert serves(pair.source)


def test_a_failover_of_the_source() -> None:
    with moving_pair("shoal", "shoal") as pair, server("shoal", cluster_enabled="yes") as heir:
        fill(pair.source)
        join(pair, heir, pair.source)
        held_before_pause(pair)
        assert heir.run("CLUSTER", "FAILOVER") == OK
        pair.await_state(pair.source, b"failed")
        pair.await_state(pair.target, b"failed")
        eventually(lambda: serves(heir), "the heir serves the slot")
        assert count(pair.target) == 0
        refused = pair.source.run("GET", KEYS[0])
        assert isinstance(refused, Error) and refused.prefix == "MOVED"
