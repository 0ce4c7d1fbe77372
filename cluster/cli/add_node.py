"""`shoal add-node NEW`: one more member, as a primary or as a replica.

JSON: {"node": {"id", "address"}, "role": "primary" | "replica", "primary": address | null, "moves": [as of
rebalance], "moved": {"slots", "keys", "seconds"} | null}. With --dry-run "moved" is null, and "id" is that
which the node has now.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Annotated, Any

import typer

from cluster.cli.common import (
    DEFAULT_ADDRESS,
    Address,
    UsageProblem,
    open_survey,
    parse_address,
)
from cluster.cli.connecting import connecting
from cluster.cli.how_to_move import AS_USUAL, How, moving
from cluster.cli.moving import move_by_plan, moves_as_json, print_moves
from cluster.cli.output import Bars, confirm, human_bytes, narrator, print_json, say
from cluster.operations.drafting import require_backed, require_sound
from cluster.operations.forming import await_nodes
from cluster.operations.link import ANONYMOUS, Credentials, NodeLink, Unreachable
from cluster.operations.membership import OnBytes, attach, is_member, join
from cluster.operations.survey import Survey, read_view
from cluster.plans.membership import neediest_primary
from cluster.plans.model import Move, NodeInfo, PlanError
from cluster.plans.rebalance import plan_rebalance

Newcomer = Annotated[str, typer.Argument(metavar="NEW", help="A running, empty node: its address.")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for a node that is starting.")]


@connecting
@moving
def add_node(
    new: Newcomer,
    address: Address = DEFAULT_ADDRESS,
    to_be_replica: Annotated[
        bool,
        typer.Option(
            "--to-be-replica",
            help="As a replica of the primary that has the fewest, if it can be in another zone.",
        ),
    ] = False,
    replica_of: Annotated[
        str, typer.Option("--replica-of", metavar="NODE", help="As a replica of this primary.")
    ] = "",
    rebalance: Annotated[
        bool, typer.Option("--rebalance", help="Give the new primary its share of the slots.")
    ] = False,
    wait: Wait = 0.0,
    how: How = AS_USUAL,
    credentials: Credentials = ANONYMOUS,
) -> None:
    """Make a running, empty node a member: a primary without slots, or a replica."""
    as_replica = to_be_replica or bool(replica_of)
    if as_replica and rebalance:
        raise UsageProblem("--rebalance is for primaries: replicas serve no slots of their own")
    tell = narrator(quiet=how.json)
    with (
        open_survey(address, credentials) as survey,
        closing(reach(new, credentials, wait)) as newcomer,
    ):
        node = as_newcomer(survey, newcomer)
        if not as_replica:
            _require_no_replica(survey, node)
        primary = _primary_for(survey, node, replica_of) if as_replica else None
        moves: list[Move] = []
        if rebalance:
            require_sound(survey)
            require_backed([newcomer])
            moves = plan_rebalance(survey.nodes | {node.id: node}, {node.id: 1.0}, 0.0)
        if not how.json:
            _print_plan(survey, node, primary, moves)
        if not how.dry_run and moves and not how.yes:
            confirm("Add the node and move these slots?", how.json)
        moved = None
        if not how.dry_run:
            join(survey, newcomer, tell)
            if primary is not None:
                with copying(quiet=how.json) as paint:
                    attach(survey, newcomer, primary.id, tell, paint)
            moved = move_by_plan(survey, "add-node", moves, how)[0] if moves else None
    if how.json:
        result = _as_json(node, primary)
        result["moves"] = moves_as_json(moves, survey.nodes | {node.id: node})
        print_json({**result, "moved": moved})
    elif not how.dry_run:
        say(f"done: {node.address} is {f'a replica of {primary.address}' if primary else 'a primary'}")


def _as_json(node: NodeInfo, primary: NodeInfo | None) -> dict[str, Any]:
    return {
        "node": {"id": node.id, "address": node.address},
        "role": "replica" if primary else "primary",
        "primary": primary.address if primary else None,
    }


@contextmanager
def copying(quiet: bool) -> Iterator[OnBytes]:
    """A bar for the data that a replica gets."""
    with Bars() as bars:

        def paint(done: int, total: int) -> None:
            if not quiet:
                bars.paint("copying", done, total or done + 1, human_bytes(done))

        yield paint


def reach(address: str, credentials: Credentials, wait: float) -> NodeLink:
    """A link to a node that answers. That there is none is a problem of the call."""
    link = NodeLink(*parse_address(address), credentials)
    try:
        await_nodes([link], wait)
    except Unreachable as error:
        link.close()
        raise UsageProblem(str(error)) from error
    return link


def as_newcomer(survey: Survey, newcomer: NodeLink) -> NodeInfo:
    """As it describes itself; at the address where we reach it, for it may not know its own yet."""
    node = read_view(newcomer).observer
    if is_member(survey, newcomer):
        return survey.nodes[node.id]
    return replace(node, host=newcomer.host, port=newcomer.port)


def _require_no_replica(survey: Survey, node: NodeInfo) -> None:
    if node.primary_id in survey.nodes:
        primary = survey.nodes[node.primary_id].address
        raise PlanError(
            f"{node.address} is a member already, a replica of {primary}: `shoal del-node` takes it out,"
            " `shoal failover` lets it take over"
        )


def _primary_for(survey: Survey, node: NodeInfo, name: str) -> NodeInfo:
    if node.primary_id and not name:
        return survey.nodes[node.primary_id]  # by a former call
    found = survey.find(name) if name else neediest_primary(survey.nodes, node.place, {node.id})
    if not found.is_primary:
        raise PlanError(f"{found.address} is a replica itself; `shoal nodes` lists the primaries")
    if found.id == node.id:
        raise PlanError(f"{found.address} cannot be a replica of its own")
    return found


def _print_plan(survey: Survey, node: NodeInfo, primary: NodeInfo | None, moves: list[Move]) -> None:
    own = "a primary" if moves else "a primary without slots"
    role = f"a replica of {primary.address}" if primary else own
    known = " (it is a member already)" if node.id in survey.nodes else ""
    say(f"{node.address} is to be {role}{known}")
    if moves:
        print_moves(moves, survey.nodes | {node.id: node})
