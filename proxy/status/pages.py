"""What the port serves of the status page: its files as they are, and its figures as JSON.

Browsers are told to take nothing from elsewhere, to run no script that is not one of these files, and to let
no other page frame this one: a name or an address that a worker tells, whatever is in it, is shown as text.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.readings.command_times import Times, percentiles
from node.metrics.web import Content, Page
from proxy.local.own import command_stats
from proxy.status import report
from proxy.status.chronicle import Chronicle
from proxy.status.gatherer import Gathered, Gatherer
from proxy.status.worker_lines import WorkerLines

if TYPE_CHECKING:
    from proxy.requests.commands import Commands
    from proxy.workers.dialogue import Address
    from proxy.workers.topology import Layout, Topology

ASSETS = Path(__file__).parent / "assets"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FIRST = "index.html"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class Status:
    def __init__(self, commands: Commands, topology: Topology) -> None:
        self._commands = commands
        self._gatherer = Gatherer(topology, WorkerLines(lambda: commands.pool.login))
        self._chronicle = Chronicle(self._trouble)
        topology.seen = self._saw
        self._status_made: tuple[Gathered, Content] | None = None
        self._slots_made: tuple[Gathered, Content] | None = None
        """Once for all who look"""
        self._counted: tuple[float, int, Times] | None = None

    @property
    def pages(self) -> dict[str, Page]:
        found: dict[str, Page] = {"/status.json": self._status, "/slots.json": self._slots}
        for path in sorted(ASSETS.iterdir()):
            content = Content(KINDS[path.suffix], path.read_bytes(), HEADERS)
            found["/" if path.name == FIRST else f"/{path.name}"] = _always(content)
        return found

    def close(self) -> None:
        self._gatherer.forget()

    async def _status(self) -> Content:
        gathered = await self._gatherer.gathered()
        if self._status_made is None or self._status_made[0] is not gathered:
            own, events = self._own(gathered.sample.at), self._chronicle.events
            told = report.status(gathered, events, own, time.time())
            self._status_made = gathered, _json(told)
        return self._status_made[1]

    async def _slots(self) -> Content:
        gathered = await self._gatherer.gathered()
        if self._slots_made is None or self._slots_made[0] is not gathered:
            self._slots_made = gathered, _json(report.slots(gathered, self._gatherer.heat))
        return self._slots_made[1]

    def _own(self, now: float) -> dict[str, Any]:
        """What this process counts of its clients' requests; rates since it was looked at the last time."""
        commands = self._commands
        calls = sum(counts[0] for counts in command_stats(commands.tallies).values())
        times = report.times_of(commands.tallies.latencies())
        before, self._counted = self._counted, (now, calls, times)
        rate, p50, p99 = None, None, None
        if before is not None and now > before[0]:
            rate = round(max(0, calls - before[1]) / (now - before[0]), 1)
            p50, p99 = percentiles(before[2], times, 50, 99)
        return {
            "process_id": os.getpid(),
            "port": commands.port,
            "clients": len(commands.clients),
            "ops_per_second": rate,
            "p50_us": p50,
            "p99_us": p99,
            "slots_served": commands.topology.slots_served,
            "map_changes": commands.topology.changes,
            "redirections": commands.pool.redirections,
        }

    def _saw(self, layout: Layout) -> None:
        self._chronicle.saw(layout, time.time())

    def _trouble(self, address: Address) -> float | None:
        pool = self._commands.pool
        found = [
            waited
            for upstream in pool.upstreams()
            if (upstream.host, upstream.port) == address
            and (waited := pool.failover.waited(upstream)) is not None
        ]
        return max(found, default=None)


def _json(figures: Mapping[str, Any]) -> Content:
    body = json.dumps(figures, separators=(",", ":")).encode()
    return Content("application/json", body, HEADERS)


def _always(content: Content) -> Page:
    async def page() -> Content:
        return content

    return page
