"""Bringing commands about keys to whoever owns their slots, many at a time, and their replies back.

Jobs gather per owner, and go out in batches: while a server works on one, the next is being made. What a
server sends elsewhere (MOVED, ASK), cannot do just now, or may not have got because the connection broke, is
done again: the layout is read anew, and there is some time for a failover to come to its end. All else is for
`on_done`.

A job that goes out again may have been done before. `repeated` gives it the form that does not mind.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cluster.backup.layout import Access, read_layout
from cluster.backup.pipe import Pipe
from cluster.operations.link import ErrorReply, OperationError, Unreachable
from cluster.plans.backup import Layout
from cluster.slots import SLOT_COUNT, members
from node.core.reply_writer import encode_command

BATCH_JOBS = 512
BATCH_BYTES = 1024 * 1024
WAITING_JOBS = 20_000
"""Of all owners together: then all batches go out, so that none waits for ever for more."""
ATTEMPTS = 9
AT_ONCE = 3
"""Attempts that follow a redirection without a pause."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0

_ASKING = encode_command([b"ASKING"])
_PASSING = ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN")
"""What says: somewhere else, or later. The first words of error replies."""

Address = tuple[str, int]


@dataclass(slots=True)
class Job:
    """Commands about one key, encoded."""

    slot: int
    key: bytes
    commands: list[bytes]
    memo: Any = None
    """Whatever `on_done` wants to know."""


OnDone = Callable[[Job, str, list[Any]], object]
"""Told of each job that has come to its end: where, and the replies to its commands."""
Repeated = Callable[[Job], list[bytes]]
"""The commands of a job that may have been executed already."""


@dataclass(slots=True)
class _Batch:
    jobs: list[Job] = field(default_factory=list)
    size: int = 0


class Courier:
    """Raises OperationError from `put`, `drain` and `select` when a job cannot be delivered."""

    def __init__(self, access: Access, layout: Layout, on_done: OnDone, repeated: Repeated) -> None:
        self._access = access.widened(layout)
        self._on_done = on_done
        self._repeated = repeated
        self._owners: list[Address] = [("", 0)] * SLOT_COUNT
        self._pipes: dict[Address, Pipe] = {}
        self._gathering: dict[Address, _Batch] = {}
        self._sent: dict[Address, list[Job]] = {}
        self._waiting = 0
        self._database = 0
        self._adopt(layout)

    def close(self) -> None:
        for pipe in self._pipes.values():
            pipe.close()
        self._pipes.clear()

    def select(self, database: int) -> None:
        """What is put from now on is about keys of this database."""
        if database != self._database:
            self.drain()
            self._database = database

    def put(self, job: Job) -> None:
        owner = self._owners[job.slot]
        batch = self._gathering.get(owner)
        if batch is None:
            batch = self._gathering[owner] = _Batch()
        batch.jobs.append(job)
        batch.size += sum(map(len, job.commands))
        self._waiting += 1
        if len(batch.jobs) >= BATCH_JOBS or batch.size >= BATCH_BYTES:
            self._send(owner)
        elif self._waiting >= WAITING_JOBS:
            self.drain()

    def drain(self) -> None:
        """Return when all jobs are done."""
        for owner in list(self._gathering):
            self._send(owner)
        for owner in list(self._sent):
            self._collect(owner)

    # --- batches

    def _send(self, owner: Address) -> None:
        """Send what has gathered for `owner`, once it has answered what was sent before."""
        self._collect(owner)
        jobs = self._gathering.pop(owner, _Batch()).jobs
        self._waiting -= len(jobs)
        if not jobs:
            return
        try:
            pipe = self._pipe(owner)
            pipe.send(b"".join([command for job in jobs for command in job.commands]))
        except Unreachable:
            self._lose(owner)
            self._do_again(jobs)
        else:
            self._sent[owner] = jobs

    def _collect(self, owner: Address) -> None:
        jobs = self._sent.pop(owner, None)
        if jobs is None:
            return
        pipe = self._pipes[owner]
        undone: list[Job] = []
        answered = 0
        try:
            for job in jobs:
                replies = [pipe.receive() for _ in job.commands]
                answered += 1
                if any(_is_passing(reply) for reply in replies):
                    undone.append(job)
                else:
                    self._on_done(job, pipe.address, replies)
        except Unreachable:
            self._lose(owner)
            undone += jobs[answered:]
        self._do_again(undone)

    # --- one at a time, when something is in the way

    def _do_again(self, jobs: list[Job]) -> None:
        for job in jobs:
            self._insist(job)

    def _insist(self, job: Job) -> None:
        pause = FIRST_PAUSE
        owner = self._owners[job.slot]
        asking = False
        trouble = ""
        for attempt in range(ATTEMPTS):
            try:
                address, replies = self._ask(owner, job, asking)
            except Unreachable as error:
                trouble = str(error)
                self._lose(owner)
            else:
                passing = next((reply.text for reply in replies if _is_passing(reply)), "")
                if not passing:
                    self._on_done(job, address, replies)
                    return
                trouble = f"{address} says {passing}"
                asking = passing.startswith("ASK ")
                if asking or passing.startswith("MOVED "):
                    owner = _address_in(passing, owner)
                    if not asking:
                        self._owners[job.slot] = owner
                    if attempt < AT_ONCE:
                        continue
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            self._look_again()
            owner, asking = self._owners[job.slot], False
        raise OperationError(f"slot {job.slot}: given up after {ATTEMPTS} attempts: {trouble}")

    def _ask(self, owner: Address, job: Job, asking: bool) -> tuple[str, list[Any]]:
        """On a pipe on which nothing else is outstanding."""
        self._collect(owner)
        pipe = self._pipe(owner)
        commands = self._repeated(job)
        pipe.send(b"".join(_ASKING + command if asking else command for command in commands))
        replies = [pipe.receive() for _ in range(len(commands) * (1 + asking))]
        return pipe.address, replies[1::2] if asking else replies

    def _look_again(self) -> None:
        try:
            self._adopt(read_layout(self._access, settled=False))
        except OperationError:
            return  # not yet; there is another attempt, or the trouble at hand is told

    def _adopt(self, layout: Layout) -> None:
        for holder in layout.holders:
            for slot in members(holder.slots):
                self._owners[slot] = (holder.host, holder.port)
        self._access = self._access.widened(layout)

    # --- connections

    def _pipe(self, owner: Address) -> Pipe:
        """Of `owner`, in our database, with nothing outstanding."""
        pipe = self._pipes.get(owner)
        if pipe is None:
            pipe = self._pipes[owner] = Pipe(*owner, self._access.credentials, self._access.timeout)
        pipe.select(self._database)
        return pipe

    def _lose(self, owner: Address) -> None:
        pipe = self._pipes.pop(owner, None)
        if pipe is not None:
            pipe.close()


def _is_passing(reply: Any) -> bool:
    return isinstance(reply, ErrorReply) and reply.text.partition(" ")[0] in _PASSING


def _address_in(redirection: str, asked: Address) -> Address:
    """Of `MOVED slot host:port`; without a host it is the one that was asked."""
    host, _, port = redirection.split()[2].rpartition(":")
    return host.strip("[]") or asked[0], int(port)
