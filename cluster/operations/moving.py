"""Carrying a plan of moves out, and going on with one.

Steps between different nodes go on side by side, as many as the plan's options say (`--at-once`), each by a
thread with connections of its own (stepping.py). Two steps that have a node in common never do, so a node
does for the plan what it would do if steps went one after another. They begin in the plan's order, as nodes
become free.

The journal needs no order: it tells of each step that it began and that it was done. Who goes on with a plan
whose program was killed may find several begun, and asks the cluster what is left of each.

If one step cannot go on, nor can the plan: the others come to the end of what they have under way, and then
the first one's reason is told.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from cluster.operations import atomic
from cluster.operations.governor import put_back
from cluster.operations.journals import Journal
from cluster.operations.link import OperationError
from cluster.operations.stepping import Cancelled, Motion, StepRunner, Stopped
from cluster.operations.survey import Survey
from cluster.plans.check import check
from cluster.plans.journal import End, startable
from cluster.plans.pace import Pace

AGREEMENT = 10.0
"""Seconds to wait for the news to reach everybody."""
POLL = 0.2

_DISAGREEMENT = ("disagreement", "contested")


class Runner:
    """Raises OperationError from `run`, Stopped among them; the journal says why it stopped."""

    def __init__(
        self,
        survey: Survey,
        journal: Journal,
        on_motion: Callable[[Motion], None] = lambda motion: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._survey = survey
        self._journal = journal
        self._plan = plan = journal.plan
        self._on_motion = on_motion
        self._sleep = sleep
        self._stopping = False
        self._running: dict[int, StepRunner] = {}
        """By the number of the step."""
        self._changed = threading.Condition()
        """Held to read and change what steps tell us, notified when one has ended."""
        self._ended: list[tuple[StepRunner, BaseException | None]] = []
        self._rested = Motion(plan.slots_done, plan.keys)
        """What steps that do not go on now have done."""
        totals = plan.slots, sum(step.keys for step in plan.steps)
        self.motion = Motion(plan.slots_done, plan.keys, 0.0, *totals)

    def request_stop(self) -> None:
        """Stop when what is under way has arrived. May be called by a signal handler."""
        self._stopping = True
        for step in list(self._running.values()):
            step.request_stop()

    def run(self) -> Motion:
        self._on_motion(self.motion)
        try:
            self._carry_out_steps()
            self._await_agreement()
            self._journal.add("ended", how=End.DONE)
        except Cancelled as stopped:
            self._journal.add("ended", how=End.CANCELLED)
            raise self._explained(stopped) from stopped
        except Stopped as stopped:
            told = self._explained(stopped)
            self._journal.add("stopped", text=str(told))
            raise told from stopped
        except OperationError as error:
            self._journal.add("stopped", text=str(error))
            raise
        finally:
            if self._plan.borrowed:
                with contextlib.suppress(OperationError):
                    self._survey.refresh_from_any()
                put_back(self._journal, self._survey.link)
        return self.motion

    # --- steps side by side

    def _carry_out_steps(self) -> None:
        problem: BaseException | None = None
        while True:
            if problem is None and not self._stopping:
                self._begin_what_may_begin()
            if not self._running:
                break
            for error in self._wait_for_ends():
                problem = problem or error
            if problem is not None:
                for step in self._running.values():
                    step.request_stop()
            self._share_bandwidth()
        if problem is not None:
            raise problem
        if self._plan.pending:
            raise Stopped("stopped")

    def _begin_what_may_begin(self) -> None:
        for number in startable(self._plan, self._running, self._plan.options.at_once):
            options = self._plan.options
            pace = Pace(options.bandwidth, options.max_p99)
            step = StepRunner(self._survey.twin(), self._journal, number, pace, self._show, self._sleep)
            self._running[number] = step
            self._share_bandwidth()
            threading.Thread(target=self._run, args=(step,), name=f"step {number}", daemon=True).start()

    def _run(self, step: StepRunner) -> None:
        """In a thread of its own."""
        problem: BaseException | None = None
        try:
            step.run()
        except BaseException as error:
            problem = error
        finally:
            step.survey.close()
        with self._changed:
            self._ended.append((step, problem))
            self._changed.notify()

    def _wait_for_ends(self) -> list[BaseException]:
        """Until one step has ended at least; returns why any of them could not go on. Looks up now and then:
        signals are heard between two waits only."""
        with self._changed:
            while not self._ended:
                self._changed.wait(POLL)
            ended, self._ended = self._ended, []
            for step, _ in ended:
                del self._running[step.number]
                self._rested.slots += step.motion.slots
                self._rested.keys += step.motion.keys
                self._rested.bytes += step.motion.bytes
            self._show()
        return [error for _, error in ended if error is not None]

    def _share_bandwidth(self) -> None:
        """The limit is that of the whole plan."""
        bandwidth = self._plan.options.bandwidth
        for step in self._running.values():
            step.pace.limit(-(-bandwidth // len(self._running)))

    def _show(self) -> None:
        """Some step has come further."""
        with self._changed:
            parts = [self._rested, *(step.motion for step in self._running.values())]
            self.motion.slots = sum(part.slots for part in parts)
            self.motion.keys = sum(part.keys for part in parts)
            self.motion.bytes = sum(part.bytes for part in parts)
            self._on_motion(self.motion)

    # --- the end

    def _await_agreement(self) -> None:
        """All hear by gossip who owns what; whoever looks next shall find them agreed. It is no failure if
        that takes longer."""
        until = time.monotonic() + AGREEMENT
        while time.monotonic() < until:
            self._survey.refresh_from_any()
            if not any(problem.kind in _DISAGREEMENT for problem in check(self._survey.views, {})):
                return
            self._sleep(POLL)

    def _explained(self, stopped: Stopped) -> Stopped:
        told = f"{stopped.text}: {self.motion.slots} of {self.motion.total_slots} slots have moved"
        if isinstance(stopped, Cancelled):
            return Stopped(told, "no slot is left open; those stay where they are")
        return Stopped(told, f"no slot is left open; `shoal migrations resume {self._plan.id}` goes on")


def withdraw(survey: Survey, journal: Journal) -> None:
    """End a plan that nobody carries out: give up what it has under way, and put settings back."""
    wanted = [journal.plan.steps[number] for number in journal.plan.pending]
    for node in survey.primaries:
        link = survey.link(node.id)
        if not atomic.can_migrate_slots(link):
            continue
        for step in wanted:
            running = atomic.running_export(link, step.slots & node.slots)
            if running is not None and not atomic.give_up(link, running.name):
                raise OperationError(
                    f"{link.address} has other migrations under way, too, and can only cancel all of them",
                    "wait for their end, or send it CLUSTER CANCELSLOTMIGRATIONS",
                )
    put_back(journal, survey.link)
    journal.add("ended", how=End.CANCELLED)
