"""The synchronous mode: what a client is told of data, so many replicas have (`synchronous-replicas`).

Replies wait in the outbox (core/outbox.pyx), each for the offset of the replication stream up to which it
tells of data. At the end of a turn of the event loop in which anything was written, the replicas are asked
for an acknowledgement, through the stream as by WAIT, so one acknowledgement serves all clients, and every
replica that knows GETACK, also a real Redis or Valkey, can be counted on.

Without so many replicas writes wait for their return, `synchronous-replicas-wait` ms at most: so a replica is
restarted, and a new primary gets its first, without an error. After that they are refused (NOREPLICAS). A
reply that waits for one that has gone waits for its return, `repl-timeout` seconds at most. Then, and when
this worker turns into a replica, its client is disconnected: its write may be kept or not, and nobody here
can say.

What was acknowledged survives a failover only if who takes over has it: see cluster/coordinator/fences.py.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from node.cluster_port import SLOT_COUNT
from node.replication.acknowledgements import Acknowledgements
from node.replication.primary import Primary

NO_COPIES_ASKED: Final = (1 << 63) - 1
_PAUSE_REASON: Final = "synchronous replicas"
_ALL_SLOTS: Final = (1 << SLOT_COUNT) - 1
_MARGIN: Final = 5000
"""Ms that the pause lasts longer than it should: it is ended once a second, after the gate is shut."""


class Synchrony:
    """`role_changed` and `settle` are called by the role's owner (roles.py), as is `recorded`."""

    def __init__(self, worker: Any, primary: Primary, acknowledgements: Acknowledgements) -> None:
        self._worker = worker
        self._primary = primary
        self._acknowledgements = acknowledgements
        self._outbox = worker.engine.outbox
        self._wanted = 0
        """How many replicas must have what is told; 0 on a replica, and where nobody asked for it."""
        self._progress_at = 0
        self._lacking_since = 0
        """Unix ms since when there are too few replicas; 0 while there are enough."""

    def follow_role(self, is_primary: bool) -> None:
        """The role or the setting may have changed."""
        wanted = self._worker.config.synchronous_replicas if is_primary else 0
        if not is_primary:
            self.give_up("this worker is a replica now")
        if bool(wanted) != bool(self._wanted):
            self._outbox.await_copies(0 if wanted else NO_COPIES_ASKED)
        self._wanted = wanted

    @property
    def wanted(self) -> int:
        """How many replicas must have what is told; 0 on a replica."""
        return self._wanted

    @property
    def lacks_replicas(self) -> bool:
        """Whether a write could not be acknowledged now."""
        return len(self._primary.online()) < self._wanted

    @property
    def waits(self) -> bool:
        """Whether writes wait for replicas that may come back."""
        return bool(self._lacking_since) and not self.refuses

    @property
    def refuses(self) -> bool:
        """Whether writes are refused, because replicas are away for too long."""
        patience = self._worker.config.synchronous_replicas_wait
        return bool(self._lacking_since) and self._worker.engine.now - self._lacking_since >= patience

    def count_replicas(self) -> None:
        """Some may have come or gone, and time has passed."""
        if not self.lacks_replicas:
            self._lacking_since = 0
        elif not self._lacking_since:
            self._lacking_since = self._worker.engine.tick()

    def hold_writes(self) -> None:
        """Let them wait, or go on to be executed or refused: the gate is as it should be."""
        pause = self._worker.pause
        if self.waits == pause.holds(_PAUSE_REASON):
            return
        if self.waits:
            until = self._lacking_since + self._worker.config.synchronous_replicas_wait + _MARGIN
            pause.hold_slots(_PAUSE_REASON, until, _ALL_SLOTS)
        else:  # later, because the replica whose acknowledgement ended it is still being listened to
            asyncio.get_running_loop().call_soon(self._let_go)

    def _let_go(self) -> None:
        if not self.waits:
            self._worker.pause.end(_PAUSE_REASON)

    def recorded(self) -> None:
        """The stream has grown, and was handed to the replicas."""
        if not self._wanted or self._acknowledgements.is_asking:
            return
        if self._outbox.promised <= self._outbox.copied:
            self._progress_at = self._worker.engine.now
        self._outbox.promise(self._worker.trail.offset)
        self._acknowledgements.ask_soon()

    def acknowledged(self) -> None:
        """A replica said how far it is."""
        if not self._wanted:
            return
        offsets = sorted((peer.ack_offset for peer in self._primary.online()), reverse=True)
        if len(offsets) >= self._wanted and offsets[self._wanted - 1] > self._outbox.copied:
            self._progress_at = self._worker.engine.now
            self._outbox.await_copies(offsets[self._wanted - 1])

    def tick(self, now: int) -> None:
        """Once a second."""
        waits = self._wanted and self._outbox.promised > self._outbox.copied
        if waits and now - self._progress_at > self._worker.config.repl_timeout * 1000:
            self.give_up("no replica acknowledged it in time")

    def give_up(self, why: str) -> None:
        """What waits to be acknowledged will not be."""
        broken = self._outbox.break_promises()
        if broken:
            self._worker.log.warning(f"Disconnected {broken} clients whose data was not acknowledged: {why}.")
