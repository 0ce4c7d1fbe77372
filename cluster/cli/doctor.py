"""`shoal doctor`: what is unsafe or unwise, and the next step.

JSON: {"ok": bool, "servers": [address], "proxies": [address], "findings": [{"kind", "severity": "error" |
"warning" | "advice", "text", "next_step"}]}. "ok" is whether there is no error and no warning.

Proxies are those that workers see by their connections, that of `--dir`, ADDRESS if it is one, and those of
`--proxy`; each is looked at as a stranger does (cluster/operations/proxies.py).
"""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from cluster.addresses import address_text
from cluster.cli.common import DEFAULT_ADDRESS, Json, Seed, UsageProblem, parse_address
from cluster.cli.connecting import connecting
from cluster.cli.output import coloured, console, print_json
from cluster.operations.examining import examine
from cluster.operations.link import ANONYMOUS, Credentials, OperationError, Unreachable
from cluster.operations.proxies import is_here, look_at_proxies
from cluster.plans.check import Problem
from cluster.plans.diagnosis import SEVERITIES, diagnose
from cluster.plans.diagnosis.facts import Entrance, Facts
from cluster.supervisor.settings import LOOPBACK
from cluster.supervisor.workspace import STATE_NAME

Listener = tuple[str, int]


@connecting
def doctor(
    address: Seed = DEFAULT_ADDRESS,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Of a `shoal up` that runs, in place of an address.")
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT", help="A proxy to look at, besides those that workers know of."),
    ] = None,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """Look at every member, or a server alone, and name what is unsafe or unwise: who gets in, what a crash
    would cost, what goes down together, what the machine should allow.

    Proxies are looked at without a password: those that are connected to a worker, and those you name.
    Changes nothing. Of servers on this host it also looks at the kernel's settings and limits. Exit code 1 if
    there is an error or a warning; advice does not count.
    """
    named = [parse_address(each) for each in proxy or []]
    seeds, of_directory = ([parse_address(address)], []) if directory is None else _listeners_of(directory)
    servers, findings = _examined(seeds, credentials)
    any_password = any(not server.asks_for_password for server in servers)
    entrances = look_at_proxies([*named, *of_directory, *_proxies_known_to(servers)], any_password)
    _require_seen(named, entrances)
    order = SEVERITIES.index
    findings = sorted(findings + diagnose(servers, entrances), key=lambda each: order(each.severity))
    ok = all(problem.severity == "advice" for problem in findings)
    if json:
        told = [vars(problem) for problem in findings]
        print_json(
            {
                "ok": ok,
                "servers": [server.address for server in servers],
                "proxies": [entrance.address for entrance in entrances],
                "findings": told,
            }
        )
    else:
        _print(findings, len(servers), len(entrances))
    raise typer.Exit(0 if ok else 1)


def _examined(seeds: list[Listener], credentials: Credentials) -> tuple[list[Facts], list[Problem]]:
    """By the first of the seeds that answers."""
    for number, (host, port) in enumerate(seeds):
        try:
            servers, findings = examine(host, port, credentials)
            break
        except Unreachable as error:
            if number == len(seeds) - 1:
                raise UsageProblem(str(error)) from error
    if not servers:
        raise OperationError("nobody answers any more", "try again")
    return servers, findings


def _proxies_known_to(servers: list[Facts]) -> list[Listener]:
    """Those that they see, and themselves, if they are proxies that listen by TCP."""
    known = sorted({each for server in servers for each in server.proxies})
    themselves = [parse_address(server.address) for server in servers if server.is_proxy]
    return [(host, port) for host, port in themselves if port] + known


def _require_seen(named: list[Listener], entrances: list[Entrance]) -> None:
    """Who was named has to be there; one on this host may be known by another of its addresses."""
    seen = {parse_address(entrance.address) for entrance in entrances}
    for host, port in named:
        if (host, port) not in seen and not (is_here(host) and any(port == each for _, each in seen)):
            raise UsageProblem(f"the proxy {address_text(host, port)} does not answer")


def _listeners_of(directory: Path) -> tuple[list[Listener], list[Listener]]:
    """The workers of that `shoal up`, and its proxy, if it has one."""
    path = directory / STATE_NAME
    try:
        state = json_format.loads(path.read_text())
        bind, first, workers = str(state["bind"]), int(state["port"]), int(state["workers"])
        ports = state.get("ports") or range(first, first + workers)
        host = LOOPBACK if bind in ("0.0.0.0", "::", "*") else bind
        proxies = [(host, int(state["proxy_port"]))] if state.get("proxies") else []
        return [(host, int(port)) for port in ports], proxies
    except OSError as error:
        raise UsageProblem(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageProblem(f"{path} is damaged: {error}") from error


def _print(findings: list[Problem], servers: int, proxies: int) -> None:
    out = console()
    for problem in findings:
        out.print(coloured(problem.severity, good=problem.severity == "advice"), problem.text, markup=False)
        out.print(f"  next: {problem.next_step}", markup=False)
    counts = [(sum(each.severity == name for each in findings), name) for name in SEVERITIES]
    told = ", ".join(f"{number} {name}{'s' * (number != 1 and name != 'advice')}" for number, name in counts)
    where = [f"and {proxies} prox{'y' if proxies == 1 else 'ies'}"] if proxies else []
    out.print(coloured(told, good=not counts[0][0] and not counts[1][0]), f"in {servers} servers", *where)
