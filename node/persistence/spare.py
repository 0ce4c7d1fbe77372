"""A second dataset beside the one in use: filled while the other is served, then put in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.core.slot_transfer import transfer_slots
from node.keyspace.anteroom import empty_like

if TYPE_CHECKING:
    from node.worker import Worker

LAST_SLOT = 16383


class Spare:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.databases = [empty_like(db) for db in worker.databases]
        self.functions: list[bytes] = []
        """Sources of libraries."""

    def take_over(self) -> None:
        """Be what is in use; that should be empty. Raises ReplyError for a library that does not load."""
        for source, target in zip(self.databases, self._worker.databases, strict=True):
            transfer_slots(source, target, 0, LAST_SLOT)
        for code in self.functions:
            self._worker.functions.load_from_file(code)

    def drop(self) -> None:
        for db in self.databases:
            self._worker.graveyard.empty(db, True)
