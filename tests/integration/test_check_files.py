"""`shoal check-rdb` and `shoal check-aof` on files of every server, whole and broken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.servers import server
from tests.harness.shoal_command import shoal
from tests.integration.datasets import fill

SERVERS = ("shoal", "redis", "valkey")


@pytest.fixture(scope="module", params=SERVERS)
def files(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The directory of a server that has ended, with a snapshot and an append-only file."""
    with server(request.param, appendonly="yes", appendfsync="always") as writer:
        fill(writer)
        with writer.client() as client:
            client.set("a", "1")
            client.pipeline().set("last:1", "2").set("last:2", "3").execute()
        writer.run("SAVE")
        writer.kill()
        yield writer.directory


def test_a_snapshot_that_is_whole(files: Path) -> None:
    report = shoal("check-rdb", files / "dump.rdb", "--json").json
    assert report["ok"]
    assert report["readable_bytes"] == report["bytes"]
    assert sum(report["types"].values()) == report["keys"]
    assert set(report["types"]) == {"string", "list", "set", "zset", "hash", "stream"}
    assert "redis-bits" in report["aux"]
    assert "ok RDB version" in shoal("check-rdb", files / "dump.rdb").out


@pytest.mark.parametrize("offset", [3, 200, -4])
def test_a_snapshot_that_is_damaged(files: Path, offset: int, tmp_path: Path) -> None:
    content = bytearray((files / "dump.rdb").read_bytes())
    content[offset] ^= 0xFF
    copy = tmp_path / "copy.rdb"
    copy.write_bytes(content)
    report = shoal("check-rdb", copy, "--json", code=1).json
    assert not report["ok"]
    assert "copy.rdb" in report["error"]
    assert "damaged" in shoal("check-rdb", copy, code=1).out


def test_a_snapshot_that_breaks_off(files: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.rdb"
    copy.write_bytes((files / "dump.rdb").read_bytes()[:-100])
    assert not shoal("check-rdb", copy, "--json", code=1).json["ok"]


def test_a_log_that_is_whole(files: Path) -> None:
    report = shoal("check-aof", files / "appendonlydir", "--json").json
    assert report["ok"]
    assert [part["good_bytes"] == part["bytes"] for part in report["parts"]] == [True, True]
    assert report["parts"][1]["commands"] > 0
    manifest = files / "appendonlydir" / "appendonly.aof.manifest"
    assert shoal("check-aof", manifest, "--json").json == report
    single = manifest.parent / report["parts"][1]["name"]
    assert shoal("check-aof", single, "--json").json["parts"] == report["parts"][1:]


@pytest.fixture
def copied(files: Path, tmp_path: Path) -> Path:
    """A copy of the log, to be broken."""
    for path in (files / "appendonlydir").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def increment(directory: Path) -> Path:
    (found,) = directory.glob("*.incr.aof")
    return found


def test_a_torn_tail_is_cut(copied: Path) -> None:
    """The last transaction loses its EXEC, and so goes as a whole."""
    path = increment(copied)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-3])
    report = shoal("check-aof", copied, "--json", code=1).json
    good = report["parts"][1]["good_bytes"]
    assert report["parts"][1]["error"] == "it breaks off inside a transaction"
    shoal("check-aof", copied, "--fix", code=130, input="n\n")
    assert path.stat().st_size == size - 3
    assert "was cut at offset" in shoal("check-aof", copied, "--fix", input="y\n").out
    assert path.stat().st_size == good
    assert b"last:1" not in path.read_bytes()
    assert shoal("check-aof", copied, "--json").json["ok"]


def test_damage_in_front_is_not_cut(copied: Path) -> None:
    (base,) = copied.glob("*.base.rdb")
    base.write_bytes(base.read_bytes()[:-1])
    before = increment(copied).read_bytes()
    shoal("check-aof", copied, "--fix", "--yes", code=1)
    assert increment(copied).read_bytes() == before


def test_damage_is_told_with_its_offset(copied: Path) -> None:
    path = increment(copied)
    path.write_bytes(path.read_bytes() + b"garbage\r\n")
    size = path.stat().st_size - len(b"garbage\r\n")
    report = shoal("check-aof", copied, "--json", code=1).json
    assert report["parts"][1]["error"] == f"expected a command at offset {size}"
    assert report["parts"][1]["good_bytes"] == size


def test_what_is_not_there(tmp_path: Path) -> None:
    assert "holds no manifests" in shoal("check-aof", tmp_path, code=1).error_line
    shoal("check-rdb", tmp_path / "missing", code=2)
