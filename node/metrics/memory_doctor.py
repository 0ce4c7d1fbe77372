"""MEMORY DOCTOR: what is unhealthy about the memory of this worker, and what can be done.

Redis looks for the same things at the same thresholds (object.c, getMemoryDoctorReport). One measure
is ours: a worker is as good as empty by what it took since its start, because an interpreter alone takes
more than the 5 MB by which Redis judges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.metrics import process
from node.metrics.memory_report import MemoryReport, ratio, report

if TYPE_CHECKING:
    from node.worker import Worker

MB = 1 << 20
LITTLE = 5 * MB
"""Bytes below which figures mean nothing."""
NOTABLE = 10 * MB
"""Bytes that must be lost before it matters."""
CLIENT_BYTES = 200 * 1024
"""What a client may make us hold, on average."""
REPLICA_BYTES = 10 * MB
SCRIPTS = 1000
PEAK_RATIO = 1.5
FRAGMENTED = 1.4
WASTEFUL = 1.1

EMPTY = (
    "Hi Sam, this instance is empty or is using very little memory, so there is nothing to judge by. Fill it "
    "with some data and ask again.\n"
)
HEALTHY = (
    "Hi Sam, I can't find any memory issue in your instance. I can only account for what occurs on this "
    "base.\n"
)
HEADING = "Sam, I detected a few issues in this instance memory implants:\n\n"

ADVICE = {
    "Peak memory": (
        "This instance once used more than 150% of what it uses now. Memory that was freed may stay with "
        "the allocator, which shows as fragmentation and does no harm: it serves what comes next. MEMORY "
        "PURGE asks for it back."
    ),
    "High total RSS": (
        "The process takes more than 1.4 times the memory in use. Where a peak is the cause, that is "
        "harmless; else much memory lies between the blocks that are in use, or outside of the allocator."
        " See the other findings."
    ),
    "High allocator fragmentation": (
        "More than a tenth of what the allocator took lies idle between the blocks in use. Values that "
        "change their size often cause it, and so do large deletions."
    ),
    "High process RSS overhead": (
        "The process takes more than a tenth above what its allocator has: stacks, libraries, or what "
        "scripts and modules took past the allocator."
    ),
    "Big replica buffers": (
        "Replicas have more than 10 MB waiting for them: they are too slow, or their link is, for the "
        "writes that happen here. See client-output-buffer-limit, and the replicas' CPU and network."
    ),
    "Big client buffers": (
        "Clients make us hold more than 200 KB each on average: large requests that come slowly, or "
        "replies that are not read, such as of subscribers that do not keep up. CLIENT LIST shows which; "
        "client-output-buffer-limit and maxmemory-clients bound it."
    ),
    "Many scripts": (
        "More than a thousand scripts are cached. Values do not belong into a script's text but into KEYS"
        " and ARGV, so that one script serves all calls. SCRIPT FLUSH drops what is there."
    ),
}
"""What is found → what it means."""


def findings(seen: MemoryReport, private: int, clients: int, replicas: int, scripts: int) -> list[str]:
    """Names of what is wrong, as `ADVICE` has them. `private`: bytes of RAM that are no part of a file; those
    of an interpreter and its libraries are many, and are not what is asked about."""
    handed_out = min(seen.active, private)
    checks = {
        "Peak memory": ratio(seen.peak, seen.used) > PEAK_RATIO,
        "High total RSS": _exceeds(private, seen.used, FRAGMENTED),
        "High allocator fragmentation": _exceeds(seen.active, seen.used, WASTEFUL),
        "High process RSS overhead": _exceeds(private, handed_out, WASTEFUL),
        "Big replica buffers": replicas > 0 and seen.clients_replicas > REPLICA_BYTES,
        "Big client buffers": clients > 0 and seen.clients_normal > CLIENT_BYTES * clients,
        "Many scripts": scripts > SCRIPTS,
    }
    return [name for name, wrong in checks.items() if wrong]


def diagnosis(worker: Worker) -> str:
    seen = report(worker)
    if seen.used - seen.startup < LITTLE:
        return EMPTY
    replicas = sum(session.kind == "replica" for session in worker.clients.values())
    found = findings(
        seen, process.anonymous_bytes(), len(worker.clients) - replicas, replicas, len(worker.scripts)
    )
    if not found:
        return HEALTHY
    told = "".join(f" * {name}: {ADVICE[name]}\n\n" for name in found)
    return f"{HEADING}{told}I'm here to keep you safe, Sam. I want to help you.\n"


def _exceeds(taken: int, used: int, allowed: float) -> bool:
    return ratio(taken, used) > allowed and taken - used > NOTABLE
