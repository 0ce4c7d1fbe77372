"""A disk without room: writes are refused as Redis does, reads go on, and it heals when there is room again.

The worker's directory is a small tmpfs in a mount namespace of its own, which needs no privilege; from
outside it is reached through /proc.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.resp import Error
from tests.harness.servers import ShoalNode
from tests.harness.wait import eventually

MEGABYTES = 4
VALUE = b"x" * 50_000


class CrampedNode(ShoalNode):
    """A worker whose directory has room for few megabytes."""

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


def test_an_append_only_file_without_room() -> None:
    with CrampedNode(appendonly="yes") as node:
        node.leave_room(1)
        written = 0

        def refused() -> bool:
            nonlocal written
            reply = node.run("SET", f"key:{written}", VALUE)
            written += not isinstance(reply, Error)
            return isinstance(reply, Error)

        eventually(refused, "no more room")
        refusal = node.run("SET", "more", "1")
        assert refusal.text == "MISCONF Errors writing to the AOF file: No space left on device"
        assert node.run("GET", "key:0") == VALUE
        assert node.info("persistence")["aof_last_write_status"] == "err"
        node.make_room()
        eventually(lambda: not isinstance(node.run("SET", "more", "1"), Error), "room again")
        assert "AOF write error looks solved. The server can write again." in node.log
        assert node.info("persistence")["aof_last_write_status"] == "ok"
        assert node.run("DEBUG", "LOADAOF").text == "OK"
        assert node.run("DBSIZE") == written + 1


def test_always_ends_rather_than_lie() -> None:
    with CrampedNode(appendonly="yes", appendfsync="always") as node:
        node.leave_room(1)
        with node.resp() as client, pytest.raises((ConnectionError, EOFError)):
            for number in range(100):
                client.command("SET", f"key:{number}", VALUE)
        eventually(lambda: not node.running, "the end of the worker")
        assert "Can't recover from AOF write error" in node.log


def test_a_snapshot_without_room() -> None:
    with CrampedNode(save="3600 1", rdbcompression="no") as node:
        node.leave_room(1)
        for number in range(40):
            node.run("SET", f"key:{number}", VALUE)
        assert node.run("SAVE").text == "ERR"
        assert node.run("SET", "more", "1").text.startswith(
            "MISCONF Redis is configured to save RDB snapshots"
        )
        assert node.run("GET", "key:0") == VALUE
        assert [path.name for path in node.inside.iterdir()] == ["filler"]
        node.make_room()
        assert node.run("SAVE").text == "OK"
        assert node.run("SET", "more", "1").text == "OK"
