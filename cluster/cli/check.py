"""`shoal check`: is the cluster sound?

JSON: {"ok": bool, "problems": [{"kind", "severity": "error" | "warning", "text", "next_step"}]}.
"""

from __future__ import annotations

import typer

from cluster.cli.common import DEFAULT_ADDRESS, Address, Json, MultipleOwners, open_survey
from cluster.cli.connecting import connecting
from cluster.cli.output import coloured, console, counted, print_json
from cluster.operations.link import ANONYMOUS, Credentials
from cluster.operations.repair import stray_keys
from cluster.operations.survey import Survey
from cluster.plans.check import Problem, stray_problems, uncovered_slots
from cluster.plans.check import check as find_problems
from cluster.slots import SLOT_COUNT, count


@connecting
def check(
    address: Address = DEFAULT_ADDRESS,
    search_multiple_owners: MultipleOwners = False,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """Ask every member and report what is wrong, with the next step for each problem. Exit code 1 if anything
    is."""
    with open_survey(address, credentials) as survey:
        problems = find_problems(survey.views, survey.unreachable)
        if search_multiple_owners:
            problems += stray_problems(survey.views, stray_keys(survey))
    if json:
        print_json({"ok": not problems, "problems": [vars(problem) for problem in problems]})
    else:
        _print(survey, problems)
    raise typer.Exit(1 if problems else 0)


def _print(survey: Survey, problems: list[Problem]) -> None:
    out = console()
    served = SLOT_COUNT - count(uncovered_slots(survey.views))
    members = f"{len(survey.views)} of {len(survey.nodes)} members answered"
    for problem in problems:
        out.print(coloured(problem.severity, good=problem.severity == "warning"), problem.text)
        out.print(f"  next: {problem.next_step}", markup=False)
    out.print(
        coloured(counted(len(problems), "problem") if problems else "ok", good=not problems),
        f"{members}; {served} of {SLOT_COUNT} slots are served",
    )
