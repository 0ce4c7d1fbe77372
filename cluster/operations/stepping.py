"""Carrying one step of a plan of moves out, or what is left of it.

The cluster is asked first what is left: somebody may have been here before us, and was killed; a primary may
have died and have an heir; a migration that our predecessor began may still be under way. Then what is left
moves, at once where both nodes can do that, key by key elsewhere, and the step is done when the target owns
all of it. So it does not matter where in a step anybody died.

What may pass by itself (a node restarts, a failover) is waited for, PATIENCE seconds in all without any
progress. Wishes of the operator (`shoal migrations pause`, `cancel`) are looked for in the journal all the
time: a pause comes when what is under way has arrived, since giving it up would only waste it; a cancellation
gives it up at once.

Steps between different nodes are carried out side by side (moving.py), each by a thread, so nothing here is
shared but the journal: a step asks over connections of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cluster.migration.classic import MoveOptions, Progress, SlotMover
from cluster.operations import atomic
from cluster.operations.governor import Governor
from cluster.operations.journals import Journal
from cluster.operations.latency import Probe
from cluster.operations.link import Interrupted, NodeLink, OperationError, Unreachable
from cluster.operations.survey import Survey
from cluster.plans.journal import JournalError, Wish, remainder
from cluster.plans.model import Move
from cluster.plans.pace import Pace
from cluster.slots import count, format_ranges, from_iterable, members

PATIENCE = 60.0
FIRST_LOOK, POLL = 0.02, 0.2
"""Seconds between two looks at a migration, at first and later on."""
GROWTH = 1.3
"""Of that time from look to look, so that the end of a short one is not seen long after."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 1.0


@dataclass
class Motion:
    """How far a plan, or a step of it, has come, by what this run has seen. Totals are estimates, made when
    it was planned."""

    slots: int = 0
    keys: int = 0
    bytes: float = 0.0
    total_slots: int = 0
    total_keys: int = 0


class Stopped(Interrupted):
    """The operator wishes a pause, or interrupts us."""


class Cancelled(Stopped):
    """The operator wants no more of the plan."""


