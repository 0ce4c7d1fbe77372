"""`shoal doctor`: what is unsafe or unwise, and the next step.

JSON: {"ok": bool, "servers": [address], "findings": [{"kind", "severity": "error" | "warning" | "advice",
"text", "next_step"}]}. "ok" is whether there is no error and no warning.
"""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from cluster.cli.common import DEFAULT_ADDRESS, Json, Seed, UsageProblem, parse_address
from cluster.cli.connecting import connecting
from cluster.cli.output import coloured, console, print_json
from cluster.operations.examining import examine
from cluster.operations.link import ANONYMOUS, Credentials, OperationError, Unreachable
from cluster.plans.check import Problem
from cluster.plans.diagnosis import SEVERITIES, diagnose
from cluster.plans.diagnosis.facts import Facts
from cluster.supervisor.settings import LOOPBACK
from cluster.supervisor.workspace import STATE_NAME


@connecting
def doctor(
    address: Seed = DEFAULT_ADDRESS,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Of a `shoal up` that runs, in place of an address.")
    ] = None,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """Look at every member, or a server alone, and name what is unsafe or unwise: who gets in, what a crash
    would cost, what goes down together, what the machine should allow.

    Changes nothing. Of servers on this host it also looks at the kernel's settings and limits. Exit code 1 if
    there is an error or a warning; advice does not count.
    """
    seeds = [parse_address(address)] if directory is None else _seeds_of(directory)
    servers: list[Facts] = []
    findings: list[Problem] = []
    for number, (host, port) in enumerate(seeds):
        try:
            servers, findings = examine(host, port, credentials)
            break
        except Unreachable as error:
            if number == len(seeds) - 1:
                raise UsageProblem(str(error)) from error
    if not servers:
        raise OperationError("nobody answers any more", "try again")
    order = SEVERITIES.index
    findings = sorted(findings + diagnose(servers), key=lambda each: order(each.severity))
    ok = all(problem.severity == "advice" for problem in findings)
    if json:
        told = [vars(problem) for problem in findings]
        print_json({"ok": ok, "servers": [server.address for server in servers], "findings": told})
    else:
        _print(findings, len(servers))
    raise typer.Exit(0 if ok else 1)


def _seeds_of(directory: Path) -> list[tuple[str, int]]:
    """The workers of that `shoal up`."""
    path = directory / STATE_NAME
    try:
        state = json_format.loads(path.read_text())
        bind, first, workers = str(state["bind"]), int(state["port"]), int(state["workers"])
        ports = state.get("ports") or range(first, first + workers)
        host = LOOPBACK if bind in ("0.0.0.0", "::", "*") else bind
        return [(host, int(port)) for port in ports]
    except OSError as error:
        raise UsageProblem(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageProblem(f"{path} is damaged: {error}") from error


def _print(findings: list[Problem], servers: int) -> None:
    out = console()
    for problem in findings:
        out.print(coloured(problem.severity, good=problem.severity == "advice"), problem.text, markup=False)
        out.print(f"  next: {problem.next_step}", markup=False)
    counts = [(sum(each.severity == name for each in findings), name) for name in SEVERITIES]
    told = ", ".join(f"{number} {name}{'s' * (number != 1 and name != 'advice')}" for number, name in counts)
    out.print(coloured(told, good=not counts[0][0] and not counts[1][0]), f"in {servers} servers")
