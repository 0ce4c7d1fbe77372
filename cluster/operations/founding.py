"""Seeing one worker into its cluster: it is founded if need be, or the worker finds its place in it.

Who does what is decided in `cluster/plans/founding.py`; the cluster is made as `shoal create` makes it
(`forming.py`). Nothing here ends with an error: what stands in the way (a member that is starting, one that
died, a wrong password) may pass, so it is told once, and tried again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from cluster.operations.forming import Report, form, introduce
from cluster.operations.link import NodeLink, OperationError, Unreachable
from cluster.operations.membership import attach, forget
from cluster.operations.survey import Survey, read_view
from cluster.plans.founding import Part, all_see, part_of, plan_founding, present
from cluster.plans.homes import homes, is_present, spares
from cluster.plans.model import PlanError, View

POLL = 0.3
FOUNDER_SECONDS = 10.0
"""for whoever founded the cluster to give us our place in it, before we look for one"""
HOME_SECONDS = 60.0
"""for the members to find out that one is missing: this worker may be there in its stead"""


@dataclass(frozen=True)
class Expected:
    size: int
    replicas: int
    """for each primary"""


def settle(
    own: NodeLink, expected: Expected, report: Report, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Return when the worker behind `own` has its place: slots, a primary to replicate, or, where nothing is
    missing, none."""
    usher = _Usher(own, expected, report)
    said = ""
    while True:
        try:
            if usher.is_done():
                return
        except (OperationError, PlanError) as error:
            if str(error) != said and not isinstance(error, Unreachable):
                report(f"not yet: {error}")
            said = str(error)
        sleep(POLL)


class _Usher:
    def __init__(self, own: NodeLink, expected: Expected, report: Report) -> None:
        self._own = own
        self._expected = expected
        self._report = report
        self._founded_by = 0.0
        self._give_up_at = float("inf")

    def is_done(self) -> bool:
        """Do what can be done now. Raises OperationError or PlanError."""
        view, now = read_view(self._own), time.monotonic()
        part = part_of(view, self._expected.size)
        if part is not Part.JOIN:
            self._founded_by = now + FOUNDER_SECONDS
            if part is Part.FOUND:
                found(self._own, view, self._expected, self._report)
            return False
        if view.observer.slots or not view.observer.is_primary:
            return True
        if now < self._founded_by:
            return False
        self._give_up_at = min(self._give_up_at, now + HOME_SECONDS)
        if find_home(self._own, view, self._expected.replicas, self._report):
            return True
        if self._expected.replicas and now < self._give_up_at:
            return False
        self._report(
            "this worker is a spare: no primary lacks a replica; `shoal rebalance --use-empty` gives it slots"
        )
        return True


def found(own: NodeLink, view: View, expected: Expected, report: Report) -> None:
    """Make the cluster, if all who are there see that they are."""
    there = present(view)
    survey = Survey(own, own.credentials)
    links: dict[tuple[str, int], NodeLink] = {}
    try:
        survey.refresh()
        if not all_see(survey.views, there):
            return
        zones = {each.observer.id: each.observer.zone for each in survey.views}
        nodes = [replace(view.nodes[node_id], zone=zones[node_id]) for node_id in there]
        plan = plan_founding(nodes, expected.replicas)
        links = {address: NodeLink(*address, own.credentials) for address in plan.addresses}
        for lost in view.nodes.keys() - there:  # it was never more than a name
            forget(survey, lost)
        report(f"forming a cluster of {len(there)} members")
        with form(plan, links, report):
            report(f"the cluster is formed: {len(plan.primaries)} primaries serve all slots")
    finally:
        survey.close()
        for link in links.values():
            link.close()


def find_home(own: NodeLink, view: View, replicas: int, report: Report) -> bool:
    """For a worker that came when the cluster was there: it follows a primary that lacks a replica. False if
    none does."""
    server = next(node for node in view.nodes.values() if node.slots and is_present(node))
    with Survey.of(server.host, server.port, own.credentials) as survey:
        if view.observer.id not in survey.views[0].nodes:  # they have forgotten us
            introduce(survey.seed, own)
            return False
        nodes = survey.nodes
        primary = homes(nodes, spares(nodes), replicas).get(view.observer.id)
        if primary is None:
            return False
        attach(survey, own, primary, report)
        report(f"this worker is a replica of {nodes[primary].address}")
        return True
