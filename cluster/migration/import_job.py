"""The target's end of a migration, as a state machine without sockets.

    state                  waits for             then
    waiting-for-ack        ACK                   the source is ready
    receiving-snapshot     SNAPSHOT-EOF          REQUEST-PAUSE
    waiting-for-paused     PAUSED                REQUEST-FAILOVER: all that was written is here
    failover-requested     FAILOVER-GRANTED
    failover-granted       nothing               takes the slots, by a new config epoch: success
    occurring-on-primary   FINISH                as the primary says: what replicas track

Between these words come the commands that make the keys. Whatever goes wrong before the last step drops all
of them, and the source, which has served the slots all the time, goes on. Replicas are told of the beginning
(ESTABLISH) and of the end (FINISH) in their stream.

The words are those of Valkey 9, so that each end may be a Valkey server: facts from its
cluster_migrateslots.c.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from cluster.migration.effects import Admit, Dismiss, Effect, Hangup, Log, Propagate, Send, TakeSlots
from cluster.migration.job import ACK_PERIOD, SYNCSLOTS, Job, State


class ImportJob(Job):
    """Only tracked if it has no `source`."""

    operation: ClassVar[str] = "IMPORT"

    def __init__(
        self, name: str, ranges: Sequence[tuple[int, int]], source: str, target: str, now: int
    ) -> None:
        super().__init__(name, ranges, source, target, now)
        self.state = State.WAITING_FOR_ACK if source else State.OCCURRING_ON_PRIMARY
        self._steps: dict[tuple[str, State], Callable[[int], list[Effect]]] = {
            ("ack", State.WAITING_FOR_ACK): self._source_is_ready,
            ("snapshot-eof", State.RECEIVING_SNAPSHOT): self._snapshot_is_here,
            ("paused", State.WAITING_FOR_PAUSED): self._all_is_here,
            ("failover-granted", State.FAILOVER_REQUESTED): self._slots_are_granted,
        }

    def begun(self) -> list[Effect]:
        """What the replicas must know before the first key."""
        slots = [b"%d" % slot for span in self.ranges for slot in span]
        establish = (
            *SYNCSLOTS, b"ESTABLISH", b"SOURCE", self.source.encode(),
            b"NAME", self.name.encode(), b"SLOTSRANGE", *slots,
        )  # fmt: skip
        return [Log("notice", f"New slot import job created: {self.description()}."), Propagate(establish)]

    @property
    def receives_snapshot(self) -> bool:
        """Clients need not wait for it yet."""
        return self.state is State.RECEIVING_SNAPSHOT

    # --- what the source says

    def received(self, now: int) -> None:
        """Anything at all."""
        self.acked_at = now

    def heard(self, word: str, now: int) -> list[Effect]:
        """CLUSTER SYNCSLOTS `word`."""
        step = self._steps.get((word, self.state))
        if step is not None:
            return step(now)
        if word in ("ack", "capa"):
            return []
        known = any(word == each for each, _ in self._steps)
        return self.fail(
            "Unexpected state machine transition" if known else "Unknown SYNCSLOTS subcommand used", now
        )

    def _source_is_ready(self, now: int) -> list[Effect]:
        return [self.change(State.RECEIVING_SNAPSHOT, now)]

    def _snapshot_is_here(self, now: int) -> list[Effect]:
        return [self.change(State.WAITING_FOR_PAUSED, now), Send((*SYNCSLOTS, b"REQUEST-PAUSE"))]

    def _all_is_here(self, now: int) -> list[Effect]:
        return [self.change(State.FAILOVER_REQUESTED, now), Send((*SYNCSLOTS, b"REQUEST-FAILOVER"))]

    def _slots_are_granted(self, now: int) -> list[Effect]:
        return [self.change(State.GRANTED, now)]

    def take(self, now: int) -> list[Effect]:
        """If the slots are granted. The job has ended before they are taken, so that their new owner is no
        surprise to it."""
        if self.state is not State.GRANTED:
            return []
        return [*self.ended(now, State.SUCCESS, ""), TakeSlots(), self._finish(), Hangup()]

    # --- what happens

    def owned_by(self, node: str, myself: str, now: int) -> list[Effect]:
        """All slots belong to `node`; "" if to several, or some to none."""
        if self.only_tracked or node == self.source:
            return []
        if node == myself:
            return self.fail("Slots were unexpectedly assigned to myself during import", now)
        return self.fail("Slots are no longer owned by source node", now)

    def tick(self, now: int, timeout: int) -> list[Effect]:
        """Some times a second. `timeout`: ms that the source may be silent."""
        if self.only_tracked:
            return []
        if self.is_silent(now, timeout):
            return self.fail("Timed out after too long with no interaction", now)
        if self.state is State.WAITING_FOR_ACK or now - self.ack_sent_at < ACK_PERIOD:
            return []
        self.ack_sent_at = now
        return [Send((*SYNCSLOTS, b"ACK"))]

    def lost(self, now: int) -> list[Effect]:
        """The connection is gone."""
        if self.only_tracked:
            return []
        told = "Check CLUSTER GETSLOTMIGRATIONS on the source node for more information."
        return self.fail(f"Connection lost to source. {told}", now)

    def refused(self, now: int) -> list[Effect]:
        """A command of the source could not be executed."""
        return self.fail(
            "Failed to process command during slot migration. Check logs for more information", now
        )

    def out_of_memory(self, now: int) -> list[Effect]:
        return self.fail("Ran out of memory (OOM) during slot import", now)

    def too_large(self, now: int) -> list[Effect]:
        return self.fail("What came exceeds slot-migration-max-staging-bytes", now)

    def demoted(self, now: int) -> list[Effect]:
        """We are a replica now. What came so far stays, as the new primary may know of it, too: it will
        tell."""
        if self.only_tracked:
            return []
        self.source = ""
        return [self.change(State.OCCURRING_ON_PRIMARY, now), Hangup()]

    def cancel(self, now: int) -> list[Effect]:
        """As `fail`, at the operator's wish. The source hears of it by the connection's end."""
        said = self.ended(now, State.CANCELLED, "Cancelled due to user request")
        return [*said, Hangup(), Dismiss(told=True), self._finish()]

    def fail(self, message: str, now: int) -> list[Effect]:
        """As a primary: the replicas hear of it behind the last key that goes."""
        return [*self.ended(now, State.FAILED, message), Hangup(), Dismiss(told=True), self._finish()]

    def admitted(self, now: int) -> list[Effect]:
        """As a primary, after a failover or a start: the slots turn out to be ours."""
        return [*self.ended(now, State.SUCCESS, ""), Admit(), self._finish()]

    def finished(self, now: int, *, success: bool, message: str) -> list[Effect]:
        """What our primary, or the log, says of the end."""
        if success:
            return [*self.ended(now, State.SUCCESS, message), Hangup(), Admit()]
        return [*self.ended(now, State.FAILED, message), Hangup(), Dismiss(told=False)]

    def _finish(self) -> Effect:
        state = b"success" if self.state is State.SUCCESS else b"failed"
        finish = (*SYNCSLOTS, b"FINISH", b"STATE", state, b"NAME", self.name.encode())
        return Propagate((*finish, b"MESSAGE", self.message.encode()) if self.message else finish)
