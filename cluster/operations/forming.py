"""Making a cluster out of strangers, as a create plan says; or of those who were on their way to that.

The order matters: slots and epochs first, while every node is still alone and nobody can object; then the
introductions; then, when all know each other, the replicas; and it is done only when every member
says so itself.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence

from cluster.addresses import is_unix
from cluster.operations.link import NodeLink, OperationError, Unreachable
from cluster.operations.survey import Survey, read_view
from cluster.plans.check import check
from cluster.plans.create import Address, CreatePlan
from cluster.plans.model import NodeInfo, PlanError
from cluster.plans.remaining import Remaining, what_remains

JOIN_SECONDS = 60.0
POLL_SECONDS = 0.1

Report = Callable[[str], None]


def await_nodes(links: Sequence[NodeLink], timeout: float) -> None:
    """Until every node answers PING. Raises the Unreachable of the first that does not in time."""
    deadline = time.monotonic() + timeout
    for link in links:
        while True:
            try:
                link.call("PING")
                break
            except OperationError as error:
                starting = isinstance(error, Unreachable) or "LOADING" in error.text
                if not starting or time.monotonic() >= deadline:
                    raise
                time.sleep(POLL_SECONDS)


def require_strangers(links: Sequence[NodeLink]) -> None:
    """Every node must run in cluster mode, know nobody, serve nothing and hold no key. Raises
    OperationError."""
    for link in links:
        view = read_view(link)
        if len(view.nodes) > 1:
            raise OperationError(
                f"{link.address} already knows {len(view.nodes) - 1} other nodes",
                "it is a member of a cluster; CLUSTER RESET makes it leave",
            )
        if view.observer.slots:
            raise OperationError(f"{link.address} already serves slots", "CLUSTER RESET makes it forget them")
        keys = link.call("DBSIZE")
        if keys:
            raise OperationError(f"{link.address} holds {keys} keys", "give an empty node, or FLUSHALL it")


def remaining(plan: CreatePlan, links: Mapping[Address, NodeLink]) -> Remaining:
    """What is left to do of `plan`. Raises OperationError when these nodes are not free for it."""
    views = {address: read_view(link) for address, link in links.items()}
    keys = {address: links[address].call("DBSIZE") for address in views}
    try:
        return what_remains(plan, views, keys)
    except PlanError as error:
        text, _, next_step = str(error).partition("; ")
        raise OperationError(text, next_step) from error


def form(
    plan: CreatePlan,
    links: dict[Address, NodeLink],
    report: Report = lambda line: None,
    timeout: float = JOIN_SECONDS,
) -> Survey:
    """Carry out `plan`, or what is left of it; returns a survey of the formed cluster, for the caller to
    close.

    `links` has one link for each address of the plan. Raises OperationError when a node refuses or the
    members do not agree within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    left = remaining(plan, links)
    report("assigning slots and epochs")
    for address, epoch in left.epochs:
        links[address].call("CLUSTER", "SET-CONFIG-EPOCH", epoch)
    for primary in left.slots:
        links[primary.address].call("CLUSTER", "ADDSLOTSRANGE", primary.first, primary.last)
    report("introducing the nodes to each other")
    first = links[plan.primaries[0].address]
    ids = {address: read_view(link).observer.id for address, link in links.items()}
    for address in left.introductions:
        introduce(first, links[address])
    await_condition(
        lambda: all(read_view(link).settled.issuperset(ids.values()) for link in links.values()),
        deadline,
        f"the {len(links)} nodes do not all know each other",
        "are their bus ports (usually port + 10000) reachable from each other?",
    )
    if left.replicas:
        report("attaching the replicas")
    for replica, primary_address in left.replicas:
        links[replica].call("CLUSTER", "REPLICATE", ids[primary_address])
    survey = Survey(first, first.credentials)
    await_agreement(survey, deadline)
    return survey


def await_agreement(survey: Survey, deadline: float) -> None:
    """Until all slots are served, all members agree, and each says that its cluster is ok.

    Raises OperationError with what still stands in the way at the deadline (`time.monotonic()`).
    """
    while True:
        survey.refresh()
        obstacle = _obstacle(survey)
        if obstacle is None:
            return
        if time.monotonic() >= deadline:
            raise OperationError(f"the cluster does not work yet: {obstacle}", "`shoal check` says more")
        time.sleep(POLL_SECONDS)


def _obstacle(survey: Survey) -> str | None:
    """The first thing that keeps the surveyed cluster from being whole; None when nothing does."""
    for problem in check(survey.views, survey.unreachable):
        if problem.severity == "error":
            return problem.text
    for view in survey.views:
        link = survey.link(view.observer.id)
        if not _replication_is_up(link):
            return f"{link.address} is not in sync with its primary"
        if not cluster_is_ok(link):
            return f"{link.address} says that its cluster is not ok"
    return None


def cluster_is_ok(link: NodeLink) -> bool:
    return "cluster_state:ok" in link.call_text("CLUSTER", "INFO")


def _replication_is_up(link: NodeLink) -> bool:
    return "master_link_status:down" not in link.call_text("INFO", "replication")


def introduce(first: NodeLink, other: NodeLink) -> str:
    """CLUSTER MEET; returns the other's id. MEET takes addresses only, so a name is resolved here."""
    node = read_view(other).observer
    if other is not first:
        meet: list[str | int] = ["CLUSTER", "MEET", *_where(other, node)]
        if node.bus_port and node.bus_port != node.port + 10000:
            meet.append(node.bus_port)
        first.call(*meet)
    return node.id


def _where(link: NodeLink, node: NodeInfo) -> tuple[str, int]:
    """The address at which other nodes reach it: ours, unless that is a unix socket."""
    return (node.host, node.port) if is_unix(link.host) else (_resolve(link.host), link.port)


def _resolve(host: str) -> str:
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise OperationError(f"{host} has no address: {(error.strerror or str(error)).lower()}") from error


def await_condition(condition: Callable[[], bool], deadline: float, text: str, next_step: str) -> None:
    """Until it holds; raises OperationError at the deadline (`time.monotonic()`)."""
    while not condition():
        if time.monotonic() >= deadline:
            raise OperationError(text, next_step)
        time.sleep(POLL_SECONDS)
