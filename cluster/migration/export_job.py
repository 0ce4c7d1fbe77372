"""The source's end of a migration, as a state machine without sockets.

    state                        waits for                         then
    connecting                   the connection                    AUTH if there is a password, else ESTABLISH
    reading-auth-response        +OK                               ESTABLISH: source, name, slots
    reading-establish-response   +OK                               ACK: the target may begin to count time
    waiting-to-snapshot          no other child to be running      snapshot; what is written now is kept
    snapshotting                 the snapshot's end                SNAPSHOT-EOF; then what was kept, and on
    replicating                  REQUEST-PAUSE                     looks at what is on its way
    waiting-to-pause             that to be little                 holds writes; PAUSED
    failover-paused              REQUEST-FAILOVER                  FAILOVER-GRANTED
    failover-granted             the slots to be the target's      success: writes go on, there

Until FAILOVER-GRANTED leaves, whatever goes wrong ends the job and nothing else: the slots are served here
all the time. Afterwards the target may or may not have taken them, so writes are held until the cluster
tells, or until the pause is over. Who then goes on without having heard may lose what it accepts, and says
so: the target could come back with its claim. If the cluster finds the target dead, nobody was served by it,
and we take a config epoch that beats that claim (`settle_doubt`).

The words and times are those of Valkey 9, so that each end may be a Valkey server: facts from its
cluster_migrateslots.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from cluster.migration.effects import (
    Authenticate,
    Connect,
    Effect,
    Hangup,
    HoldWrites,
    Log,
    Outbid,
    ResumeWrites,
    Send,
    Snapshot,
    Stream,
)
from cluster.migration.job import ACK_PERIOD, SYNCSLOTS, Job, State

PAUSE_FACTOR = 2
"""Writes are held for so many times the time limit of a manual failover."""
PROPAGATION_TIME = 2000
"""Ms that the news of the new owner may take, at least, after it was granted the slots."""

_ANSWERED = frozenset((State.CONNECTING, State.READING_AUTH, State.READING_ESTABLISH))
"""No ACK yet: the target's answers are lines still."""
_UNEXPECTED = "Unexpected state machine transition"


