"""Asking another primary for slots: CLUSTER MIGRATION IMPORT.

In Redis the target begins a migration, on Valkey's wire the source does. So the target asks the source, as an
operator would (CLUSTER MIGRATESLOTS), over a connection of its own. What comes of it is the import that the
source then begins here; it is recognized by its slots, and goes by the name that was given to whoever asked
us.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cluster.migration.import_job import ImportJob
from cluster.slots import NO_SLOTS, from_range
from node.core.reply_writer import encode_command

if TYPE_CHECKING:
    from node.worker import Worker

Ranges = Sequence[tuple[int, int]]


class Invitation:
    """`name`: 40 hex characters. `job`: what came of it. Times are Unix ms."""

    def __init__(self, ranges: Ranges, source: str, target: str, now: int) -> None:
        self.name = secrets.token_hex(20)
        self.ranges = list(ranges)
        self.slots = NO_SLOTS
        for first, last in ranges:
            self.slots |= from_range(first, last)
        self.source = source
        self.target = target
        self.created_at = now
        self.ended_at = 0
        self.error = ""
        self.cancelled = False
        self.job: ImportJob | None = None

    @property
    def waits(self) -> bool:
        """For the source to begin."""
        return self.job is None and not self.ended_at

    def end(self, error: str, now: int) -> None:
        """Nothing comes of it."""
        if self.waits:
            self.error, self.ended_at = error, now


class Invitations:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.all: list[Invitation] = []
        """The latest first."""
        self._asking: dict[asyncio.Task[None], Invitation] = {}

    @property
    def _now(self) -> int:
        return self._worker.engine.tick()

    def waiting(self) -> int:
        """Bitmap of the slots that were asked for and do not come yet."""
        slots = NO_SLOTS
        for invitation in self.all:
            if invitation.waits:
                slots |= invitation.slots
        return slots

    def invite(self, ranges: Ranges, source: Any, target: str) -> Invitation:
        """Ask `source`, a Node, to send its slots to us, `target`."""
        invitation = Invitation(ranges, source.id, target, self._now)
        self.all.insert(0, invitation)
        task = asyncio.get_running_loop().create_task(
            self._ask(invitation, (source.ip, source.client_port(tls=self._worker.config.tls_replication)))
        )
        self._asking[task] = invitation
        task.add_done_callback(lambda ended: self._asking.pop(ended, None))
        return invitation

    def answered(self, job: ImportJob) -> Invitation | None:
        """A source begins; it was this invitation that made it, if any."""
        for invitation in self.all:
            if (
                invitation.job is None
                and invitation.slots == job.slots
                and invitation.source == job.source
                and (invitation.waits or invitation.cancelled)
            ):
                invitation.job = job
                return invitation
        return None

    def cancel(self, invitation: Invitation) -> None:
        invitation.cancelled = True
        invitation.end("Cancelled due to user request", self._now)

    def tick(self, timeout: int, most: int) -> None:
        """Some times a second. Those without an answer for `timeout` ms are given up; `most` are kept."""
        for invitation in self.all:
            if invitation.waits and self._now - invitation.created_at > timeout:
                invitation.end("The source did not begin", self._now)
        kept = [each for each in self.all[most:] if each.waits]
        self.all[most:] = kept

    def stop(self) -> None:
        for task in list(self._asking):
            task.cancel()

    async def _ask(self, invitation: Invitation, address: tuple[str, int]) -> None:
        config = self._worker.config
        try:
            async with asyncio.timeout(config.repl_timeout):
                context = self._worker.tls.to_primaries
                reader, writer = await asyncio.open_connection(*address, ssl=context)
                try:
                    error = await self._converse(invitation, reader, writer)
                finally:
                    writer.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as problem:
            error = f"Unable to reach the source: {problem or 'timeout'}"
        if error:
            invitation.end(error, self._now)

    async def _converse(
        self, invitation: Invitation, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> str:
        """Returns the error that the source answers, or nothing."""
        config = self._worker.config
        slots = [b"%d" % slot for span in invitation.ranges for slot in span]
        commands = [[b"CLUSTER", b"MIGRATESLOTS", b"SLOTSRANGE", *slots, b"NODE", invitation.target.encode()]]
        if config.masterauth:
            user = [config.masteruser.encode()] if config.masteruser else []
            commands.insert(0, [b"AUTH", *user, config.masterauth.encode()])
        for argv in commands:
            writer.write(encode_command(argv))
            line = (await reader.readuntil(b"\r\n")).decode("utf-8", "replace").rstrip()
            if line.startswith("-"):
                return line[1:]
        return ""
