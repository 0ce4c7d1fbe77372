"""Verifying what was restored: the target is asked for every key of the backup, when all of them are there.

DUMP and PEXPIRETIME give back value and moment of expiry, from any server that took the keys, in a cluster or
alone, and without a snapshot of it, which would hold other keys, too, where some were there before. What
comes back is decoded and reduced to a fingerprint, like the entry of the file. So what is compared is the end
of the whole way.

Time goes on meanwhile. What expires within the next minute is not compared: it might be gone on one side
only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from cluster.backup.courier import Courier, Job
from cluster.backup.layout import Access
from cluster.backup.ledger import Ledger
from cluster.operations.link import ErrorReply, OperationError
from cluster.plans.backup import Layout
from node.core.key_slot import key_slot
from node.core.reply_writer import encode_command
from node.errors import ReplyError
from node.keyspace.fingerprint import fingerprint
from node.persistence.rdb import Entry, load_payload

MARGIN_MS = 60_000
_EXAMPLES = 3


@dataclass
class Verified:
    same: int = 0
    fleeting: int = 0
    """Not compared, because they expire."""
    different: int = 0
    examples: list[str] = field(default_factory=list)
    """The first of those that differ, and how."""
    ledger: Ledger = field(default_factory=Ledger)
    """Of all entries that were read from the files."""

    @property
    def total(self) -> int:
        return self.same + self.fleeting + self.different


@dataclass(slots=True)
class _Expected:
    database: int
    as_of: int
    """Unix ms: what expires until then does not count. To be compared before."""
    number: int


class Verifier:
    """`on_progress` is called every now and then with what was found so far."""

    def __init__(self, access: Access, layout: Layout, on_progress: Callable[[Verified], object]) -> None:
        self._courier = Courier(access, layout, self._done, lambda job: job.commands)
        self._on_progress = on_progress
        self.found = Verified()

    def run(self, entries: Iterator[Entry]) -> Verified:
        """Raises OperationError when the target cannot be asked."""
        with closing(self._courier):
            for entry in entries:
                self._put(entry)
            self._courier.drain()
        self._on_progress(self.found)
        return self.found

    def _put(self, entry: Entry) -> None:
        as_of = int(time.time() * 1000) + MARGIN_MS
        number: int | None = self.found.ledger.add(entry)
        if 0 < entry.expire_at <= as_of:
            number = None
        elif getattr(entry.value, "timed", False):
            number = fingerprint(entry.database, entry.key, entry.value, entry.expire_at, as_of)
        if number is None:
            self.found.fleeting += 1
            return
        commands = [encode_command([b"DUMP", entry.key]), encode_command([b"PEXPIRETIME", entry.key])]
        self._courier.select(entry.database)
        memo = _Expected(entry.database, as_of, number)
        self._courier.put(Job(key_slot(entry.key), entry.key, commands, memo))

    def _done(self, job: Job, address: str, replies: list[Any]) -> None:
        difference = _difference(job, replies)
        if not difference:
            self.found.same += 1
        elif time.time() * 1000 > job.memo.as_of:
            self.found.fleeting += 1
        else:
            self.found.different += 1
            if len(self.found.examples) < _EXAMPLES:
                shown = job.key[:128].decode("latin-1")
                self.found.examples.append(f"{shown!r} (slot {job.slot}) {difference} at {address}")
        if self.found.total % 1024 == 0:
            self._on_progress(self.found)


def _difference(job: Job, replies: list[Any]) -> str:
    """What is wrong with the replies about a key; empty if nothing is. Raises OperationError for errors."""
    for reply in replies:
        if isinstance(reply, ErrorReply):
            raise OperationError(f"the target refused to give back {job.key[:128]!r}: {reply.text}")
    payload, expire_at = replies
    if payload is None:
        return "is missing"
    expected: _Expected = job.memo
    try:
        value = load_payload(payload)
    except ReplyError as error:
        return f"is given back in a form that cannot be read ({error.text})"
    number = fingerprint(expected.database, job.key, value, max(expire_at, 0), expected.as_of)
    return "" if number == expected.number else "is another"
