"""What is unsafe or unwise about servers and the cluster they are, and what to do about it: `shoal doctor`.

What was found out about each server (facts.py) goes in, findings come out, the gravest first:

    access      who gets in, by which way, and what they may do
    proxies     who gets in through them
    safety      what is left of the data after a crash
    placement   what goes down together
    machine     memory, kernel settings, limits
    concord     what members must agree on: time, settings, versions

An `error` loses data or lets anybody in; a `warning` will hurt one day; an `advice` is a choice that somebody
should have made on purpose. Everything here is pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from cluster.plans.check import Problem
from cluster.plans.diagnosis import access, concord, machine, placement, proxies, safety
from cluster.plans.diagnosis.facts import Entrance, Facts

SEVERITIES = ("error", "warning", "advice")

_OF_EACH: tuple[Callable[[Facts], Iterator[Problem]], ...] = (
    access.findings,
    safety.findings,
    machine.findings,
)
_OF_ALL: tuple[Callable[[Sequence[Facts]], Iterator[Problem]], ...] = (
    safety.findings_of_pairs,
    placement.findings,
    machine.findings_of_hosts,
    concord.findings,
)


def diagnose(servers: Sequence[Facts], entrances: Sequence[Entrance] = ()) -> list[Problem]:
    """Where a setting is the same everywhere, the finding is one for all of them."""
    found = [problem for judge in _OF_EACH for facts in servers for problem in judge(facts)]
    found = _joined(found, "server", len(servers))
    of_proxies = [problem for proxy in entrances for problem in proxies.findings(proxy, servers)]
    found += _joined(of_proxies, "proxy", len(entrances))
    found += [problem for judge in _OF_ALL for problem in judge(servers)]
    return sorted(found, key=lambda problem: SEVERITIES.index(problem.severity))


def _joined(found: Sequence[Problem], kind: str, number: int) -> list[Problem]:
    """Findings whose text is the same but for the address it begins with become one. `number`: of those that
    are of this kind."""
    addresses: dict[Problem, list[str]] = {}
    for problem in found:
        address, _, text = problem.text.partition(" ")
        rest = Problem(problem.kind, problem.severity, text, problem.next_step)
        addresses.setdefault(rest, []).append(address)
    return [
        Problem(
            rest.kind,
            rest.severity,
            f"{who[0] if len(who) == 1 else f'every {kind}:' if len(who) == number else ', '.join(who) + ':'}"
            f" {rest.text}",
            rest.next_step,
        )
        for rest, who in addresses.items()
    ]
