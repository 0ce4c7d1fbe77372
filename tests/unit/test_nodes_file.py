"""nodes.conf on disk: replaced as a whole, locked for as long as its owner lives."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.nodes_file import NodesFile, NodesFileError


def test_a_new_file_is_empty_and_remembers_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "nodes.conf"
    file = NodesFile(str(path))
    assert file.read() == ""
    file.write("first\n", sync=True)
    file.write("second\n", sync=False)
    assert path.read_text() == file.read() == "second\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["nodes.conf"]
    file.close()
    assert NodesFile(str(path)).read() == "second\n"


def test_a_second_owner_is_refused_also_after_the_file_was_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "nodes.conf")
    file = NodesFile(path)
    for text in ("one", "two"):
        with pytest.raises(NodesFileError, match="already used by a different Redis Cluster node"):
            NodesFile(path)
        file.write(text, sync=False)
    file.close()
    NodesFile(path).close()


def test_another_process_is_refused_too(tmp_path: Path) -> None:
    path = str(tmp_path / "nodes.conf")
    file = NodesFile(path)
    code = f"from cluster.nodes_file import NodesFile; NodesFile({path!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "already used" in done.stderr
    file.close()


def test_the_lock_is_the_one_redis_takes(tmp_path: Path) -> None:
    path = tmp_path / "nodes.conf"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(NodesFileError):
        NodesFile(str(path))
    os.close(descriptor)


def test_a_file_that_cannot_be_written_keeps_its_content(tmp_path: Path) -> None:
    path = tmp_path / "nodes.conf"
    file = NodesFile(str(path))
    file.write("kept\n", sync=True)
    blocker = tmp_path / f"nodes.conf.tmp-{os.getpid()}"
    blocker.mkdir()
    with pytest.raises(OSError):
        file.write("lost\n", sync=True)
    assert file.read() == path.read_text() == "kept\n"


def test_an_impossible_place_and_damage_are_named(tmp_path: Path) -> None:
    with pytest.raises(NodesFileError, match="in order to acquire a lock"):
        NodesFile(str(tmp_path / "absent" / "nodes.conf"))
    path = tmp_path / "nodes.conf"
    path.write_bytes(b"good\n\xff\xfe")
    with pytest.raises(NodesFileError, match="damaged at byte 5"):
        NodesFile(str(path)).read()
