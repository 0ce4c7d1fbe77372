"""The keys of some slots, as the commands that make them, from a forked child.

For whoever takes slots over while they are served: the commands come as of the moment of the fork, and what
is written from then on must follow them. The child writes into a pipe, and the parent forwards what it reads
as fast as it is taken, so the memory in use is bounded.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from node.core.slot_output import SlotOutput
from node.persistence.aof.commands import commands_of_key
from node.persistence.child import Outcome
from node.persistence.files import write_fully
from node.persistence.progress import copied_bytes
from node.persistence.rdb import dump_payload

PURPOSE: Final = "SLOT-MIGRATION"
PIECE: Final = 256 * 1024
PACKED: Final = frozenset(("listpack", "intset"))
"""Encodings that are one small block."""
POLL_SECONDS: Final = 0.002
"""How soon to look again whether more is taken."""


class SlotSnapshot:
    """`take(chunk)` gets the commands, while `is_congested()` says no. `done(problem, copied)` is told once:
    "" and the bytes the child had to copy when all was taken."""

    def __init__(
        self,
        worker: Any,
        ranges: Sequence[tuple[int, int]],
        take: Callable[[bytes], object],
        is_congested: Callable[[], bool],
        done: Callable[[str, int], object],
    ) -> None:
        self._worker = worker
        self._ranges = ranges
        self._take = take
        self._is_congested = is_congested
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._pipe = -1
        self._pipe_ended = False
        self._outcome: Outcome | None = None
        self._stopped = False

    def start(self) -> None:
        """Fork. Raises ChildBusy or OSError, and nothing has happened then."""
        self._pipe, writing = os.pipe()
        try:
            self._worker.snapshots.children.start(
                PURPOSE, lambda: self._in_child(writing), self._child_ended, keep=(writing,)
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(writing)
        os.set_blocking(self._pipe, False)
        self._loop.add_reader(self._pipe, self._on_readable)

    def stop(self) -> None:
        """Nobody wants it any more. `done` is not told."""
        if self._stopped:
            return
        self._stopped = True
        self._close_pipe()
        if self._outcome is None:
            self._worker.snapshots.children.kill()

    def _in_child(self, writing: int) -> bytes:
        write_slots(self._worker.databases, self._ranges, lambda chunk: write_fully(writing, chunk))
        os.close(writing)
        return b"%d" % copied_bytes()

    def _on_readable(self) -> None:
        data = os.read(self._pipe, PIECE)
        if not data:
            self._close_pipe()
            self._finish_if_all_is_known()
            return
        self._take(data)
        if not self._pipe_ended and self._is_congested():
            self._loop.remove_reader(self._pipe)
            self._loop.call_later(POLL_SECONDS, self._look_again)

    def _look_again(self) -> None:
        if self._pipe_ended:
            return
        if self._is_congested():
            self._loop.call_later(POLL_SECONDS, self._look_again)
        else:
            self._loop.add_reader(self._pipe, self._on_readable)

    def _close_pipe(self) -> None:
        if not self._pipe_ended:
            self._pipe_ended = True
            self._loop.remove_reader(self._pipe)
            os.close(self._pipe)

    def _child_ended(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._finish_if_all_is_known()

    def _finish_if_all_is_known(self) -> None:
        """The pipe's end alone does not tell whether all came through it: the child's exit code does."""
        outcome = self._outcome
        if self._stopped or outcome is None or not self._pipe_ended:
            return
        self._stopped = True
        if outcome.ok:
            self._done("", int(outcome.report))
        else:
            self._done(outcome.report.decode("utf-8", "replace") or f"signal {outcome.signal}", 0)


def write_slots(
    databases: Sequence[Any], ranges: Sequence[tuple[int, int]], write: Callable[[bytes], object]
) -> None:
    """All live keys of these slots, database by database, as commands."""
    out = SlotOutput(write, _commands_of)
    for db in databases:
        if not len(db):
            continue
        out.command([b"SELECT", b"%d" % db.index])
        for first, last in ranges:
            for slot in range(first, last + 1):
                out.slot(db, slot)
    out.flush()


def _commands_of(key: bytes, value: Any, expire_at: int) -> Iterable[list[bytes]]:
    """A small collection travels as it stands, in one piece; a large one, and one whose fields expire (which
    Valkey keeps in another form than Redis), some elements at a time."""
    if value.encoding in PACKED:
        yield [b"RESTORE", key, b"%d" % expire_at, dump_payload(value, compress=False), b"ABSTTL"]
    else:
        yield from commands_of_key(key, value, expire_at)