class ExportJob(Job):
    operation: ClassVar[str] = "EXPORT"

    def __init__(
        self, name: str, ranges: Sequence[tuple[int, int]], source: str, target: str, now: int
    ) -> None:
        super().__init__(name, ranges, source, target, now)
        self.state = State.CONNECTING
        self.held_until = 0
        """Unix ms until which writes are held, 0 while they are not."""
        self.doubtful = False
        """The slots were granted, and it is not known what became of that."""

    # --- the beginning

    def start(self) -> list[Effect]:
        return [Connect()]

    def failed_to_connect(self, reason: str, now: int) -> list[Effect]:
        return self._fail(f"Unable to connect to target node: {reason}", now)

    def connected(self, now: int, *, has_password: bool) -> list[Effect]:
        said: Effect = Log("notice", f"Slot migration {self.description()} connection established.")
        if has_password:
            return [said, self.change(State.READING_AUTH, now), Authenticate()]
        return [said, *self._establish(now)]

    def _establish(self, now: int) -> list[Effect]:
        slots = [b"%d" % slot for span in self.ranges for slot in span]
        return [
            self.change(State.READING_ESTABLISH, now),
            Send(
                (
                    *SYNCSLOTS, b"ESTABLISH", b"SOURCE", self.source.encode(),
                    b"NAME", self.name.encode(), b"SLOTSRANGE", *slots,
                )
            ),
        ]  # fmt: skip

    @property
    def reads_lines(self) -> bool:
        """What the target sends is a reply; later it sends commands."""
        return self.state in _ANSWERED

    def replied(self, line: str, now: int) -> list[Effect]:
        """To AUTH or to ESTABLISH."""
        if self.state is State.READING_AUTH:
            if line.startswith("-"):
                return self._fail(f"Failed to AUTH to target node: {line}", now)
            return self._establish(now)
        if line.startswith("-"):
            return self._fail(f"Received error during handshake to target: {line}", now)
        self.acked_at = now
        return [self.change(State.WAITING_TO_SNAPSHOT, now), self._ack(now), Snapshot()]

    # --- the snapshot

    def snapshot_began(self, now: int) -> list[Effect]:
        return [
            Log("notice", f"Beginning snapshot of slot migration {self.description()}."),
            self.change(State.SNAPSHOTTING, now),
        ]

    def snapshot_failed(self, now: int) -> list[Effect]:
        return self._fail("Failed to perform snapshot", now)

    def snapshot_sent(self, copied: int, now: int) -> list[Effect]:
        self.copied_bytes = copied
        return [self.change(State.STREAMING, now), Send((*SYNCSLOTS, b"SNAPSHOT-EOF")), Stream()]

    @property
    def waits_to_pause(self) -> bool:
        return self.state is State.WAITING_TO_PAUSE

    # --- what the target says

    def heard(self, word: str, now: int) -> list[Effect]:
        """CLUSTER SYNCSLOTS `word`."""
        match word:
            case "ack":
                self.acked_at = now
                return []
            case "capa":
                return []
            case "request-pause" if self.state is State.STREAMING:
                return [self.change(State.WAITING_TO_PAUSE, now)]
            case "request-failover" if self.state is State.PAUSED:
                return self._grant(now)
            case "request-pause" | "request-failover":
                return self._fail(_UNEXPECTED, now)
        return self._fail("Unknown SYNCSLOTS subcommand used", now)

    def on_its_way(self, unsent: int, limit: int, pause: int, now: int) -> list[Effect]:
        """`unsent` bytes wait for the target, of which there may be `limit` when writes are held, -1 for any
        number. `pause`: the time limit of a manual failover, in ms."""
        if self.state is not State.WAITING_TO_PAUSE or 0 <= limit < unsent:
            return []
        self.held_until, self.paused_at = now + pause * PAUSE_FACTOR, now
        return [
            Log(
                "notice",
                f"Pausing writes (remaining_repl_size is {unsent}) to allow slot migration "
                f"{self.description()} to finalize failover.",
            ),
            HoldWrites(self.held_until),
            Send((*SYNCSLOTS, b"PAUSED")),
            self.change(State.PAUSED, now),
        ]

    def _grant(self, now: int) -> list[Effect]:
        if now >= self.held_until:
            return self._fail("Unpaused before failover completed", now)
        self.held_until = max(self.held_until, now + PROPAGATION_TIME)
        return [
            HoldWrites(self.held_until),
            self.change(State.GRANTED, now),
            Send((*SYNCSLOTS, b"FAILOVER-GRANTED")),
        ]

    # --- what happens to both

    def owned_by(self, node: str, myself: str, now: int) -> list[Effect]:
        """All slots belong to `node`; "" if to several, or some to none."""
        if node == myself:
            return []
        if node == self.target:
            said = Log("notice", f"Slot migration {self.description()} slots are now owned by target node.")
            return [said, *self._end(State.SUCCESS, "", now)]
        return self._fail("Slots are no longer owned by myself", now)

    def tick(self, now: int, timeout: int) -> list[Effect]:
        """Some times a second. `timeout`: ms that the target may be silent."""
        if self.state is State.GRANTED:
            return self._give_up_waiting(now) if now >= self.held_until else []
        if self.state is State.PAUSED and now >= self.held_until:
            return self._fail("Timed out before streaming completed", now)
        if self.is_silent(now, timeout):
            return self._fail("Timed out after too long with no interaction", now)
        if self.state is State.WAITING_TO_SNAPSHOT:
            return [Snapshot()]
        quiet = self.reads_lines or self.state is State.SNAPSHOTTING
        return [] if quiet or now - self.ack_sent_at < ACK_PERIOD else [self._ack(now)]

    def settle_doubt(self, *, ours: bool, target_heard_at: int, target_failed: bool) -> list[Effect]:
        """Some times a second, when the job has ended. `ours`: all the slots. `target_heard_at`: Unix ms of
        its last pong; one that does not claim the slots has not taken them."""
        if not self.doubtful or (ours and target_heard_at <= self.changed_at and not target_failed):
            return []
        self.doubtful = False
        if not ours or target_heard_at > self.changed_at:
            return []
        told = f"Slot migration {self.description()}: the target failed without a word. Keeping the slots."
        return [Log("warning", told), Outbid()]

    def _give_up_waiting(self, now: int) -> list[Effect]:
        self.doubtful = True
        return [
            Log(
                "warning",
                f"Write loss risk! During slot migration {self.description()}, new owner did not broadcast "
                "ownership before we unpaused ourselves. Any writes we have recorded since unpausing may be "
                "lost!",
            ),
            *self._fail(
                "Unpaused before migration completed (migration may have succeeded with lost writes)", now
            ),
        ]

    def lost(self, now: int) -> list[Effect]:
        """The connection is gone. Once the slots were granted that tells nothing."""
        if self.state is State.GRANTED:
            return []
        told = "Check CLUSTER GETSLOTMIGRATIONS on the target node for more information."
        return self._fail(f"Connection lost to target. {told}", now)

    def overflowed(self, now: int) -> list[Effect]:
        """More waits for the target than may be kept. Once the slots were granted nothing is written."""
        if self.state is State.GRANTED:
            return []
        return self._fail("Writes to the slots exceed client-output-buffer-limit replica", now)

    def flushed(self, now: int) -> list[Effect]:
        return self._fail("Data was flushed", now)

    def demoted(self, now: int) -> list[Effect]:
        """We are a replica now."""
        return self._fail("Slots are no longer owned by myself", now)

    def cancel(self, now: int) -> list[Effect]:
        return self._end(State.CANCELLED, "", now)

    # --- the end

    def _ack(self, now: int) -> Effect:
        self.ack_sent_at = now
        return Send((*SYNCSLOTS, b"ACK"))

    def _fail(self, message: str, now: int) -> list[Effect]:
        return self._end(State.FAILED, message, now)

    def _end(self, state: State, message: str, now: int) -> list[Effect]:
        held, self.held_until = self.held_until, 0
        resume: list[Effect] = [ResumeWrites()] if held else []
        return [*self.ended(now, state, message), Hangup(), *resume]
