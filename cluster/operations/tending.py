"""Looking after a cluster, for real: a look at it now and then, and what `cluster/plans/tending.py` finds is
done.

Slots move by plans with journals, as with `shoal rebalance`: in the directory of journals that is given, so
that `shoal migrations` pauses and cancels them. What an operator cancels is not planned again; what was
interrupted goes on. Each action is told in one line when it is done, moves of slots also when they begin. An
obstacle is told once, and tried again with the next look.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from cluster.addresses import parse_address
from cluster.operations.drafting import make_plan, require_sound
from cluster.operations.forming import Report
from cluster.operations.journals import Journal, all_journals, find_journal
from cluster.operations.link import Credentials, NodeLink, OperationError
from cluster.operations.membership import attach, forget, join
from cluster.operations.moving import Runner
from cluster.operations.survey import Survey
from cluster.plans.journal import End, Options, Wish
from cluster.plans.membership import require_forgettable
from cluster.plans.model import PlanError
from cluster.plans.rebalance import plan_rebalance
from cluster.plans.tending import Fill, Follow, Forget, Host, Introduce, Policy, Step, Tending

TITLE = "tend"
"""of plans that were made here; others are left to those who made them"""


class Tender:
    """`seeds`: where members may be found; `report` gets the lines. May be used in one thread at a time, but
    for `request_stop`."""

    def __init__(
        self,
        seeds: Callable[[], Sequence[tuple[str, int]]],
        policy: Policy,
        credentials: Credentials,
        journals: Path,
        report: Report,
    ) -> None:
        self.tending = Tending(policy)
        self._seeds = seeds
        self._credentials = credentials
        self._journals = journals
        self._report = report
        self.obstacle = ""
        """What the last look met with; empty if nothing was in the way."""
        self._survey: Survey | None = None
        self._runner: Runner | None = None
        self._stopping = False

    def request_stop(self) -> None:
        """No new step is begun; a move of slots stops where it can be gone on with."""
        self._stopping = True
        if self._runner is not None:
            self._runner.request_stop()

    def close(self) -> None:
        if self._survey is not None:
            self._survey.close()
            self._survey = None

    def look(self, host: Host) -> Step | None:
        """Do one thing if one is due, and return it. To start workers is the caller's part."""
        try:
            survey = self._refreshed()
            host, unfinished = self._with_journals(host)
            if unfinished and not self._stopping:
                self._resume(survey, unfinished)
            step = self.tending.next_step(survey.nodes, host, time.monotonic())
            if step is not None and not self._stopping:
                self._carry_out(step, survey)
            self.obstacle = ""
            return step
        except (OperationError, PlanError) as error:
            self.close()  # its member may be the obstacle
            if str(error) != self.obstacle and not self._stopping:
                self._report(f"looking after the cluster has to wait: {error}")
            self.obstacle = str(error)
            return None

    @property
    def has_plans(self) -> bool:
        """Whether a move of slots is to be gone on with."""
        return bool(self._with_journals(Host())[1])

    # --- what there is

    def _refreshed(self) -> Survey:
        if self._survey is None:
            self._survey = self._find()
        self._survey.refresh_from_any()
        return self._survey

    def _find(self) -> Survey:
        """The cluster as a member knows it who has company, if any has."""
        problem: OperationError | None = None
        alone: Survey | None = None
        for host, port in self._seeds():
            try:
                survey = Survey.of(host, port, self._credentials)
            except OperationError as error:
                problem = error
                continue
            if len(survey.views[0].nodes) > 1:
                if alone is not None:
                    alone.close()
                return survey
            if alone is None:
                alone = survey
            else:
                survey.close()
        if alone is not None:
            return alone
        raise problem or OperationError("no member of the cluster is known")

    def _with_journals(self, host: Host) -> tuple[Host, str]:
        """The host, with what plans tell, and the name of one that was interrupted."""
        unfinished, is_moving, declined = "", host.is_moving, set(host.declined)
        for journal in all_journals(self._journals):
            with journal:
                plan = journal.plan
                if plan.title != TITLE:
                    continue
                if plan.end is None:
                    is_moving = True
                    if plan.wish is Wish.RUN and not journal.is_carried_out:
                        unfinished = plan.id
                elif plan.end is End.CANCELLED:
                    declined |= {step.target for step in plan.steps}
        return replace(host, is_moving=is_moving, declined=frozenset(declined)), unfinished

    # --- what is done

    def _carry_out(self, step: Step, survey: Survey) -> None:
        nodes = survey.nodes
        match step:
            case Introduce(address):
                with closing(NodeLink(*parse_address(address), self._credentials)) as newcomer:
                    join(survey, newcomer)
                self._report(f"{address} has joined the cluster")
            case Follow(spare, primary):
                if not any(view.observer.id == spare for view in survey.views):
                    raise OperationError(f"{nodes[spare].address} does not answer")
                attach(survey, survey.link(spare), primary)
                self._report(f"{nodes[spare].address} is a replica of {nodes[primary].address} now")
            case Fill(spares):
                self._fill(survey, spares)
            case Forget(node):
                require_forgettable(nodes, node, {view.observer.id for view in survey.views})
                forget(survey, node)
                self._report(f"member {node} is gone for good, and forgotten")

    def _fill(self, survey: Survey, spares: Sequence[str]) -> None:
        require_sound(survey)
        moves = plan_rebalance(survey.nodes, dict.fromkeys(spares, 1.0), 0.0)
        if moves:
            with Journal.create(self._journals, make_plan(survey, TITLE, moves, Options())) as journal:
                names = " and ".join(survey.nodes[spare].address for spare in spares)
                self._move(survey, journal, f"{len(moves)} slots to {names}")

    def _resume(self, survey: Survey, name: str) -> None:
        with find_journal(self._journals, name) as journal:
            self._move(survey, journal, f"the rest of {journal.plan.slots} slots")

    def _move(self, survey: Survey, journal: Journal, what: str) -> None:
        if not journal.lock():
            return
        journal.reread()
        how = f"`shoal migrations --journal {self._journals}` shows how it goes"
        self._report(f"moving {what}, by plan {journal.plan.id}; {how}")
        started = time.monotonic()
        self._runner = Runner(survey, journal)
        try:
            if self._stopping:
                self._runner.request_stop()
            motion = self._runner.run()
        finally:
            self._runner = None
        seconds = time.monotonic() - started
        self._report(f"moved {motion.slots} slots with {motion.keys} keys in {seconds:.1f} s")
