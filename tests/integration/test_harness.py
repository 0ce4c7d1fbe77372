"""The harness itself: what all other tests rely on."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from pathlib import Path

import pytest

from tests.harness.clusters import cluster_of, view_of
from tests.harness.ports import BUS_OFFSET, lease_consecutive, lease_port, release_port
from tests.harness.resp import NULL, NULL_ARRAY, NULL_BULK, Error, Map, Simple
from tests.harness.servers import NotStarted, Oracle, ShoalNode
from tests.harness.turns import Turns, one_first, turn
from tests.harness.wait import StillFalse, eventually


@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_an_oracle_starts_crashes_and_restarts(kind: str) -> None:
    with Oracle(kind, maxmemory="20mb") as oracle:
        assert oracle.run("CONFIG", "GET", "maxmemory") == [b"maxmemory", b"20971520"]
        oracle.kill()
        assert not oracle.running
        oracle.start()
        assert oracle.run("PING") == Simple("PONG")
        assert oracle.stop() == 0
    assert not oracle.directory.exists()


def test_replies_keep_their_types_apart(redis_oracle: Oracle) -> None:
    with redis_oracle.resp() as two, redis_oracle.resp(protocol=3) as three:
        assert two.command("GET", "nothing") == NULL_BULK
        assert three.command("GET", "nothing") == NULL
        assert two.command("BLPOP", "nothing", "0.01") == NULL_ARRAY
        assert two.command_raw("SET", "a", "1") == b"+OK\r\n"
        assert two.pipeline(("INCR", "a"), ("GET", "a")) == [2, b"2"]
        assert three.command("CONFIG", "GET", "save") == Map([(b"save", b"")])
        assert isinstance(two.command("HGET", "a", "b"), Error)
        assert two.inline("PING hello") == b"hello"
        assert two.silent()


def test_a_server_that_cannot_start_says_why() -> None:
    with pytest.raises(NotStarted, match="FATAL CONFIG FILE ERROR"), Oracle("redis", maxmemory="lots"):
        pass


def test_a_port_is_leased_once() -> None:
    port = lease_port()
    others = {lease_port() for _ in range(50)}
    assert port not in others
    first = lease_consecutive(3)
    assert first + BUS_OFFSET < 32768
    for leased in (port, *others, first, first + 1, first + 2):
        release_port(leased)


def test_eventually_reports_what_it_waited_for() -> None:
    with pytest.raises(StillFalse, match="the sky to fall"):
        eventually(lambda: False, "the sky to fall", timeout=0.02)


def test_neighbours_that_are_alone_share_a_turn(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.touch()

    def is_taken() -> bool:
        with room.open() as other:
            try:
                fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    turns = Turns(room)
    for next_alone in (True, False):
        assert is_taken() is not next_alone  # between the two it stays so
        with turns.take(alone=True, next_alone=next_alone):
            assert is_taken()
    assert not is_taken()
    with turns.take(alone=False, next_alone=True):
        assert not is_taken()
    assert not is_taken()


def test_who_is_alone_waits_for_others_and_later_ones_for_it(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.touch()
    came: list[bool] = []

    def come(alone: bool) -> None:
        with turn(alone, room):
            came.append(alone)

    def gate_is_shut() -> bool:
        gate = os.open(tmp_path, os.O_RDONLY)
        try:
            fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(gate)
        return False

    alone, another = (threading.Thread(target=come, args=(kind,)) for kind in (True, False))
    with turn(False, room), turn(False, room):
        alone.start()
        eventually(gate_is_shut, "it waits for the two to leave")
        another.start()
        assert came == []
    alone.join()
    another.join()
    assert came == [True, False]


def test_one_goes_ahead_and_the_others_follow_together(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.touch()
    came: list[str] = []

    def follow() -> None:
        with one_first(room):
            came.append("follower")

    follower = threading.Thread(target=follow)
    with one_first(room):
        follower.start()
        came.append("first")
        assert came == ["first"]
    follower.join()
    assert came == ["first", "follower"]
    with room.open() as opened:
        fcntl.flock(opened, fcntl.LOCK_SH)
        with one_first(room), one_first(room):
            pass  # beside one who is inside already


def test_a_forked_worker_ends_as_any_process() -> None:
    node = ShoalNode()
    node.forked = True
    with node:
        assert node.process is not None and node.process.poll() is None
        node.kill()
        assert node.process.returncode == -signal.SIGKILL
        node.start()
        assert node.stop() == 0
        assert node.log.count("Ready to accept connections") == 2
    with pytest.raises(NotStarted, match="ended with code 1"), ShoalNode(maxmemory="none"):
        pass


def test_secrets_that_valkey_takes_for_hosts_hide_no_member() -> None:
    """Whatever they are, and if they look like a line (README tells of it)."""
    one, two, three = ("a" * 40, "b" * 40, "c" * 40)
    secret = "\xff 127.0.0.1:9@19 master - 0 0 3 connected 10923-16383"
    printed = (
        f"{one} 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-5 [8->-{two}]\n"
        f"{two} {secret}:3@4 master - 0 0 2 connected 6-9 11\n"
        f"{three} 127.0.0.1:5@6,host slave {one} 0 0 1 connected\n"
    )
    found = view_of(printed.encode("latin-1"))
    assert [found[each].address for each in (one, two, three)] == [
        "127.0.0.1:1@2",
        "?:3@4",
        "127.0.0.1:5@6,host",
    ]
    assert [found[each].slots for each in (one, two, three)] == [[(0, 5)], [(6, 9), (11, 11)], []]


def test_a_mixed_cluster_forms() -> None:
    with cluster_of(3, kind=("redis", "valkey")) as cluster:
        assert len(cluster.primaries) == 3
        owner = cluster.owner_of("a")
        assert owner.run("SET", "a", "b") == Simple("OK")
        others = [node for node in cluster.nodes if node is not owner]
        assert all(node.run("GET", "a").prefix == "MOVED" for node in others)
