"""The table that `shoal up` prints once the cluster serves: who listens where, and what it serves."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.operations.survey import Survey, first_slot
from cluster.slots import format_ranges
from cluster.supervisor.settings import Settings


@dataclass(frozen=True)
class Endpoint:
    process: str
    address: str
    role: str
    slots: str


def endpoints(settings: Settings, survey: Survey) -> list[Endpoint]:
    """Proxies first, then primaries in order of their slots, each followed by its replicas."""
    rows = [
        Endpoint("proxy", f"{settings.host}:{settings.proxy_port}", "for any client", "all")
        for _ in range(min(settings.proxies, 1))
    ]
    if settings.proxies > 1:
        rows[0] = Endpoint(f"{settings.proxies} proxies", rows[0].address, rows[0].role, rows[0].slots)
    nodes = sorted(survey.nodes.values(), key=lambda node: (first_slot(node), node.address))
    for primary in (node for node in nodes if node.is_primary):
        rows.append(_worker(primary.address, "primary", format_ranges(primary.slots)))
        rows += [
            _worker(node.address, f"replica of {primary.port}", "")
            for node in nodes
            if node.primary_id == primary.id
        ]
    return rows


def _worker(address: str, role: str, slots: str) -> Endpoint:
    return Endpoint("worker", address, role, slots)
