"""Taking a backup while the cluster changes, with snapshots and layouts that are made up."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from cluster.backup import taking
from cluster.backup.layout import Access
from cluster.backup.manifest import MANIFEST, load
from cluster.backup.snapshot import BrokenOff
from cluster.backup.taking import ROUNDS, Progress, Taker
from cluster.operations.link import ANONYMOUS, OperationError, Refused
from cluster.plans.backup import Holder, Layout
from cluster.slots import from_range
from node.persistence.rdb.writer import encoded


def holder(name: str, first: int, last: int, epoch: int) -> Holder:
    return Holder(name, "127.0.0.1", 7000 + epoch, from_range(first, last), epoch)


HALVES = Layout(True, (holder("a", 0, 8191, 1), holder("b", 8192, 16383, 2)))
AFTER_A_FAILOVER = Layout(True, (holder("c", 0, 8191, 3), holder("b", 8192, 16383, 2)))
AFTER_A_RESHARD = Layout(True, (holder("a", 0, 9000, 3), holder("b", 9001, 16383, 2)))


def rdb(key: bytes) -> bytes:
    def put(out: Any) -> None:
        out.raw(b"REDIS0011\x00")
        out.string(key)
        out.string(b"value")
        out.raw(b"\xff" + bytes(8))

    return encoded(put)


class World:
    """`layouts` are found in turn after the first, the last one for ever. `troubles`: what befalls snapshots
    of a node, in turn, before they succeed."""

    def __init__(self) -> None:
        self.layouts = [HALVES]
        self.troubles: dict[str, list[Exception | bytes]] = {}
        self.taken: list[str] = []

    def read_layout(self, *_: Any) -> Layout:
        return self.layouts.pop(0) if len(self.layouts) > 1 else self.layouts[0]

    def stream(self, holder: Holder, _: Any) -> FakeStream:
        self.taken.append(holder.id)
        troubles = self.troubles.get(holder.id)
        return FakeStream(troubles.pop(0) if troubles else rdb(holder.id.encode()))


class FakeStream:
    def __init__(self, content: Exception | bytes) -> None:
        self.content = content

    def read(self, _: int) -> bytes:
        if isinstance(self.content, Exception):
            raise self.content
        piece, self.content = self.content[:7], self.content[7:]
        return piece

    def close(self) -> None: ...


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(taking, "await_layout", made.read_layout)
    monkeypatch.setattr(taking, "SnapshotStream", made.stream)
    monkeypatch.setattr(taking, "read_info", lambda link: {"redis_version": "7.2.0"})
    monkeypatch.setattr(taking, "keys_per_database", lambda link: {0: 1})
    return made


def taker(directory: Path, on_progress: Progress = lambda keys, expected, size: None) -> Taker:
    access = Access((("127.0.0.1", 7001),), ANONYMOUS, 1.0)
    return Taker(directory, access, HALVES, 2, on_progress)


def test_a_cluster_at_rest(world: World, tmp_path: Path) -> None:
    manifest = taker(tmp_path / "new").take()
    assert load(tmp_path / "new") == manifest
    assert [(file.name, file.slots, file.keys) for file in manifest.files] == [
        ("a.rdb", "0-8191", {0: 1}),
        ("b.rdb", "8192-16383", {0: 1}),
    ]
    content = (tmp_path / "new" / "a.rdb").read_bytes()
    assert content == rdb(b"a")
    assert manifest.files[0].sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("change", "again"),
    [(AFTER_A_FAILOVER, ["c"]), (AFTER_A_RESHARD, ["a", "b"])],
    ids=["failover", "reshard"],
)
def test_what_a_change_touched_is_taken_anew(
    world: World, tmp_path: Path, change: Layout, again: list[str]
) -> None:
    world.layouts = [change]
    manifest = taker(tmp_path).take()
    assert sorted(world.taken[:2]) == ["a", "b"]
    assert sorted(world.taken[2:]) == again
    names = [f"{each.id}.rdb" for each in change.holders]
    assert [file.name for file in manifest.files] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, MANIFEST])


def test_what_a_server_sent_before_it_died_is_dropped(world: World, tmp_path: Path) -> None:
    world.layouts = [AFTER_A_FAILOVER]
    world.troubles = {"a": [BrokenOff("a broke off")]}
    manifest = taker(tmp_path).take()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.rdb", "c.rdb", MANIFEST]
    assert load(tmp_path) == manifest


def test_a_snapshot_that_breaks_off_is_taken_again(world: World, tmp_path: Path) -> None:
    world.troubles = {"b": [BrokenOff("b broke off")]}
    assert taker(tmp_path).take().keys == 2
    assert sorted(world.taken) == ["a", "b", "b"]


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (Refused("b", "a snapshot", "NOPERM"), "b refused a snapshot: NOPERM"),
        (rdb(b"b")[:-9] + bytes(20), "offset"),
        (OSError(28, "No space left on device"), "cannot be written to: No space left on device"),
    ],
    ids=["refused", "damaged", "disk full"],
)
def test_trouble_that_stays_leaves_nothing(
    world: World, tmp_path: Path, trouble: Exception | bytes, words: str
) -> None:
    world.troubles = {"b": [trouble]}
    with pytest.raises(OperationError, match=words):
        taker(tmp_path / "new").take()
    assert not (tmp_path / "new").exists()


def test_an_interruption_leaves_nothing(world: World, tmp_path: Path) -> None:
    def interrupt(keys: int, expected: int, size: int) -> None:
        assert list((tmp_path / "new").iterdir())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        taker(tmp_path / "new", interrupt).take()
    assert not (tmp_path / "new").exists()


def test_a_cluster_that_never_rests_is_given_up(world: World, tmp_path: Path) -> None:
    world.layouts = [AFTER_A_RESHARD, HALVES] * ROUNDS
    with pytest.raises(OperationError, match="slots went on changing their owners"):
        taker(tmp_path).take()
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(world: World, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    with pytest.raises(OperationError, match="is not empty"):
        taker(tmp_path).take()
    taker(tmp_path / "new").take()
    before = (tmp_path / "new" / MANIFEST).read_bytes()
    with pytest.raises(OperationError, match="holds a backup already"):
        taker(tmp_path / "new").take()
    assert (tmp_path / "new" / MANIFEST).read_bytes() == before
    assert (tmp_path / "mine").exists()
