"""Making a plan of moves for the journal: what it takes of the cluster, and what the cluster must be like."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from cluster.operations.atomic import count_keys
from cluster.operations.journals import new_id
from cluster.operations.link import ErrorReply, NodeLink, OperationError
from cluster.operations.survey import Survey
from cluster.plans.check import check
from cluster.plans.journal import Options, Plan, cut_steps
from cluster.plans.model import Move


def require_sound(survey: Survey) -> None:
    """Slots move only in a cluster whose members answer and agree. Raises OperationError with the first
    obstacle."""
    for problem in check(survey.views, survey.unreachable):
        if problem.severity == "error" or problem.kind == "open-slot":
            raise OperationError(problem.text, problem.next_step)


def require_backed(links: Iterable[NodeLink]) -> None:
    """Who is to have its first slots must have the replicas without which it takes no writes. Raises
    OperationError."""
    for link in links:
        setting, info = link.pipeline([("CONFIG", "GET", "synchronous-replicas"), ("INFO", "replication")])
        if not isinstance(setting, list) or len(setting) < 2 or isinstance(info, ErrorReply):
            continue  # Redis and Valkey have no such mode.
        wanted, there = int(setting[1]), info.count(b"state=online")
        if there < wanted:
            raise OperationError(
                f"{link.address} has {there} replicas in step, and takes no writes without {wanted}"
                " (synchronous-replicas), so it is given no slots",
                f"`shoal add-node REPLICA --replica-of {link.address}`, then `shoal rebalance --use-empty`",
            )


def make_plan(survey: Survey, title: str, moves: Sequence[Move], options: Options) -> Plan:
    """Steps, as small as the keys in the slots make it advisable. Raises OperationError where a new primary
    could not serve them."""
    nodes = survey.nodes
    empty = {move.target for move in moves if not nodes[move.target].slots}
    require_backed(survey.link(node) for node in sorted(empty))
    keys: dict[int, int] = {}
    for source in dict.fromkeys(move.source for move in moves):
        slots = [move.slot for move in moves if move.source == source]
        keys |= dict(zip(slots, count_keys(survey.link(source), slots), strict=True))
    concerned = {node for move in moves for node in (move.source, move.target)}
    shards = {
        node: [other.id for other in nodes.values() if other.primary_id == node] for node in sorted(concerned)
    }
    return Plan(
        id=new_id(),
        title=title,
        created=round(time.time(), 3),
        seeds=list(
            dict.fromkeys(
                [survey.seed.address, *(node.address for node in nodes.values() if node.is_primary)]
            )
        ),
        steps=cut_steps(moves, keys),
        options=options,
        shards=shards,
        names={node: nodes[node].address for node in sorted(concerned)},
    )
