"""A disk without room: writes are refused as Redis does, reads go on, and it heals when there is room again.

The server's directory is a small tmpfs in a mount namespace of its own, which needs no privilege; from
outside it is reached through /proc.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.resp import Error
from tests.harness.servers import Oracle, Server, ShoalNode
from tests.harness.wait import eventually

MEGABYTES = 4
VALUE = b"x" * 50_000
VALUES = 40


class Cramped(Server):
    """A server whose directory has room for few megabytes."""

    def command(self) -> list[str]:
        place = f'"{self.directory}"'
        mount = f'mount -t tmpfs -o size={MEGABYTES}m tmpfs {place} && cd {place} && exec "$@"'
        return [
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            mount,
            "sh",
            *super().command(),
        ]

    @property
    def inside(self) -> Path:
        return Path(f"/proc/{self.pid}/root{self.directory}")

    def leave_room(self, megabytes: int) -> None:
        """Of what is free, take all but that."""
        filler = self.inside / "filler"
        filler.unlink(missing_ok=True)
        with filler.open("wb") as file:
            file.write(bytes((MEGABYTES - megabytes) << 20))

    def make_room(self) -> None:
        (self.inside / "filler").unlink()

    def fill_until_refused(self) -> int:
        """Returns how many values were taken."""
        taken = 0

        def refused() -> bool:
            nonlocal taken
            reply = self.run("SET", f"key:{taken}", VALUE)
            taken += not isinstance(reply, Error)
            return isinstance(reply, Error)

        eventually(refused, "no more room")
        return taken


class CrampedNode(Cramped, ShoalNode):
    pass


class CrampedRedis(Cramped, Oracle):
    def __init__(self, **config: Any) -> None:
        super().__init__("redis", **config)


BOTH: tuple[Callable[..., Cramped], ...] = (CrampedNode, CrampedRedis)
TRIED = (
    ("SET", "more", "1"),
    ("GET", "key:0"),
    ("DEL", "key:0"),
    ("DEL", "missing"),
    ("PUBLISH", "channel", "message"),
    ("EVAL", "return redis.call('SET', 'more', '1')", "0"),
    ("EVAL", "return redis.call('GET', 'more')", "0"),
    ("FLUSHALL",),
    ("PING",),
    ("CONFIG", "SET", "maxmemory-samples", "5"),
)


def tried(server: Cramped) -> list[Any]:
    """What it says while it cannot write, to reads, writes, and what is neither; in a transaction, too."""
    replies = [server.run(*command) for command in TRIED]
    with server.resp() as client:
        return replies + client.pipeline(("MULTI",), ("SET", "more", "1"), ("EXEC",))


def test_an_append_only_file_without_room() -> None:
    said = []
    for kind in BOTH:
        with kind(appendonly="yes") as server:
            server.leave_room(1)
            taken = server.fill_until_refused()
            replies = tried(server)
            assert server.info("persistence")["aof_last_write_status"] == "err"
            assert replies[0].text == "MISCONF Errors writing to the AOF file: No space left on device"
            assert replies[1] == VALUE
            server.make_room()
            eventually(lambda: not isinstance(server.run("SET", "more", "1"), Error), "room again")
            said.append((replies, server.info("persistence")["aof_last_write_status"]))
            assert "AOF write error looks solved" in server.log
            assert server.run("DEBUG", "LOADAOF").text == "OK"
            assert server.run("DBSIZE") == taken + 1
    assert said[0] == said[1]


def test_always_ends_rather_than_lie() -> None:
    """And all that it had acknowledged is in the file that it leaves."""
    with CrampedNode(appendonly="yes", appendfsync="always") as node:
        node.leave_room(1)
        directory = os.open(node.inside, os.O_RDONLY)  # it goes with the last who knows it
        acknowledged = 0
        with node.resp() as client, pytest.raises((ConnectionError, EOFError)):
            for number in range(100):
                client.command("SET", f"key:{number}", VALUE)
                acknowledged = number + 1
        eventually(lambda: not node.running, "the end of the worker")
        assert "Can't recover from AOF write error" in node.log
        heir = ShoalNode(appendonly="yes", appendfsync="always")
        shutil.copytree(f"/proc/self/fd/{directory}/appendonlydir", heir.directory / "appendonlydir")
        os.close(directory)
    with heir:
        assert heir.run("DBSIZE") == acknowledged
        assert acknowledged > 10
        assert heir.run("GET", f"key:{acknowledged - 1}") == VALUE


@pytest.mark.parametrize("background", [False, True])
def test_a_snapshot_without_room(background: bool) -> None:
    said = []
    for kind in BOTH:
        with kind(save="3600 1000", rdbcompression="no") as server:
            server.leave_room(1)
            for number in range(VALUES):
                server.run("SET", f"key:{number}", VALUE)
            replies = [save(server, background)]
            replies += tried(server)
            assert replies[2] == VALUE
            refused = isinstance(replies[1], Error) and replies[1].prefix == "MISCONF"
            assert refused == background  # who asks for SAVE is told, nobody else
            assert not list(server.inside.glob("temp*"))
            for setting in ("no", "yes"):
                server.run("CONFIG", "SET", "stop-writes-on-bgsave-error", setting)
                replies.append(server.run("SET", "more", "1"))
            server.make_room()
            replies += [save(server, background), server.run("SET", "more", "1")]
            said.append(replies)
    assert said[0] == said[1]


def save(server: Cramped, background: bool) -> Any:
    """SAVE or BGSAVE, and its end; the reply, and how INFO tells of it."""
    reply = server.run("BGSAVE" if background else "SAVE")
    eventually(lambda: not server.info("persistence")["rdb_bgsave_in_progress"], "the end of the save")
    return reply, server.info("persistence")["rdb_last_bgsave_status"]
