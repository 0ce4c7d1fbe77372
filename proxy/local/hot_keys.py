"""HOTKEYS for all workers at once: each watches its own keys, and what they have found becomes one report.

Times, bytes and counts are added up, and keys are put in one order: as many from each worker as HOTKEYS START
has asked for. A slot is watched by the worker that has it, so `SLOTS` is dealt out to the owners.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from node.handlers.arguments import as_int
from proxy.requests.codec import encode_request, pairs_of

if TYPE_CHECKING:
    from proxy.workers.dialogue import Address

LISTS = (b"by-cpu-time-us", b"by-net-bytes")
"""key, cost, key, cost …, the greatest cost first"""
EQUAL = (b"tracking-active", b"sample-ratio", b"collection-start-time-unix-ms", b"collection-duration-ms")
"""Of these the greatest is told."""


def stopped(argv: Sequence[bytes], values: Sequence[Any]) -> Any:
    """OK if any worker was watching."""
    return next((value for value in values if value is not None), None)


def found(argv: Sequence[bytes], values: Sequence[Any]) -> Any:
    """Of workers that have never watched nothing is told."""
    reports = [pairs_of(report) for value in values if value for report in value]
    if not reports:
        return None
    merged: dict[bytes, Any] = {}
    for name in dict.fromkeys(name for report in reports for name in report):
        each = [report[name] for report in reports if name in report]
        if name in LISTS:
            merged[name] = _greatest(each)
        elif name == b"selected-slots":
            merged[name] = sorted(slots for some in each for slots in some)
        else:
            merged[name] = max(each) if name in EQUAL else sum(each)
    return [merged]


def _greatest(lists: Sequence[Sequence[Any]]) -> list[Any]:
    costs: dict[bytes, int] = {}
    for each in lists:
        for key, cost in pairs_of(each).items():
            costs[key] = costs.get(key, 0) + cost
    ranked = sorted(costs.items(), key=lambda pair: (-pair[1], pair[0]))
    return [item for pair in ranked for item in pair]


def dealt_out(argv: Sequence[bytes], owners: Sequence[Address | None]) -> dict[Address, bytes] | None:
    """What to send to each owner of slots that HOTKEYS START names; None if it names none, or makes none."""
    words = [word.upper() for word in argv]
    at = words.index(b"SLOTS") if b"SLOTS" in words else len(words)
    count = as_int(argv[at + 1]) if at + 1 < len(argv) else None
    slots = [as_int(word) for word in argv[at + 2 : at + 2 + (count or 0)]]
    if not slots or len(slots) != count:
        return None
    shares: dict[Address, list[bytes]] = {}
    for slot in slots:
        owner = owners[slot] if slot is not None and 0 <= slot < len(owners) else None
        if owner is None or slot is None:
            return None
        shares.setdefault(owner, []).append(b"%d" % slot)
    return {
        owner: encode_request([*argv[: at + 1], b"%d" % len(share), *share, *argv[at + 2 + count :]])
        for owner, share in shares.items()
    }
