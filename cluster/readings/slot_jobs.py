"""Migrations of whole slots as CLUSTER GETSLOTMIGRATIONS tells of them, shoal's and Valkey's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cluster.slots import parse_ranges


@dataclass(frozen=True)
class Job:
    """A row of CLUSTER GETSLOTMIGRATIONS. `sent`: bytes, where the node tells."""

    name: str
    operation: str
    slots: int
    target: str
    state: str
    message: str
    sent: int
    changed_at: int = 0
    """Unix time"""

    @property
    def in_progress(self) -> bool:
        return self.state not in ("success", "failed", "cancelled")


def job_of(row: Sequence[Any]) -> Job:
    fields = {
        key.decode(): value.decode() if isinstance(value, bytes) else value
        for key, value in zip(row[::2], row[1::2], strict=True)
    }
    return Job(
        name=fields["name"],
        operation=fields["operation"],
        slots=parse_ranges(fields["slot_ranges"]),
        target=fields.get("target_node", ""),
        state=fields["state"],
        message=fields["message"],
        sent=int(fields.get("sent_bytes", 0)),
        changed_at=int(fields.get("last_update_time", 0)),
    )
