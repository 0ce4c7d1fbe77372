"""Which snapshots make a backup whole.

A snapshot stands for the slots that its primary had, in one epoch, before it was begun. It is good as long as
its primary still has just these, in that epoch, when all snapshots have been taken: then no key can have
wandered from one that was not yet taken to one that was. A slot that left and came back has made the epoch
greater.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cluster.addresses import address_text


@dataclass(frozen=True)
class Holder:
    """A primary that has slots, or a server alone, which has all."""

    id: str
    """Of the node; the run id of a server alone."""
    host: str
    port: int
    slots: int
    """As a bitmap (cluster/slots.py)."""
    epoch: int

    @property
    def address(self) -> str:
        return address_text(self.host, self.port)


@dataclass(frozen=True)
class Layout:
    """All slots, each with one holder."""

    clustered: bool
    holders: tuple[Holder, ...]


@dataclass(frozen=True)
class BackupPlan:
    """`take`: whose snapshots are missing; `discard`: whose, taken before, are of no use any more."""

    take: tuple[Holder, ...]
    discard: tuple[Holder, ...]

    @property
    def is_done(self) -> bool:
        return not self.take and not self.discard


def plan_backup(taken: Iterable[Holder], layout: Layout) -> BackupPlan:
    """`taken`: the holders as they were when their snapshots were begun; `layout`: as it is now."""
    good = {_claim(holder): holder for holder in taken}
    wanted = {_claim(holder): holder for holder in layout.holders}
    return BackupPlan(
        take=tuple(holder for claim, holder in wanted.items() if claim not in good),
        discard=tuple(holder for claim, holder in good.items() if claim not in wanted),
    )


def _claim(holder: Holder) -> tuple[str, int, int]:
    return holder.id, holder.slots, holder.epoch
