"""`shoal create`: make a cluster of running, empty nodes.

JSON: the plan, [{"primary", "first", "last", "replicas": [address]}]. Carried out if the exit code is 0.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Annotated

import typer

from cluster.cli.common import DryRun, Json, UsageProblem, Yes, parse_address
from cluster.cli.connecting import connecting
from cluster.cli.output import confirm, print_json, print_table, say
from cluster.operations.forming import await_agreement, await_nodes, form, remaining
from cluster.operations.link import ANONYMOUS, Credentials, NodeLink, OperationError, Unreachable
from cluster.operations.survey import Survey, read_view
from cluster.plans.create import CreatePlan, plan_create
from cluster.plans.remaining import Remaining


@connecting
def create(
    addresses: Annotated[list[str], typer.Argument(metavar="HOST:PORT...", help="The nodes, three or more.")],
    replicas: Annotated[int, typer.Option("--replicas", min=0, help="Replicas for each primary.")] = 0,
    wait: Annotated[
        float, typer.Option("--wait", min=0, help="Seconds to wait for nodes that are starting.")
    ] = 0.0,
    if_needed: Annotated[
        bool, typer.Option("--if-needed", help="Do nothing if these nodes are a cluster already.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """Make a cluster of nodes that run in cluster mode and hold nothing yet."""
    nodes = [parse_address(text) for text in addresses]
    plan_create(nodes, replicas)  # what is wrong with the call is told before anybody is asked
    with ExitStack() as stack:
        links = {address: NodeLink(*address, credentials) for address in nodes}
        for link in links.values():
            stack.callback(link.close)
        try:
            await_nodes(list(links.values()), wait)
        except Unreachable as error:
            raise UsageProblem(str(error)) from error
        zones = {address: read_view(link).observer.zone for address, link in links.items()}
        plan = plan_create(nodes, replicas, zones)
        left = _remaining(plan, links, if_needed)
        if left is None:
            await_whole(links[plan.primaries[0].address], wait)
            print_json(plan_as_json(plan)) if json else say("these nodes are a cluster already")
            return
        if not json:
            print_plan(plan)
            if left.begun:
                say("this was begun before; what is left of it is done now")
        if dry_run:
            if json:
                print_json(plan_as_json(plan))
            return
        if not yes:
            confirm("Create this cluster?", json)
        survey = form(plan, links, report=(lambda line: None) if json else say)
        stack.callback(survey.close)
    if json:
        print_json(plan_as_json(plan))
    else:
        say(f"done: all slots are served by {len(plan.primaries)} primaries")


def _remaining(plan: CreatePlan, links: dict[tuple[str, int], NodeLink], if_needed: bool) -> Remaining | None:
    """None where there is nothing to do: these nodes are a cluster, of this plan or of another layout, for
    roles change. Raises OperationError where that is not asked for."""
    try:
        left = remaining(plan, links)
        if not left.is_nothing:
            return left
    except OperationError:
        if not _know_each_other(list(links.values())):
            raise
    if not if_needed:
        raise OperationError("these nodes are a cluster already", "`shoal check` tells how it is")
    return None


def _know_each_other(links: list[NodeLink]) -> bool:
    views = [read_view(link) for link in links]
    ids = {view.observer.id for view in views}
    return all(ids <= view.settled for view in views)


def await_whole(link: NodeLink, wait: float) -> None:
    """A cluster that has just been started may still be finding itself together: it is given `wait` seconds,
    then this raises OperationError with what is wrong."""
    with Survey(link, link.credentials) as survey:
        await_agreement(survey, time.monotonic() + wait)


def print_plan(plan: CreatePlan) -> None:
    print_table(
        "",
        ["primary", "slots", "number", "replicas"],
        [
            [
                _text(primary.address),
                f"{primary.first}-{primary.last}",
                primary.slot_count,
                " ".join(map(_text, primary.replicas)),
            ]
            for primary in plan.primaries
        ],
        numeric=["number"],
    )
    if plan.shared_hosts:
        say(f"note: {plan.shared_hosts} replicas share a host with their primary, and fail with it")
    if plan.shared_zones:
        say(f"note: {plan.shared_zones} primaries have no replica outside their own zone")


def plan_as_json(plan: CreatePlan) -> list[dict]:
    return [
        {
            "primary": _text(primary.address),
            "first": primary.first,
            "last": primary.last,
            "replicas": list(map(_text, primary.replicas)),
        }
        for primary in plan.primaries
    ]


def _text(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"
