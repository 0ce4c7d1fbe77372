"""A primary is killed under load and comes back: how long was it felt, and what did it cost?

The *window* opens with the kill. It closes when the last error has been raised, and the slots of the dead
primary have answered again: whatever a client had to suffer lies in it. After it, in particular while the
killed worker comes back, knows nothing new, and becomes a replica, no client may see an error at all.
"""

from __future__ import annotations

import collections
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.chaos.ledger import Loss
from tests.chaos.load import Load
from tests.chaos.script import Entry
from tests.harness.clusters import RunningCluster
from tests.harness.servers import Server
from tests.harness.wait import eventually

PATIENCE = 30.0
"""How long to wait for a failover that is promised within a few seconds, to have figures of a bad one."""
LOG_TAIL = 6000
LOAD_DEADLINE = 300.0
"""For a hundred thousand requests on a busy machine."""


@dataclass(frozen=True)
class Outage:
    """Times in seconds, from the kill on."""

    requests: int
    errors_before: list[Entry]
    errors_within: list[Entry]
    errors_after: list[Entry]
    """Later than the window may last."""
    served_again: float
    last_error: float
    longest_request: float
    """The longest of those that succeeded: clients wait, too, before they repeat a request."""
    losses: list[Loss]
    losses_unexplained: list[Loss]
    """Not acknowledged by the victim in its last second."""

    @property
    def window(self) -> float:
        return max(self.served_again, self.last_error)

    def __str__(self) -> str:
        kinds = collections.Counter(entry.error.split(":")[0] for entry in self.errors_within)
        named = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        return (
            f"{self.requests} requests, window {self.window:.2f} s (served again after "
            f"{self.served_again:.2f} s, last error at {self.last_error:.2f} s), "
            f"longest request {self.longest_request:.2f} s, "
            f"{len(self.errors_within)} errors in the window{f' ({named})' if named else ''}, "
            f"{len(self.errors_before) + len(self.errors_after)} outside, "
            f"{len(self.losses)} acknowledged writes lost"
        )


def kill_and_return(
    cluster: RunningCluster, load: Load, victim: Server, count: int, allowed: float
) -> Outage:
    """Within `count` requests of `load`, kill `victim`, and start it again once its slots are served.

    Returns when the victim follows its heir and the load has stopped. `allowed`: seconds the window may be.
    """
    slots = {slot for first, last in cluster.line_of(victim).slots for slot in range(first, last + 1)}
    with load:
        load.wait_until(count // 3)
        killed_at = time.monotonic()
        victim.kill()
        dead_at = time.monotonic()
        eventually(
            lambda: first_success(load, slots, dead_at),
            lambda: f"the slots of {victim} served again; views: {views(cluster)}",
            timeout=PATIENCE,
        )
        load.wait_for(count // 3, timeout=LOAD_DEADLINE)
        victim.start()
        cluster.wait_settled()
        load.wait_for(count // 10, timeout=LOAD_DEADLINE)
        load.wait_until(count, timeout=LOAD_DEADLINE)
    with cluster.client() as client:
        load.check_all(client.mget_nonatomic)
    return judge(load, slots, killed_at, first_success(load, slots, dead_at), allowed)


def first_success(load: Load, slots: set[int], since: float) -> float:
    """When a request for one of `slots` that began after `since` first succeeded; 0 if none did."""
    ends = []
    for script in load.scripts:
        later = itertools.takewhile(lambda entry: entry.started >= since, reversed(list(script.journal)))
        ends += [entry.ended for entry in later if entry.slot in slots and not entry.error]
    return min(ends, default=0.0)


def judge(load: Load, slots: set[int], killed_at: float, served_at: float, allowed: float) -> Outage:
    errors, journal = load.errors, load.journal

    def is_explained(loss: Loss) -> bool:
        return slot_of(load, loss) in slots and abs(loss.acknowledged_at - killed_at) < 1

    return Outage(
        requests=len(journal) - len(errors),
        errors_before=[entry for entry in errors if entry.ended < killed_at],
        errors_within=[entry for entry in errors if 0 <= entry.ended - killed_at <= allowed],
        errors_after=[entry for entry in errors if entry.ended - killed_at > allowed],
        served_again=served_at - killed_at,
        last_error=max((entry.ended - killed_at for entry in errors), default=0.0),
        longest_request=max(entry.ended - entry.started for entry in journal if not entry.error),
        losses=load.losses,
        losses_unexplained=[loss for loss in load.losses if not is_explained(loss)],
    )


def slot_of(load: Load, loss: Loss) -> int:
    return next(script.slots[loss.key] for script in load.scripts if loss.key in script.slots)


def views(cluster: RunningCluster) -> str:
    """CLUSTER NODES of every running node."""
    return "\n\n".join(f"{node}:\n{node.run('CLUSTER', 'NODES').decode()}" for node in cluster.running)


@contextmanager
def evidence(cluster: RunningCluster) -> Iterator[None]:
    """A failure of the block carries what all nodes know, and the ends of their logs."""
    try:
        yield
    except AssertionError as failure:
        logs = (f"{node}:\n{node.log[-LOG_TAIL:]}" for node in cluster.nodes)
        failure.add_note("\n\n".join((views(cluster), *logs)))
        raise
