"""What a member does with effects: on a worker that is made, but not started, in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

import cluster.commands  # noqa: F401
from cluster.coordinator import effects as fx
from cluster.coordinator.coordinator import Coordinator
from cluster.member import Member, SaveFailed
from cluster.nodes_file import NodesFileError
from cluster.slots import ALL_SLOTS, from_iterable, from_range
from node.cluster_port import SLOT_ASK, SLOT_SERVED
from node.commands import TABLE
from node.config import Config
from node.core.key_slot import key_slot
from node.errors import ReplyError
from node.listeners import ListenError
from node.log import Log
from node.worker import Worker
from tests.harness.ports import lease_port, release_port


class Workbench:
    """A worker with its member, in a directory of its own."""

    def __init__(self, directory: Path, *flags: str) -> None:
        arguments = ["--dir", str(directory), "--save", "", "--cluster-enabled", "yes", *flags]
        config = Config.from_args(arguments)
        self.worker = Worker(config, Log("nothing"), Member)
        self.member: Any = self.worker.cluster
        self.db = self.worker.databases[0]

    def perform(self, *effects: fx.Effect) -> None:
        self.member.turn(lambda coordinator, now: list(effects))

    def states(self) -> bytes:
        return bytes(self.worker.engine.slot_states)


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


def in_loop(scenario: Callable[[Workbench], Coroutine[Any, Any, None]]) -> Callable[[Workbench], None]:
    def test(bench: Workbench) -> None:
        uvloop.run(scenario(bench))

    return test


def test_no_slot_is_served_before_the_cluster_is_up(bench: Workbench) -> None:
    assert set(bench.states()) == {SLOT_ASK}
    bench.member.turn(lambda coordinator, now: coordinator.add_slots(range(16384), now))
    assert set(bench.states()) == {SLOT_ASK}


def up(bench: Workbench) -> None:
    """Own all slots, with the cluster judged ok."""
    bench.member.turn(lambda coordinator, now: coordinator.add_slots(range(16384), now))
    coordinator: Coordinator = bench.member.coordinator
    later = bench.worker.engine.tick() + 10_000
    for effect in coordinator.tick(later):
        bench.perform(effect)
    assert coordinator.ok


def test_the_cores_table_follows_the_cluster(bench: Workbench) -> None:
    up(bench)
    assert set(bench.states()) == {SLOT_SERVED}
    topology = bench.member.coordinator.topology
    topology.migrating[7] = topology.myself
    bench.perform(fx.SlotsChanged(1 << 7))
    assert [slot for slot, state in enumerate(bench.states()) if state == SLOT_ASK] == [7]
    topology.release_slots(from_range(100, 199))
    bench.perform(fx.SlotsChanged(from_range(100, 149)))
    asked = [slot for slot, state in enumerate(bench.states()) if state == SLOT_ASK]
    assert asked == [7, *range(100, 150)], "only the slots that were named are looked at"
    bench.perform(fx.SlotsChanged(ALL_SLOTS))
    assert bench.states().count(SLOT_ASK) == 101


def test_keys_of_lost_slots_are_deleted_watched_and_passed_on(bench: Workbench) -> None:
    stream: list[bytes] = []
    bench.worker.trail.attach(stream.append)
    kept, lost = b"kept", [b"lost:%d" % number for number in range(50)]
    for key in (kept, *lost):
        bench.db.set(key, b"v")
    watcher = bench.worker.internal_session()
    bench.worker.watches.add(watcher, lost[0])
    assert key_slot(kept) not in map(key_slot, lost)
    bench.perform(fx.DeleteKeys(from_iterable(map(key_slot, lost))))
    bench.worker.trail.flush()
    assert list(bench.db.keys()) == [kept]
    assert watcher.watch_broken
    deleted = [part for part in b"".join(stream).split(b"\r\n") if part.startswith(b"lost:")]
    assert sorted(deleted) == sorted(lost)


def lose_many_keys(bench: Workbench) -> Path:
    """So many that they are deleted in pieces; returns where nodes.conf is, which is empty."""
    for number in range(20_000):
        bench.db.set(b"{lost}%d" % number, b"v")
    path = Path(bench.worker.config.path(bench.worker.config.cluster_config_file))
    path.write_text("")
    bench.perform(fx.DeleteKeys(1 << key_slot(b"lost")))
    assert bench.worker.departures.pending
    return path


@in_loop
async def test_losses_are_saved_when_the_keys_are_gone(bench: Workbench) -> None:
    """Whoever dies in between finds keys and nodes.conf as they were."""
    path = lose_many_keys(bench)
    bench.perform(fx.SaveConfig("hearsay\n", sync=False))
    await asyncio.sleep(0)
    assert bench.worker.departures.pending and "hearsay" not in path.read_text()
    while bench.member.node_id not in path.read_text():
        await asyncio.sleep(0)
    assert not bench.worker.departures.pending


@in_loop
async def test_what_others_wait_for_is_saved_at_once_and_the_keys_go_before(bench: Workbench) -> None:
    path = lose_many_keys(bench)
    bench.perform(fx.SaveConfig("a vote\n", sync=True))
    assert not bench.worker.departures.pending
    assert path.read_text() == "a vote\n"


def test_an_emptied_database_breaks_transactions(bench: Workbench) -> None:
    bench.db.set(b"k", b"v")
    watcher = bench.worker.internal_session()
    bench.worker.watches.add(watcher, b"k")
    bench.perform(fx.EmptyDatabase())
    assert (len(bench.db), watcher.watch_broken) == (0, True)


@in_loop
async def test_writes_pause_and_resume(bench: Workbench) -> None:
    bench.perform(fx.PauseWrites(bench.worker.engine.now + 60_000))
    assert bench.worker.pause.active
    bench.perform(fx.ResumeWrites())
    assert not bench.worker.pause.active


@in_loop
async def test_what_stands_behind_a_failed_save_is_not_done(bench: Workbench) -> None:
    bench.worker.stopping = asyncio.get_running_loop().create_future()
    bench.db.set(b"k", b"v")
    bench.member._file.path += "/impossible"
    with pytest.raises(SaveFailed):
        bench.perform(fx.SaveConfig("vars\n", sync=True), fx.EmptyDatabase())
    assert bench.db.exists(b"k")
    assert bench.worker.stopping.result() == 1


def test_nodes_conf_is_read_again(tmp_path: Path) -> None:
    bench = Workbench(tmp_path)
    up(bench)
    bench.member.save()
    node_id = bench.member.coordinator.myself.id
    bench.member._file.close()
    again = Workbench(tmp_path)
    assert again.member.coordinator.myself.id == node_id
    assert again.member.coordinator.topology.myself.slots == ALL_SLOTS


def test_damage_and_impossible_ports_have_their_words(tmp_path: Path) -> None:
    (tmp_path / "nodes.conf").write_text("what is this\n")
    with pytest.raises(NodesFileError, match="Unrecoverable error: corrupted cluster config file"):
        Workbench(tmp_path)
    with pytest.raises(ListenError, match="port number too high"):
        Workbench(tmp_path, "--port", "60000")


def test_settings_reach_the_coordinator(bench: Workbench) -> None:
    bench.worker.config.set({"cluster-announce-hostname": "here.example", "cluster-node-timeout": "1234"})
    assert bench.member.coordinator.myself.hostname == "here.example"
    assert bench.member.coordinator._state.settings.node_timeout == 1234
    bench.worker.config.set({"cluster-link-sendbuf-limit": "1mb"})
    assert bench.member.links.send_limit == 1 << 20
    bench.worker.config.set({"cluster-link-sendbuf-limit": "0"})
    assert bench.member.links.send_limit > 1 << 20


def test_a_worker_with_a_member_starts_and_stops(tmp_path: Path) -> None:
    port = lease_port()

    async def life() -> None:
        bench = Workbench(tmp_path, "--port", str(port), "--bind", "127.0.0.1")
        await bench.worker.start()
        _reader, writer = await asyncio.open_connection("127.0.0.1", port + 10000)
        writer.close()
        await bench.worker.stop()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port + 10000)

    uvloop.run(life())
    assert "myself,master" in (tmp_path / "nodes.conf").read_text()
    release_port(port)


@in_loop
async def test_in_the_middle_of_a_command_messages_count_and_nothing_changes(bench: Workbench) -> None:
    up(bench)
    member, slot = bench.member, key_slot(b"k")

    def lose_the_slot(coordinator: Coordinator, now: int) -> list[fx.Effect]:
        coordinator.topology.release_slots(1 << slot)
        return [*coordinator.save_config(now), fx.DeleteKeys(1 << slot)]

    bench.db.set(b"k", b"v")
    member.links.read_now = lambda: member.react(lose_the_slot)
    member.serve_meanwhile()
    assert member.coordinator.topology.slots[slot] is None
    assert bench.states()[slot] == SLOT_SERVED
    session, row = bench.worker.internal_session(), TABLE["get"]
    member.redirect(session, row, [b"GET", b"k"], [b"k"])
    assert bench.db.exists(b"k")
    assert member.coordinator.is_interrupted, "it does not become primary now"
    while bench.states()[slot] == SLOT_SERVED or bench.db.exists(b"k"):
        await asyncio.sleep(0)
    assert not member.coordinator.is_interrupted
    with pytest.raises(ReplyError, match="CLUSTERDOWN"):
        member.redirect(session, row, [b"GET", b"k"], [b"k"])


@in_loop
async def test_whoever_was_busy_hears_the_others_before_it_judges_them(bench: Workbench) -> None:
    order: list[str] = []
    bench.member.links.read_now = lambda: order.append("heard")
    bench.member._tick()
    await asyncio.sleep(0.15)
    assert order == [], "a tick in time does not"
    time.sleep(0.3)
    await asyncio.sleep(0.05)
    assert order == ["heard"]
    bench.member._cancel_timer()
