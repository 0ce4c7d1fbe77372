"""Moving slots the way every Redis Cluster understands: key by key, while clients go on.

For each slot, with S its owner and T the node it goes to:

    1. T: CLUSTER SETSLOT slot IMPORTING S      T accepts clients that come with ASKING
    2. S: CLUSTER SETSLOT slot MIGRATING T      S sends clients whose key it no longer has to T (ASK)
    3. S: MIGRATE T ... KEYS ...                again and again, until S has no key of the slot left
    4. T, then S, then the other primaries: CLUSTER SETSLOT slot NODE T

T must be first in 4: if it were not, and S told clients that T is the owner, T would send them back. From 2
on no new key of the slot can appear on S, so "none left" stays true. A client meets nothing worse than ASK,
MOVED, and TRYAGAIN for commands whose keys are half here and half there.

Several slots make the steps together, as many as hold few enough keys, because a node writes its nodes.conf
to disk at every step; pipelined, it does so once for all of them. An interruption between any two steps
leaves a state that `plans/fix.py` knows how to finish, and every step may be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from cluster.operations.link import (
    ANONYMOUS,
    Argument,
    Credentials,
    ErrorReply,
    Interrupted,
    NodeLink,
    OperationError,
    Refused,
    Unreachable,
)
from cluster.plans.model import Move

SLOTS_TOGETHER = 16
KEYS_TOGETHER = 500
"""A batch is closed when its slots hold this many keys: MIGRATE keeps S from serving others meanwhile."""

COUNTED_TOGETHER = 64
"""Slots whose keys are counted in one go, so that the node serves its clients in between."""
GRACE_SECONDS = 10.0
"""By which we wait longer for a MIGRATE than S does, so that its own words arrive first."""

_TRANSIENT = ("TRYAGAIN", "LOADING", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS", "IOERR")
"""Errors that pass by themselves. IOERR: the connection between S and T broke or timed out."""
_FIRST_PAUSE = 0.2


@dataclass(frozen=True)
class MoveOptions:
    keys_per_migrate: int = 100
    timeout_ms: int = 60_000
    """How long S waits for T in one MIGRATE."""
    replace: bool = False
    """Overwrite keys that T already has: right where they are left-overs of an interrupted move."""
    credentials: Credentials = ANONYMOUS
    attempts: int = 6


@dataclass
class Progress:
    """What has been done, and of how much. The total of keys is counted at the start, so it is an
    estimate."""

    slots: int = 0
    keys: int = 0
    total_slots: int = 0
    total_keys: int = 0


class SlotMover:
    """Carries out moves between the primaries to which it is given links (by node id)."""

    def __init__(
        self,
        links: Mapping[str, NodeLink],
        options: MoveOptions = MoveOptions(),
        on_progress: Callable[[Progress], None] = lambda progress: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._links = links
        self._options = options
        self._on_progress = on_progress
        self._sleep = sleep
        self._stopping = False
        self._replace = options.replace
        self.progress = Progress()

    def request_stop(self) -> None:
        """End `run` with Interrupted after the slots that are now on their way. May be called by a signal
        handler."""
        self._stopping = True

    def run(self, moves: Sequence[Move]) -> Progress:
        """Carry out all `moves`. Raises OperationError; `progress` tells how far it came."""
        batches = [
            (source, target, list(group))
            for (source, target), group in groupby(moves, key=lambda move: (move.source, move.target))
        ]
        counts = [self.count_keys(source, [move.slot for move in group]) for source, _, group in batches]
        self.progress.total_slots += len(moves)
        self.progress.total_keys += sum(sum(found) for found in counts)
        self._on_progress(self.progress)
        for (source, target, group), found in zip(batches, counts, strict=True):
            for slots in _batched([move.slot for move in group], found):
                if self._stopping:
                    raise Interrupted(
                        f"stopped: {self.progress.slots} of {self.progress.total_slots} slots have moved",
                        "no slot is left open; run the command again to go on",
                    )
                self.move_slots(slots, source, target)
        return self.progress

    def count_keys(self, source: str, slots: Sequence[int]) -> list[int]:
        """Of all databases together."""
        totals = [0] * len(slots)
        for database in self._links[source].databases():
            found: list[int] = []
            with self._links[source].database(database):
                for first in range(0, len(slots), COUNTED_TOGETHER):
                    some = slots[first : first + COUNTED_TOGETHER]
                    found += self._insist(source, [("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in some])
            totals = [total + keys for total, keys in zip(totals, found, strict=True)]
        return totals

    def move_slots(self, slots: Sequence[int], source: str, target: str) -> None:
        """All four steps for `slots`."""
        self._open(slots, source, target)
        self.drain(slots, source, target)
        assign = [("CLUSTER", "SETSLOT", slot, "NODE", target) for slot in slots]
        self._insist(target, assign)
        # One that has given its last slot may follow the new owner already, and knows all of this.
        self._insist(source, assign, tolerated="only with masters")
        for other in self._links:
            if other not in (source, target):
                self._tell(other, assign)
        self.progress.slots += len(slots)
        self._on_progress(self.progress)

    def _open(self, slots: Sequence[int], source: str, target: str) -> None:
        """Steps 1 and 2. A slot that T already owns, from an interrupted move, is not opened again."""
        importing = [("CLUSTER", "SETSLOT", slot, "IMPORTING", source) for slot in slots]
        replies = self._insist(target, importing, tolerated="already the owner")
        unopened = [
            slot for slot, reply in zip(slots, replies, strict=True) if not isinstance(reply, ErrorReply)
        ]
        self._insist(source, [("CLUSTER", "SETSLOT", slot, "MIGRATING", target) for slot in unopened])

    def drain(self, slots: Sequence[int], source: str, target: str) -> None:
        """Step 3: move keys until the source has none of `slots`, in any database."""
        for database in self._links[source].databases():
            with self._links[source].database(database):
                self._drain_database(database, slots, source, target)

    def _drain_database(self, database: int, slots: Sequence[int], source: str, target: str) -> None:
        batch = self._options.keys_per_migrate
        waiting = list(slots)
        while waiting:
            commands = [("CLUSTER", "GETKEYSINSLOT", slot, batch) for slot in waiting]
            found = dict(zip(waiting, self._insist(source, commands), strict=True))
            waiting = [slot for slot in waiting if found[slot]]
            for slot in waiting:
                self._migrate(slot, database, found[slot], source, target)
                self.progress.keys += len(found[slot])
                self._on_progress(self.progress)

    def _migrate(self, slot: int, database: int, keys: list[bytes], source: str, target: str) -> None:
        """One MIGRATE. After a broken connection T may hold keys that S still has; S's are the ones clients
        see, so the repetition replaces T's."""
        pause = _FIRST_PAUSE
        replace = self._replace
        for attempt in range(1, self._options.attempts + 1):
            try:
                link = self._links[source]
                with link.patience(self._options.timeout_ms / 1000 + GRACE_SECONDS):
                    link.call(*self._migrate_command(database, keys, target, replace))
                return
            except Unreachable:
                if attempt == self._options.attempts:
                    raise
            except Refused as error:
                self._explain(error, slot, source, target)
                if attempt == self._options.attempts:
                    raise self._gave_up(error, slot, source, target) from error
            replace = True
            self._sleep(pause)
            pause *= 2

    def _migrate_command(
        self, database: int, keys: list[bytes], target: str, replace: bool
    ) -> list[Argument]:
        link = self._links[target]
        command: list[Argument] = ["MIGRATE", link.host, link.port, "", database, self._options.timeout_ms]
        if replace:
            command.append("REPLACE")
        return [*command, *self._options.credentials.migrate_arguments, "KEYS", *keys]

    def _explain(self, error: Refused, slot: int, source: str, target: str) -> None:
        """Raise for errors that repeating cannot mend, in words that say what would; return for the
        others."""
        of, to = self._links[source].address, self._links[target].address
        if "BUSYKEY" in error.reply:
            raise OperationError(
                f"slot {slot}: {to} already has a key of it, with another value perhaps than the one that"
                f" {of} serves",
                "a left-over of an interrupted move; run again with --replace to let the served one win",
            ) from error
        if "OOM" in error.reply:
            raise OperationError(
                f"slot {slot}: {to} is out of memory",
                "raise its maxmemory, then run `shoal fix` to finish the slot",
            ) from error
        if "NOAUTH" in error.reply or "WRONGPASS" in error.reply:
            raise OperationError(
                f"slot {slot}: {of} could not log in at {to}",
                "all nodes need the same user and password; then run `shoal fix`",
            ) from error
        if not _is_transient(error.reply):
            raise OperationError(
                f"slot {slot}: {error.text}", "the slot is left open; `shoal fix` finishes or closes it"
            ) from error

    def _gave_up(self, error: Refused, slot: int, source: str, target: str) -> OperationError:
        return OperationError(
            f"slot {slot}: {self._links[source].address} could not hand keys to"
            f" {self._links[target].address} in {self._options.attempts} attempts: {error.reply}",
            "if it holds very large values raise --timeout, or lower --pipeline; then run `shoal fix`",
        )

    def _insist(self, node: str, commands: Sequence[Sequence[Argument]], tolerated: str = "") -> list[Any]:
        """All commands in one pipeline; those that failed for a passing reason, or with the connection,
        again.

        Raises OperationError for any other error, but one whose text contains `tolerated` is returned.
        """
        link = self._links[node]
        replies: list[Any] = [None] * len(commands)
        waiting = list(range(len(commands)))
        pause = _FIRST_PAUSE
        for attempt in range(1, self._options.attempts + 1):
            last = attempt == self._options.attempts
            try:
                answers = link.pipeline([commands[i] for i in waiting]) if waiting else []
            except Unreachable:
                if last:
                    raise
            else:
                for i, answer in zip(waiting, answers, strict=True):
                    replies[i] = answer
                failed = [i for i in waiting if isinstance(replies[i], ErrorReply)]
                failed = [i for i in failed if not (tolerated and tolerated in replies[i].text)]
                waiting = [i for i in failed if _is_transient(replies[i].text)]
                hopeless = [i for i in failed if last or i not in waiting]
                if hopeless:
                    raise link.refused(commands[hopeless[0]], replies[hopeless[0]])
                if not waiting:
                    return replies
            self._sleep(pause)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")

    def _tell(self, node: str, commands: Sequence[Sequence[Argument]]) -> None:
        """Step 4 for bystanders: they would learn it by gossip, so one that is away or refuses is no
        obstacle."""
        try:
            self._links[node].pipeline(commands)
        except Unreachable:
            return


def _is_transient(reply: str) -> bool:
    return any(word in reply for word in _TRANSIENT)


def _batched(slots: Sequence[int], key_counts: Sequence[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    keys = 0
    for slot, count in zip(slots, key_counts, strict=True):
        if batch and (len(batch) == SLOTS_TOGETHER or keys + count > KEYS_TOGETHER):
            yield batch
            batch, keys = [], 0
        batch.append(slot)
        keys += count
    if batch:
        yield batch
