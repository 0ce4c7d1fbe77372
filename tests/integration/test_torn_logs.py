"""An append-only file that breaks off anywhere, as a power cut leaves it: what is whole is there, what is not
is not, and the file is cut to where it was whole."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.config import Config
from node.core.reply_writer import encode_command
from node.log import Log
from node.persistence.aof.manifest import parse
from node.persistence.aof.reader import AofReader
from node.worker import Worker
from tests.harness.servers import ShoalNode
from tests.integration.test_append_only import increment_of

TORN = 4096
Group = list[tuple[str, ...]]
"""A command, or a transaction."""


def groups() -> Iterator[Group]:
    """More than TORN bytes of them. Each has one key of its own that tells of it."""
    chance = random.Random(1)
    size = 0
    number = 0
    while size < 1.2 * TORN:
        group: Group = [("SET", f"k{number}", "x" * chance.randrange(100))]
        if number % 5 == 0:
            group = [("MULTI",), *group, ("RPUSH", f"l{number}", "a", "b"), ("EXEC",)]
        yield group
        size += length_of(group)
        number += 1


def length_of(group: Group) -> int:
    return sum(len(encode_command([word.encode() for word in command])) for command in group)


def recorded(policy: str) -> tuple[bytes, list[int]]:
    """The log of a worker that was killed after the last acknowledgement, and its length after each."""
    with ShoalNode(appendonly="yes", appendfsync=policy) as node:
        path = increment_of(node)
        lengths = []
        with node.resp() as client:
            for group in groups():
                client.pipeline(*group)
                lengths.append(path.stat().st_size)
        node.kill()
        return path.read_bytes(), lengths


@pytest.mark.timeout(240)
def test_cut_at_every_byte_of_its_last_4_kb(tmp_path: Path) -> None:
    """What was acknowledged is in the file by then, whenever it comes to the disk."""
    log, acknowledged = recorded("always")
    assert recorded("everysec") == (log, acknowledged)
    head = len(log) - sum(map(length_of, groups()))  # SELECT
    ends = [0, head]
    for group in groups():
        ends.append(ends[-1] + length_of(group))
    assert acknowledged == ends[2:]
    asyncio.run(cut_everywhere(log, ends, tmp_path / "log"))


async def cut_everywhere(log: bytes, ends: list[int], path: Path) -> None:
    worker = Worker(Config.from_args([]), Log("nothing"))
    manifest = parse("manifest", f"file {path.name} seq 1 type i\n".encode())
    db = worker.databases[0]
    for length in range(len(log) - TORN, len(log) + 1):
        path.write_bytes(log[:length])
        await AofReader(worker, str(path.parent), manifest).read()
        whole = max(end for end in ends if end <= length)
        assert path.stat().st_size == whole
        there = ends.index(whole) - 1
        assert len(db) == there + (there + 4) // 5  # the lists
        assert all(db.exists(b"k%d" % number) for number in range(there)), length
        for key in list(db.keys()):
            db.delete(key)
