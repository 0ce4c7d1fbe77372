"""One end of a migration of whole slots: what both ends have in common.

The source exports, the target imports; each has a job of the same name, and so have the target's replicas,
which only track what happens at their primary. A job that has ended stays in the list that CLUSTER
GETSLOTMIGRATIONS shows, as a record.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, ClassVar

from cluster.migration.effects import Effect, Log
from cluster.slots import from_range

SYNCSLOTS = (b"CLUSTER", b"SYNCSLOTS")
ACK_PERIOD = 1000
"""Ms between two signs of life."""


class State(StrEnum):
    """The words of CLUSTER GETSLOTMIGRATIONS."""

    # the target
    WAITING_FOR_ACK = "waiting-for-ack"
    RECEIVING_SNAPSHOT = "receiving-snapshot"
    WAITING_FOR_PAUSED = "waiting-for-paused"
    FAILOVER_REQUESTED = "failover-requested"
    GRANTED = "failover-granted"
    OCCURRING_ON_PRIMARY = "occurring-on-primary"
    # the source
    CONNECTING = "connecting"
    READING_AUTH = "reading-auth-response"
    READING_ESTABLISH = "reading-establish-response"
    WAITING_TO_SNAPSHOT = "waiting-to-snapshot"
    SNAPSHOTTING = "snapshotting"
    STREAMING = "replicating"
    WAITING_TO_PAUSE = "waiting-to-pause"
    PAUSED = "failover-paused"
    # the end
    SUCCESS = "success"
    CANCELLED = "cancelled"
    FAILED = "failed"


ENDED = frozenset((State.SUCCESS, State.CANCELLED, State.FAILED))


class Job:
    """`name`: 40 hex characters. `ranges`: slots, first and last of each. `source`, `target`: node ids, empty
    where not known. Times are Unix ms."""

    operation: ClassVar[str]
    state: State

    def __init__(
        self, name: str, ranges: Sequence[tuple[int, int]], source: str, target: str, now: int
    ) -> None:
        self.name = name
        self.ranges = list(ranges)
        self.slots = 0
        for first, last in ranges:
            self.slots |= from_range(first, last)
        self.source = source
        self.target = target
        self.created_at = self.changed_at = self.acked_at = self.ack_sent_at = now
        self.message = ""
        self.copied_bytes = 0
        """What the snapshot's child had to copy."""
        self.sent = 0
        """Bytes that were handed to the connection."""
        self.paused_at = 0
        """When writes were first held."""
        self.unsent = 0
        """Bytes that wait for the target."""

    @property
    def in_progress(self) -> bool:
        return self.state not in ENDED

    @property
    def only_tracked(self) -> bool:
        """It happens elsewhere: at our primary."""
        return not self.source

    @property
    def ranges_text(self) -> str:
        return " ".join(f"{first}-{last}" for first, last in self.ranges)

    def description(self) -> str:
        other = (
            f"target_node_id: {self.target}"
            if self.operation == "EXPORT"
            else f"source_node_id: {self.source}"
        )
        return (
            f"{{name: {self.name}, operation: {self.operation.lower()}, {other}, slots: {self.ranges_text}}}"
        )

    def change(self, state: State, now: int) -> Effect:
        """Go to `state`; returns the line for the log."""
        before, self.state = self.state, state
        self.changed_at = now
        return Log("notice", f"Slot migration {self.description()} state transition: {before} -> {state}")

    def ended(self, now: int, state: State, message: str) -> list[Effect]:
        """Go to one of the last states; returns the lines for the log."""
        self.message = message
        level = "warning" if state is State.FAILED else "notice"
        told = f"State: {state}, Message: {message or 'none'}"
        return [self.change(state, now), Log(level, f"Slot migration {self.description()} finished. {told}")]

    def is_silent(self, now: int, timeout: int) -> bool:
        """Nothing was heard of the other end for `timeout` ms."""
        return now - self.acked_at > timeout

    def view(self) -> dict[bytes, Any]:
        """As CLUSTER GETSLOTMIGRATIONS shows it; times in seconds. Of an export it tells the bytes sent, too,
        which Valkey does not."""
        shown: dict[bytes, Any] = {
            b"name": self.name.encode(),
            b"operation": self.operation.encode(),
            b"slot_ranges": self.ranges_text.encode(),
        }
        if not self.only_tracked:
            shown[b"target_node"] = self.target.encode()
            shown[b"source_node"] = self.source.encode()
        return shown | {
            b"create_time": self.created_at // 1000,
            b"last_update_time": self.changed_at // 1000,
            b"last_ack_time": self.acked_at // 1000,
            b"state": self.state.encode(),
            b"message": self.message.encode(),
            b"cow_size": self.copied_bytes,
            b"remaining_repl_size": self.unsent,
            **({b"sent_bytes": self.sent} if self.operation == "EXPORT" else {}),
        }
