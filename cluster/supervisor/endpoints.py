"""The table that `shoal up` prints once the cluster serves: who listens where, and what it serves."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.operations.survey import Survey, first_slot
from cluster.slots import format_ranges
from cluster.supervisor.settings import Settings

ALL = "all"
"""what a proxy serves"""


@dataclass(frozen=True)
class Endpoint:
    process: str
    address: str
    role: str
    slots: str


def endpoints(settings: Settings, survey: Survey) -> list[Endpoint]:
    """Proxies first, then primaries in order of their slots, each followed by its replicas. Members of which
    nobody knows where they are have no row."""
    rows: list[Endpoint] = []
    if settings.proxies:
        name = "proxy" if settings.proxies == 1 else f"proxy ({settings.proxies} processes)"
        rows.append(Endpoint(name, f"{settings.host}:{settings.proxy_port}", "for any client", ALL))
    nodes = sorted(survey.nodes.values(), key=lambda node: (first_slot(node), node.address))
    for primary in (node for node in nodes if node.is_primary):
        if primary.port:
            rows.append(_worker(primary.address, "primary", format_ranges(primary.slots)))
        rows += [
            _worker(node.address, f"replica of {primary.port or 'one that is lost'}", "")
            for node in nodes
            if node.primary_id == primary.id and node.port
        ]
    return rows


def _worker(address: str, role: str, slots: str) -> Endpoint:
    return Endpoint("worker", address, role, slots)
