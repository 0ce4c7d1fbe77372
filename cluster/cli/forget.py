"""`shoal forget NODE`: a member that is gone for good is remembered by nobody.

JSON: {"node": {"id", "address"}, "told": [address], "untold": [address]}.
"""

from __future__ import annotations

from cluster.cli.common import DEFAULT_ADDRESS, Address, DryRun, Json, Yes, open_survey
from cluster.cli.connecting import connecting
from cluster.cli.del_node import Member
from cluster.cli.output import confirm, print_json, say
from cluster.operations.link import ANONYMOUS, Credentials, OperationError
from cluster.operations.membership import forget as forget_everywhere
from cluster.plans.membership import require_forgettable


@connecting
def forget(
    node: Member,
    address: Address = DEFAULT_ADDRESS,
    dry_run: DryRun = False,
    yes: Yes = False,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """Let all members forget one that is down and does not come back. `del-node` is for those that run.

    Exit code 1 if somebody could not be told, for it would bring the node back.
    """
    with open_survey(address, credentials) as survey:
        lost = survey.find(node)
        answering = {view.observer.id for view in survey.views}
        require_forgettable(survey.nodes, lost.id, answering)
        others = [view.observer.address for view in survey.views if view.observer.id != lost.id]
        if not json:
            say(f"{len(others)} members are to forget {lost.address} ({lost.id})")
        if not dry_run and not yes:
            confirm("Forget it?", json)
        untold = [] if dry_run else forget_everywhere(survey, lost.id)
    if json:
        told = [] if dry_run else [each for each in others if each not in untold]
        print_json({"node": {"id": lost.id, "address": lost.address}, "told": told, "untold": untold})
    if untold:
        raise OperationError(
            f"{', '.join(untold)} could not be told, and will bring {lost.address} back",
            "run `shoal forget` again when they answer, or forget them as well",
        )
    if not json and not dry_run:
        say(f"done: nobody knows {lost.address}")
