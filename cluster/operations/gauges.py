"""What all members are doing: their counters, read at once (cluster/readings/activity.py: what two readings
amount to).

A reading asks one member who there is, and everybody for the counters of INFO, side by side, so that one who
is slow or gone holds nobody up.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from cluster.operations.atomic import jobs_of
from cluster.operations.link import Credentials, NodeLink, OperationError
from cluster.operations.server_info import read_info
from cluster.operations.survey import read_view
from cluster.plans.model import NodeInfo
from cluster.readings.activity import Reading, Sample, SlotUse, slot_use_of
from cluster.readings.command_times import Times, times_of
from cluster.readings.slot_jobs import Job

ANSWER_SECONDS = 2.0
AT_ONCE = 32
OPEN_SLOTS_UP_TO = 100
"""Members. Everybody's own CLUSTER NODES tells of its open slots, and is as long as the cluster is large."""
HOT_SLOTS = 40
"""Of each primary, the costliest since it counts: among them are those that are costly now."""


class Gauges:
    """Links to all members, kept open. A context manager."""

    def __init__(self, host: str, port: int, credentials: Credentials) -> None:
        self._credentials = credentials
        self._links = {(host, port): NodeLink(host, port, credentials, ANSWER_SECONDS)}
        self._pool = ThreadPoolExecutor(AT_ONCE)

    def __enter__(self) -> Gauges:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        for link in self._links.values():
            link.close()

    def sample(self) -> Sample:
        """Raises OperationError when no member answers."""
        nodes = self._members()
        at = time.monotonic()
        thorough = len(nodes) <= OPEN_SLOTS_UP_TO
        asked = {
            node.id: self._pool.submit(_read, self._links[node.host, node.port], node, thorough)
            for node in nodes.values()
        }
        return Sample(at, nodes, {node_id: reading.result() for node_id, reading in asked.items()})

    def _members(self) -> dict[str, NodeInfo]:
        """By whoever answers first."""
        problem: OperationError | None = None
        for address, link in list(self._links.items()):
            try:
                view = read_view(link)
            except OperationError as error:
                problem = problem or error
                continue
            # Who answers is asked first the next time.
            self._links = {address: link, **self._links}
            nodes = {node.id: node for node in view.nodes.values() if "noaddr" not in node.flags}
            for node in nodes.values():
                place = (node.host, node.port)
                if node.id == view.observer.id:
                    self._links.setdefault(place, link)
                if place not in self._links:
                    self._links[place] = NodeLink(*place, self._credentials, ANSWER_SECONDS)
            return nodes
        assert problem is not None
        raise problem


def _read(link: NodeLink, node: NodeInfo, thorough: bool) -> Reading:
    try:
        began = time.monotonic()
        link.call("PING")
        ping = (time.monotonic() - began) * 1000
        fields, times = read_info(link), _times(link)
        if not (node.is_primary and node.slots):
            return Reading(fields, ping, times=times)
        open_slots = read_view(link).migrating if thorough else {}
        return Reading(fields, ping, "", _jobs(link), open_slots, _slot_use(link), times)
    except OperationError as error:
        return Reading(problem=getattr(error, "reason", error.text))


def _jobs(link: NodeLink) -> tuple[Job, ...]:
    try:
        return tuple(job for job in jobs_of(link) if job.operation == "EXPORT" and job.in_progress)
    except OperationError:  # Redis has no such command
        return ()


def _slot_use(link: NodeLink) -> dict[int, SlotUse] | None:
    try:
        rows = link.call("CLUSTER", "SLOT-STATS", "ORDERBY", "CPU-USEC", "LIMIT", HOT_SLOTS, "DESC")
    except OperationError:  # it does not have the command, or does not count
        return None
    return slot_use_of(rows)


def _times(link: NodeLink) -> Times:
    """Empty where they are not tracked, or not known."""
    try:
        return times_of(link.call("LATENCY", "HISTOGRAM"))
    except OperationError:
        return {}
