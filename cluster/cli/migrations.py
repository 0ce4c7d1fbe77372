"""`shoal migrations`: plans of moves, and what becomes of them.

A plan lives in a journal (cluster/operations/journals.py) and goes on in whichever program calls `resume`:
the one that made it may have been killed, with its machine. Passwords are not kept; give them again.

JSON: of a list [{"plan", "what", "created", "state", "slots": {"done", "total"}, "steps": {"done", "total"},
"keys", "seeds", "problem", "journal"}]; of `resume` {"plan", "moved": {"slots", "keys", "seconds"}}; of
`pause` and `cancel` one row of the list, as it is then; of `running` [{"from", "to", "state", "slots",
"name"}].
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Annotated

import typer

from cluster.cli.common import DEFAULT_ADDRESS, Address, Json, UsageProblem, Yes, open_survey
from cluster.cli.connecting import connecting
from cluster.cli.how_to_move import JournalDirectory, parse_bytes
from cluster.cli.moving import run_plan
from cluster.cli.output import confirm, counted, print_json, print_table, say
from cluster.operations.atomic import can_migrate_slots, jobs_of
from cluster.operations.journals import Journal, all_journals, default_directory, find_journal
from cluster.operations.link import ANONYMOUS, Credentials, OperationError
from cluster.operations.moving import withdraw
from cluster.operations.survey import Survey
from cluster.plans.journal import End, Wish
from cluster.slots import format_ranges

app = typer.Typer(help="List plans of moves; pause, resume or cancel one.", pretty_exceptions_enable=False)

PlanId = Annotated[
    str, typer.Argument(metavar="PLAN", help="The beginning of its id, or the journal's path.")
]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="HOST:PORT", help="A member of the cluster. Default: those the plan knows."),
]
STOPPING_SECONDS = 30.0
LOOK_SECONDS = 0.05
ENDED_SHOWN = 20
All = Annotated[
    bool, typer.Option("--all", help=f"Also plans that have ended before the last {ENDED_SHOWN} of them.")
]


@app.callback(invoke_without_command=True)
def migrations(
    context: typer.Context,
    journal: JournalDirectory = None,
    everything: All = False,
    json: Json = False,
) -> None:
    """List plans of moves; pause, resume or cancel one."""
    if context.invoked_subcommand is None:
        list_(journal, everything, json)


@app.command("list")
def list_(journal: JournalDirectory = None, everything: All = False, json: Json = False) -> None:
    """Plans, the latest first: all that can go on, and the last that have ended. JSON has all of them."""
    rows = []
    for found in all_journals(journal or default_directory()):
        with found:
            rows.append(_as_json(found))
    if json:
        print_json(rows)
        return
    if not rows:
        say(f"no plans in {journal or default_directory()}")
        return
    ended = [row for row in rows if row["state"] in set(End)]
    older = [] if everything else ended[ENDED_SHOWN:]
    rows = [row for row in rows if row not in older]
    print_table(
        "",
        ["plan", "what", "made", "state", "slots", "keys", "cluster"],
        [
            [
                row["plan"],
                row["what"],
                datetime.fromtimestamp(row["created"]).strftime("%F %H:%M"),
                row["state"],
                f"{row['slots']['done']}/{row['slots']['total']}",
                row["keys"],
                row["seeds"][0],
            ]
            for row in rows
        ],
        numeric=["slots", "keys"],
        dispensable=["keys"],
    )
    for row in rows:
        if row["problem"]:
            say(f"{row['plan']}: {row['problem']}")
        elif row["state"] == "pending":
            say(f"{row['plan']}: nobody carries it out; `shoal migrations resume {row['plan']}` goes on")
    if older:
        say(f"{counted(len(older), 'older plan')} that {'has' if len(older) == 1 else 'have'} ended: --all")


@app.command()
@connecting
def running(
    address: Address = DEFAULT_ADDRESS, credentials: Credentials = ANONYMOUS, json: Json = False
) -> None:
    """What whole slots move at the moment, as the members tell, whoever began it."""
    rows = []
    with open_survey(address, credentials) as survey:
        nodes = survey.nodes
        for node in survey.primaries:
            link = survey.link(node.id)
            for job in jobs_of(link) if can_migrate_slots(link) else ():
                if job.operation == "EXPORT" and job.in_progress:
                    rows.append(
                        {
                            "from": node.address,
                            "to": nodes[job.target].address if job.target in nodes else job.target,
                            "state": job.state,
                            "slots": format_ranges(job.slots),
                            "name": job.name,
                        }
                    )
    if json:
        print_json(rows)
    elif rows:
        print_table("", list(rows[0]), [list(row.values()) for row in rows])
    else:
        say("nothing moves")


@app.command()
def pause(plan: PlanId, journal: JournalDirectory = None, json: Json = False) -> None:
    """Stop it once what is under way has arrived."""
    with find_journal(journal or default_directory(), plan) as found:
        _require_unfinished(found)
        found.add("wish", wish=Wish.PAUSE)
        if json:
            found.reread()
            print_json(_as_json(found))
            return
        say(f"plan {found.plan.id} pauses; `shoal migrations resume {found.plan.id}` goes on")


@app.command()
@connecting
def resume(
    plan: PlanId,
    at: At = None,
    bandwidth: Annotated[
        str | None,
        typer.Option("--bandwidth", metavar="BYTES", help="Another limit from now on; 0 for none."),
    ] = None,
    max_p99: Annotated[
        float | None,
        typer.Option("--max-p99", min=0, metavar="MS", help="Another limit from now on; 0 for none."),
    ] = None,
    at_once: Annotated[
        int | None,
        typer.Option("--at-once", min=1, metavar="N", help="Another limit from now on."),
    ] = None,
    journal: JournalDirectory = None,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """Go on with it, wherever it was."""
    with find_journal(journal or default_directory(), plan) as found:
        _require_unfinished(found)
        with _open(found, at, credentials) as survey:
            if found.lock():
                found.add("wish", wish=Wish.RUN)
                if bandwidth is not None:
                    found.add("limit", bandwidth=parse_bytes(bandwidth))
                if max_p99 is not None:
                    found.add("limit", max_p99=max_p99)
                if at_once is not None:
                    found.add("limit", at_once=at_once)
            moved = run_plan(survey, found, quiet=json)
            if json:
                print_json({"plan": found.plan.id, "moved": moved})


@app.command()
@connecting
def cancel(
    plan: PlanId,
    at: At = None,
    yes: Yes = False,
    journal: JournalDirectory = None,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """End it. What has moved stays where it is; what is under way is given up."""
    with find_journal(journal or default_directory(), plan) as found:
        _require_unfinished(found)
        if not yes:
            confirm(f"Cancel plan {found.plan.id}?", json)
        found.add("wish", wish=Wish.CANCEL)
        until = time.monotonic() + STOPPING_SECONDS
        while not found.lock():  # who carries it out gives it up
            if time.monotonic() > until:
                raise OperationError(
                    f"whoever carries out plan {found.plan.id} does not stop", "end it, then cancel again"
                )
            time.sleep(LOOK_SECONDS)
        if found.reread().end is None:
            with _open(found, at, credentials) as survey:
                withdraw(survey, found)
        if json:
            found.reread()
            print_json(_as_json(found))
            return
        done = f"{found.plan.slots_done} of {found.plan.slots} slots have moved"
        say(f"plan {found.plan.id} is cancelled: {done}")


def _require_unfinished(found: Journal) -> None:
    if found.plan.end is not None:
        raise UsageProblem(f"plan {found.plan.id} has ended: {found.plan.end}")


def _open(found: Journal, at: str | None, credentials: Credentials) -> Survey:
    """The plan's cluster, by whichever member answers."""
    problem = UsageProblem(f"plan {found.plan.id} names no member of its cluster")
    for address in [at] if at else found.plan.seeds:
        try:
            return open_survey(address, credentials)
        except UsageProblem as error:
            problem = error
    raise problem


def _as_json(found: Journal) -> dict:
    plan = found.plan
    return {
        "plan": plan.id,
        "what": plan.title,
        "created": plan.created,
        "state": "running" if plan.end is None and found.is_carried_out else plan.state,
        "slots": {"done": plan.slots_done, "total": plan.slots},
        "steps": {"done": len(plan.done), "total": len(plan.steps)},
        "keys": plan.keys,
        "seeds": plan.seeds,
        "problem": plan.problem,
        "journal": str(found.path),
    }
