"""A full synchronization: one forked child writes a snapshot into a pipe, and all replicas that wait get it.

The parent forwards what it reads. To replicas that know the mark ("eof") at once, without the disk; for
others, which must be told the size first, and for all with `repl-diskless-sync no`, it goes through an
unnamed temporary file. The pipe is read only as fast as the slowest replica takes it, so the memory in use is
bounded; whoever takes nothing is cut off by its timeout.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Sequence
from typing import IO, Any, Final

from node.persistence.child import Outcome
from node.persistence.files import write_fully
from node.replication.peers import Peer
from node.replication.replica import MARK_LENGTH

PURPOSE: Final = "RDB-SYNC"
PIECE: Final = 64 * 1024
HIGH_WATER: Final = 1024 * 1024
"""Bytes that may wait in a replica's socket before we stop reading for it."""
POLL_SECONDS: Final = 0.002
"""How soon to look again after having stopped."""


class FullSync:
    """One snapshot for `peers`, who are of one kind. `done(peer, problem)` is called for each: "" when
    it got all of it.

    Peers are in state "receiving" until then. `aux` goes into the snapshot.
    """

    def __init__(
        self,
        snapshots: Any,
        peers: Sequence[Peer],
        aux: dict[str, str | int],
        done: Callable[[Peer, str], None],
        *,
        diskless: bool,
    ) -> None:
        self._snapshots = snapshots
        self._loop = asyncio.get_running_loop()
        self._direct = [peer for peer in peers if diskless and peer.wants_mark]
        self._spooled = [peer for peer in peers if peer not in self._direct]
        self._dialect, self._parts = peers[0].kind
        self._aux = aux
        self._done = done
        self._mark = secrets.token_hex(MARK_LENGTH // 2).encode()
        self._pipe = -1
        self._spool: IO[bytes] | None = None
        self._pipe_ended = False
        self._problem = ""
        self._outcome: Outcome | None = None
        self.pid = 0

    def start(self) -> None:
        """Fork. Raises ChildBusy or OSError, and nothing has happened then."""
        if self._spooled:
            import tempfile  # and with it half a dozen compressors, for a case that hardly occurs

            directory = os.path.dirname(self._snapshots.path)
            self._spool = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 (closed when all is sent)
        self._pipe, writing = os.pipe()
        try:
            child = self._snapshots.children.start(
                PURPOSE, lambda: self._in_child(writing), self._child_ended, keep=(writing,)
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(writing)
        self.pid = child.pid
        os.set_blocking(self._pipe, False)
        for peer in self._direct:
            _begin(peer, b"$EOF:%b\r\n" % self._mark)
        self._loop.add_reader(self._pipe, self._on_readable)

    def remove(self, peer: Peer) -> None:
        """`peer` is gone. A snapshot that nobody wants any more is given up."""
        for peers in (self._direct, self._spooled):
            if peer in peers:
                peers.remove(peer)
        if not self._direct and not self._spooled and self._outcome is None:
            self._snapshots.children.kill()

    def _in_child(self, writing: int) -> bytes:
        keys = self._snapshots.write_to(
            lambda chunk: write_fully(writing, chunk),
            self._aux,
            dialect=self._dialect,
            data=self._parts.data,
            functions=self._parts.functions,
        )
        os.close(writing)
        return b"%d" % keys

    def _on_readable(self) -> None:
        data = os.read(self._pipe, PIECE)
        if not data:
            self._loop.remove_reader(self._pipe)
            os.close(self._pipe)
            self._pipe_ended = True
            self._finish_if_all_is_known()
            return
        if self._spool is not None and not self._problem:
            self._keep(self._spool, data)
        for peer in self._direct:
            peer.send(data)
        if self._is_congested():
            self._loop.remove_reader(self._pipe)
            self._loop.call_later(POLL_SECONDS, self._look_again)

    def _keep(self, spool: IO[bytes], data: bytes) -> None:
        try:
            spool.write(data)
        except OSError as error:
            self._problem = f"the snapshot cannot be kept: {error.strerror}"
            self._snapshots.children.kill()

    def _is_congested(self) -> bool:
        return any(peer.link.pending_output > HIGH_WATER for peer in self._direct)

    def _look_again(self) -> None:
        if self._is_congested():
            self._loop.call_later(POLL_SECONDS, self._look_again)
        else:
            self._loop.add_reader(self._pipe, self._on_readable)

    def _child_ended(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._finish_if_all_is_known()

    def _finish_if_all_is_known(self) -> None:
        """The pipe's end alone does not tell whether the snapshot is whole: the child's exit code does."""
        outcome = self._outcome
        if outcome is None or not self._pipe_ended:
            return
        problem = self._problem
        if not outcome.ok and not problem:
            problem = outcome.report.decode("utf-8", "replace") or f"signal {outcome.signal}"
        direct, self._direct = self._direct, []
        for peer in direct:
            if not problem:
                peer.send(self._mark)
            self._done(peer, problem)
        if problem:
            spooled, self._spooled = self._spooled, []
            for peer in spooled:
                self._done(peer, problem)
        elif self._spool is not None:
            size = self._spool.tell()
            for peer in list(self._spooled):
                _begin(peer, b"$%d\r\n" % size)
                self._pump(peer, 0, size)

    def _pump(self, peer: Peer, position: int, size: int) -> None:
        """Send the spooled snapshot from `position` on, as far as the peer takes it now."""
        assert self._spool is not None
        while peer in self._spooled:
            if position == size:
                self._spooled.remove(peer)
                self._done(peer, "")
            elif peer.link.pending_output > HIGH_WATER:
                self._loop.call_later(POLL_SECONDS, self._pump, peer, position, size)
                return
            else:
                self._spool.seek(position)
                piece = self._spool.read(PIECE)
                peer.send(piece)
                position += len(piece)
        if not self._spooled:
            self._spool.close()


def _begin(peer: Peer, header: bytes) -> None:
    peer.snapshot_started = True
    peer.send(header)
