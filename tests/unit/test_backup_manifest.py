"""The manifest of a backup: what is written is read, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.backup.manifest import MANIFEST, Manifest, NoBackup, SnapshotFile, load, save, verify_files


def snapshot_file(name: str, slots: str, content: bytes, keys: int, digest: int) -> SnapshotFile:
    return SnapshotFile(
        name=f"{name}.rdb",
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        node=name,
        address="127.0.0.1:7001",
        server="shoal 1",
        rdb_version=11,
        slots=slots,
        epoch=1,
        keys={0: keys, 3: 1},
        expiring=0,
        functions=0,
        digest=f"{digest:032x}",
    )


@pytest.fixture
def backup(tmp_path: Path) -> tuple[Path, Manifest]:
    for name in ("a", "b"):
        (tmp_path / f"{name}.rdb").write_bytes(name.encode() * 10)
    files = (
        snapshot_file("a", "0-100 16383", b"a" * 10, keys=2, digest=0b0110),
        snapshot_file("b", "101-16382", b"b" * 10, keys=5, digest=0b0011),
    )
    manifest = Manifest(True, "then", "later", files)
    save(manifest, tmp_path)
    return tmp_path, manifest


def test_what_is_written_is_read(backup: tuple[Path, Manifest]) -> None:
    directory, manifest = backup
    assert load(directory) == manifest
    assert (manifest.keys, manifest.databases) == (9, [0, 3])
    assert int(manifest.digest, 16) == 0b0101
    assert sorted(path.name for path in directory.iterdir()) == ["a.rdb", "b.rdb", MANIFEST]


def test_whole_files_are_read_to_the_last_byte(backup: tuple[Path, Manifest]) -> None:
    directory, manifest = backup
    read: list[int] = []
    verify_files(manifest, directory, read.append)
    assert sum(read) == 20


def change(name: str, value: Any) -> Callable[[dict], None]:
    return lambda told: told.__setitem__(name, value)


def change_file(name: str, value: Any) -> Callable[[dict], None]:
    return lambda told: told["files"][1].__setitem__(name, value)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (change("format", 2), "format 2 is not 1"),
        (change("keys", 8), "'keys' is not what those of its files add up to"),
        (change("digest", "0"), "'digest' is not what those of its files add up to"),
        (change("files", []), "its files are not of all slots"),
        (change("files", None), "damaged"),
        (lambda told: told.pop("format"), "'format' is missing"),
        (lambda told: told["files"][1].pop("sha256"), "sha256"),
        (change_file("slots", "100-16382"), "slots of b.rdb are those of another file, too"),
        (change_file("slots", "102-16382"), "its files are not of all slots"),
        (change_file("slots", "0-99999"), "not a slot number"),
        (change_file("name", "../a.rdb"), "'../a.rdb' is no name of a file of a backup"),
        (change_file("digest", "xyz"), "no hexadecimal numbers"),
        (change_file("keys", {"0": -5}), "cannot be negative"),
        (change_file("surprise", 1), "surprise"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(
    backup: tuple[Path, Manifest], damage: Callable[[dict], None], words: str
) -> None:
    directory, _ = backup
    told = json.loads((directory / MANIFEST).read_text())
    damage(told)
    (directory / MANIFEST).write_text(json.dumps(told))
    with pytest.raises(NoBackup, match="is damaged") as refusal:
        load(directory)
    assert words in str(refusal.value)


def test_no_manifest_is_no_backup(backup: tuple[Path, Manifest]) -> None:
    directory, _ = backup
    (directory / MANIFEST).write_text("{")
    with pytest.raises(NoBackup, match="is damaged"):
        load(directory)
    (directory / MANIFEST).unlink()
    with pytest.raises(NoBackup, match="no backup, or one that was not finished"):
        load(directory)


def test_files_that_are_not_as_written_are_refused(backup: tuple[Path, Manifest]) -> None:
    directory, manifest = backup
    (directory / "b.rdb").write_bytes(b"b" * 9 + b"c")
    with pytest.raises(NoBackup, match=r"b\.rdb is damaged: its SHA-256"):
        verify_files(manifest, directory, lambda size: None)
    (directory / "b.rdb").write_bytes(b"b" * 9)
    with pytest.raises(NoBackup, match="it has 9 bytes instead of 10"):
        verify_files(manifest, directory, lambda size: None)
    (directory / "b.rdb").unlink()
    with pytest.raises(NoBackup, match=r"b\.rdb is missing"):
        verify_files(manifest, directory, lambda size: None)


def test_the_same_data_has_the_same_digest_in_other_files(backup: tuple[Path, Manifest]) -> None:
    _, manifest = backup
    one = replace(manifest.files[0], slots="0-16383", digest=f"{0b0101:032x}")
    assert Manifest(False, "", "", (one,)).digest == manifest.digest