class StepRunner:
    """Carries out step `number` of a plan, on connections of its own: `survey` is its alone. `pace` may be
    changed meanwhile."""

    def __init__(
        self,
        survey: Survey,
        journal: Journal,
        number: int,
        pace: Pace,
        on_motion: Callable[[], None],
        sleep: Callable[[float], None],
    ) -> None:
        self.survey = survey
        self._journal = journal
        self._plan = journal.plan
        self.number = number
        self._step = self._plan.steps[number]
        self.pace = pace
        self._on_motion = on_motion
        self._sleep = sleep
        self._stopping = False
        self._mover: SlotMover | None = None
        self._probes = pace.watches
        self._probe = Probe()
        self._governor = Governor(journal, pace, self._probe, sleep)
        self._atomic: dict[str, bool] = {}
        self._key_bytes: dict[str, float] = {}
        self.motion = Motion()
        """Of this step alone."""

    def request_stop(self) -> None:
        """Stop when what is under way has arrived. May be called by others, a signal handler too."""
        self._stopping = True
        mover = self._mover
        if mover is not None:
            mover.request_stop()

    def run(self) -> None:
        """Until nothing is left of it. Raises OperationError, Stopped among them."""
        number, step = self.number, self._step
        keys = 0
        again = number in self._plan.begun
        patience, pause = time.monotonic() + PATIENCE, FIRST_PAUSE
        left = count(step.slots) + 1
        while True:
            try:
                moves = self._left()
                if not moves:
                    break
                self._heed_wishes()
                if number not in self._plan.begun:
                    self._journal.add("began", step=number)
                if len(moves) < left:
                    left, patience, pause = len(moves), time.monotonic() + PATIENCE, FIRST_PAUSE
                keys += self._move(_of_first_pair(moves), again)
            except (Unreachable, atomic.JobFailed):
                if time.monotonic() > patience:
                    raise
                again = True
                self._wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        self._journal.add("done", step=number, keys=keys)
        self.motion.slots, self.motion.keys = count(step.slots), keys or step.keys
        self._on_motion()

    def _left(self) -> list[Move]:
        step = self._step
        self.survey.refresh_from_any()
        try:
            rest = remainder(self._plan, step, self.survey.nodes)
        except JournalError as error:
            raise atomic.JobFailed(str(error), "bring it back, then `shoal migrations resume`") from error
        if rest.lost:
            raise OperationError(
                f"slots {format_ranges(rest.lost)} belong to nobody that this plan knows of",
                f"if that is as it should be, `shoal migrations cancel {self._plan.id}` and plan anew",
            )
        return rest.moves or self._left_open()

    def _left_open(self) -> list[Move]:
        """Slots that have a new owner, of which their former one has not been told by who was killed: it
        holds them for migrating yet."""
        owners = {slot: node.id for node in self.survey.nodes.values() for slot in members(node.slots)}
        return [
            Move(slot, view.observer.id, owners[slot])
            for view in self.survey.views
            for slot in sorted(view.migrating)
            if self._step.slots >> slot & 1 and owners.get(slot, view.observer.id) != view.observer.id
        ]

    def _move(self, moves: Sequence[Move], again: bool) -> int:
        """From one node to another; returns how many keys they held."""
        source, target = moves[0].source, moves[0].target
        links = [self.survey.link(node) for node in (source, target)]
        require_in_service(links[1])
        self._governor.begin(source, links[0])
        at_once = (
            not self._plan.options.classic
            and not self._are_open(moves)
            and self._can_move_at_once(source)
            and self._can_move_at_once(target)
        )
        with self._probe.watching(links if self._probes else ()):
            return self._move_at_once(moves) if at_once else self._move_key_by_key(moves, again)

    def _are_open(self, moves: Sequence[Move]) -> bool:
        """Begun the classic way, and so ended in it."""
        opened = {slot for view in self.survey.views for slot in (*view.migrating, *view.importing)}
        return any(move.slot in opened for move in moves)

    def _can_move_at_once(self, node: str) -> bool:
        if node not in self._atomic:
            self._atomic[node] = atomic.can_migrate_slots(self.survey.link(node))
        return self._atomic[node]

    # --- at once

    def _move_at_once(self, moves: Sequence[Move]) -> int:
        source, target = (self.survey.link(node) for node in (moves[0].source, moves[0].target))
        wanted = from_iterable(move.slot for move in moves)
        running = atomic.running_export(source, wanted)
        if running is not None:
            name, slots = running.name, [move.slot for move in moves]
        else:
            slots = self._portion(source, [move.slot for move in moves])
            name = ""
        keys, sample = self._weigh(source, slots)
        if not name:
            name = atomic.begin(source, from_iterable(slots), moves[0].target)
        return self._await(name, source, target, slots, keys, sample)

    def _weigh(self, source: NodeLink, slots: list[int]) -> tuple[int, dict[int, int]]:
        """How many keys these slots hold, and how many some of them do, by slot. Of a whole step the plan
        knows the former: while a node counts, its clients wait."""
        if from_iterable(slots) == self._step.slots:
            some = atomic.sample(slots)
            held = dict(zip(some, atomic.count_keys(source, some), strict=True))
            if any(held.values()) or not self._step.keys:
                return self._step.keys, held
        held = dict(zip(slots, atomic.count_keys(source, slots), strict=True))
        some = atomic.sample([slot for slot in slots if held[slot]])
        return sum(held.values()), {slot: held[slot] for slot in some}

    def _portion(self, source: NodeLink, slots: list[int]) -> list[int]:
        """As many of these as may go without a rest."""
        limit = self._governor.portion
        if limit == float("inf"):
            return slots
        chosen: list[int] = []
        weight = 0.0
        for slot, keys in zip(slots, atomic.count_keys(source, slots), strict=True):
            weight += keys * self._bytes_of_a_key(source)
            if chosen and weight > limit:
                break
            chosen.append(slot)
        return chosen

    def _await(
        self,
        name: str,
        source: NodeLink,
        target: NodeLink,
        slots: Sequence[int],
        keys: int,
        sample: dict[int, int],
    ) -> int:
        base = Motion(self.motion.slots, self.motion.keys, self.motion.bytes)
        estimate = keys * self._bytes_of_a_key(source)
        pause = FIRST_LOOK
        while True:
            self._heed_cancellation(source, name)
            job = atomic.look(source, name)
            if job is None:
                raise atomic.JobFailed(f"{source.address} knows nothing of its migration any more")
            if not job.in_progress:
                break
            share = atomic.share_arrived(target, sample)
            self._show(base, round(share * keys), job.sent or share * estimate)
            self._governor.heed(job.sent or share * estimate)
            self._sleep(pause)
            pause = min(pause * GROWTH, POLL)
        if job.state != "success":
            raise atomic.failure(source, target, job)
        self._governor.heed(job.sent or estimate)
        self._show(base, keys, job.sent or estimate, len(slots))
        return keys

    # --- key by key

    def _move_key_by_key(self, moves: Sequence[Move], again: bool) -> int:
        options = self._plan.options
        source = self.survey.link(moves[0].source)
        weight = self._bytes_of_a_key(source)
        base = Motion(self.motion.slots, self.motion.keys, self.motion.bytes)
        links = {node.id: self.survey.link(node.id) for node in self.survey.primaries}

        def moved(done: Progress) -> None:
            self._show(base, done.keys, done.keys * weight, done.slots)
            self._governor.heed(done.keys * weight)
            if not self._stopping and self._journal.reread().wish is not Wish.RUN:
                mover.request_stop()

        # A key that an interrupted move left at the target, too, gives way to that which is served.
        replace = options.replace or again
        how = MoveOptions(options.pipeline, round(options.timeout * 1000), replace, self.survey.credentials)
        mover = self._mover = SlotMover(links, how, moved, self._sleep)
        if self._stopping:
            mover.request_stop()
        try:
            return mover.run(moves).keys
        except Interrupted:
            self._heed_wishes()
            raise
        finally:
            self._mover = None

    # --- what all have in common

    def _show(self, base: Motion, keys: int, sent: float, slots: int = 0) -> None:
        self.motion.slots = base.slots + slots
        self.motion.keys = base.keys + keys
        self.motion.bytes = base.bytes + sent
        self._on_motion()

    def _bytes_of_a_key(self, link: NodeLink) -> float:
        """On the average, by what the node says of its memory."""
        if link.address not in self._key_bytes:
            told = dict(
                line.split(":", 1) for line in link.call_text("INFO", "memory").splitlines() if ":" in line
            )
            keys = int(link.call("DBSIZE"))
            self._key_bytes[link.address] = int(told.get("used_memory_dataset", 0)) / keys if keys else 0.0
        return self._key_bytes[link.address]

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._heed_wishes()
            self._sleep(POLL)

    def _heed_wishes(self) -> None:
        plan = self._journal.reread()
        if plan.wish is Wish.CANCEL:
            raise Cancelled("cancelled")
        if plan.wish is Wish.PAUSE:
            raise Stopped("paused")
        if self._stopping:
            raise Stopped("stopped")

    def _heed_cancellation(self, source: NodeLink, name: str) -> None:
        if self._journal.reread().wish is Wish.CANCEL and atomic.give_up(source, name):
            raise Cancelled("cancelled")


def _of_first_pair(moves: Sequence[Move]) -> list[Move]:
    """Those between the same two nodes as the first."""
    first = moves[0]
    return [move for move in moves if (move.source, move.target) == (first.source, first.target)]


def require_in_service(target: NodeLink) -> None:
    """A primary that has come just now may hold the cluster for down yet, and would refuse its slots'
    clients. Raises JobFailed."""
    if "cluster_state:ok" not in target.call_text("CLUSTER", "INFO"):
        raise atomic.JobFailed(
            f"for {target.address} the cluster is down, so it would serve nobody", "`shoal check` says more"
        )
