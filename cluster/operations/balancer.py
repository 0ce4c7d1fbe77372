"""Balancing a cluster again and again: a look at the load every so often, and a plan of moves when it has
been out of balance for long enough (cluster/plans/steadiness.py decides), within the windows of time that are
open.

A round is a plan with a journal like any other, so `shoal migrations` shows it and can end it. Who stops the
balancer, or a window that closes, lets what is under way arrive; the rest of the plan is cancelled, because
the next round will plan by what is true then. A cluster that cannot be asked or changed for now is told of,
and looked at again the next time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cluster.operations.drafting import make_plan, require_sound
from cluster.operations.journals import Journal
from cluster.operations.link import OperationError
from cluster.operations.moving import Runner, withdraw
from cluster.operations.slot_loads import LoadMeter, Measure
from cluster.operations.stepping import Motion, Stopped
from cluster.operations.survey import Survey
from cluster.plans.journal import Options
from cluster.plans.load import LoadPlan
from cluster.plans.model import NodeInfo
from cluster.plans.steadiness import Limits, Steadiness, Windows


@dataclass(frozen=True)
class Policy:
    """`interval`: seconds between two looks; `weights` by node id; `directory`: of the journals."""

    measure: Measure
    directory: Path
    interval: float = 60.0
    limits: Limits = field(default_factory=Limits)
    windows: Windows = field(default_factory=Windows)
    weights: Mapping[str, float] = field(default_factory=dict)
    use_empty: bool = False
    options: Options = field(default_factory=Options)
    dry_run: bool = False


class Balancer:
    """`tell` gets what happens: {"event": "sample" | "moved" | "problem", ...}, see `shoal autobalance`.
    `today` gives the time of day."""

    def __init__(
        self,
        survey: Survey,
        policy: Policy,
        tell: Callable[[dict[str, Any]], None],
        today: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._survey = survey
        self._policy = policy
        self._tell = tell
        self._today = today
        self._meter = LoadMeter(policy.measure)
        self._steadiness = Steadiness(policy.limits)
        self._stopping = threading.Event()
        self._runner: Runner | None = None

    def request_stop(self) -> None:
        """Stop when what is under way has arrived. May be called by a signal handler."""
        self._stopping.set()
        if self._runner is not None:
            self._runner.request_stop()

    def run(self, looks: int | None = None) -> None:
        """So many looks, or until it is stopped. Raises OperationError if the first look fails, and what
        happens in a round if looks are numbered."""
        if self._meter.look(self._survey) is None:
            self._stopping.wait(self._policy.interval)
        while not self._stopping.is_set():
            try:
                moved = self._look()
            except OperationError as error:
                if looks is not None:
                    raise
                self._steadiness.forget()
                self._tell({"event": "problem", "text": error.text, "next_step": error.next_step})
                moved = False
            if looks is not None:
                looks -= 1
                if moved or not looks:
                    return
            self._stopping.wait(self._policy.interval)

    def _look(self) -> bool:
        """Whether it made a round."""
        policy, survey = self._policy, self._survey
        survey.refresh_from_any()
        require_sound(survey)
        loads = self._meter.look(survey)
        assert loads is not None
        nodes = {node.id: node for node in survey.nodes.values() if not node.failed}
        now, weights = time.monotonic(), self._weights(nodes)
        plan = self._steadiness.consider(nodes, loads, now, weights, policy.use_empty)
        decision = self._decision(plan)
        self._tell(
            {
                "event": "sample",
                "spread_percent": None if plan is None else round(plan.spread_before, 2),
                "decision": decision,
                "moves": 0 if plan is None else len(plan.moves),
            }
        )
        if plan is None or decision != "move":
            return False
        self._steadiness.moved([move.slot for move in plan.moves], now)
        self._carry_out(plan)
        self._meter.look(survey)  # a new owner counts anew, so the next sample begins here
        return True

    def _decision(self, plan: LoadPlan | None) -> str:
        if plan is None:
            return "no load"
        if plan.moves:
            if self._policy.dry_run:
                return "would move"
            return "move" if self._policy.windows.is_open(self._today().time()) else "outside the windows"
        if plan.spread_before <= self._policy.limits.threshold:
            return "balanced"
        return "watch"

    def _carry_out(self, plan: LoadPlan) -> None:
        policy = self._policy
        drawn = make_plan(self._survey, f"autobalance --by {policy.measure}", plan.moves, policy.options)
        with Journal.create(policy.directory, drawn) as journal:
            journal.lock()
            self._runner = Runner(self._survey, journal, self._close_with_the_window)
            if self._stopping.is_set():
                self._runner.request_stop()
            try:
                motion = self._runner.run()
            except OperationError as error:
                if journal.plan.end is None:
                    withdraw(self._survey, journal)
                if not isinstance(error, Stopped):
                    raise
                motion = self._runner.motion
            finally:
                self._runner = None
        self._tell(
            {
                "event": "moved",
                "plan": drawn.id,
                "slots": motion.slots,
                "keys": motion.keys,
                "of_slots": len(plan.moves),
                "spread_percent": {
                    "before": round(plan.spread_before, 2),
                    "after": round(plan.spread_after, 2),
                },
            }
        )

    def _close_with_the_window(self, _motion: Motion) -> None:
        if self._runner is not None and not self._policy.windows.is_open(self._today().time()):
            self._runner.request_stop()

    def _weights(self, nodes: Mapping[str, NodeInfo]) -> dict[str, float]:
        """As given, of the shards: a weight goes with its node's place to who has taken it."""
        found = {}
        for node_id, weight in self._policy.weights.items():
            heir = nodes[node_id].primary_id or node_id if node_id in nodes else ""
            if heir in nodes:
                found[heir] = weight
        return found
