"""All migrations of whole slots that this worker takes part in, or has taken part in.

    source: MIGRATESLOTS → ExportJob, Exporter ⇄ ImportJob, Importer ← SYNCSLOTS ESTABLISH: target

The jobs decide (export_job.py, import_job.py); here what they want done is done, and what happens to the
worker is told to them: that slots change hands, that its role changes, that its data goes, that time passes.
Jobs that have ended stay in the list, as many as `cluster-slot-migration-log-max-len` says.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cluster.coordinator.coordinator import Coordinator
from cluster.migration import effects as fx
from cluster.migration.allowance import Allowance
from cluster.migration.effects import Effect
from cluster.migration.export_job import ExportJob
from cluster.migration.exporter import Exporter
from cluster.migration.import_job import ImportJob
from cluster.migration.importer import Importer
from cluster.migration.invitations import Invitations
from cluster.migration.job import Job
from cluster.slots import NO_SLOTS
from cluster.topology.node import Node
from node.core.command_rows import GATE_BUSY

if TYPE_CHECKING:
    from cluster.member import Member
    from node.worker import Worker

Ranges = Sequence[tuple[int, int]]


class Migrations:
    def __init__(self, member: Member, worker: Worker) -> None:
        self._member = member
        self._worker = worker
        self.jobs: list[Job] = []
        self.outcomes: Counter[tuple[str, str]] = Counter()
        """How many have ended, by (operation, last state)."""
        """The latest first."""
        self._ends: dict[Job, Exporter | Importer] = {}
        self.invitations = Invitations(worker)
        self._allowance = Allowance()
        self._bandwidth_changed(worker.config.slot_migration_max_bandwidth)
        worker.config.on_change("slot-migration-max-bandwidth", self._bandwidth_changed)
        self.prevents_pause = False
        """DEBUG SLOTMIGRATION PREVENT-PAUSE: no writes are held."""
        self.prevents_failover = False
        """DEBUG SLOTMIGRATION PREVENT-FAILOVER: no slots are taken."""

    @property
    def _now(self) -> int:
        return self._worker.engine.tick()

    def _bandwidth_changed(self, rate: int) -> None:
        self._allowance.set_rate(rate, self._now)

    # --- what there is

    def exporting(self) -> int:
        """Bitmap of the slots that are on their way elsewhere."""
        return _slots_of(job for job in self.jobs if isinstance(job, ExportJob) and job.in_progress)

    def importing(self) -> int:
        """Bitmap of the slots that are on their way here."""
        return _slots_of(job for job in self.jobs if isinstance(job, ImportJob) and job.in_progress)

    def listed(self) -> list[Job]:
        """All jobs, the latest first."""
        self._find_rooms()
        return self.jobs

    def find(self, name: str) -> Job | None:
        self._find_rooms()
        return next((job for job in self.jobs if job.name == name), None)

    def import_of(self, session: Any) -> ImportJob | None:
        """The import whose source's commands this session executes."""
        for job, end in self._ends.items():
            if isinstance(job, ImportJob) and isinstance(end, Importer) and end.is_of(session):
                return job
        return None

    def _staged(self) -> int:
        """Bytes of memory that keys on their way here take."""
        return sum(end.held for end in self._ends.values() if isinstance(end, Importer))

    # --- beginnings

    def export(self, ranges: Ranges, target: Node) -> ExportJob:
        """CLUSTER MIGRATESLOTS: send these slots to another primary."""
        job = ExportJob(
            secrets.token_hex(20), ranges, self._member.coordinator.myself.id, target.id, self._now
        )
        self.jobs.insert(0, job)
        address = (target.ip, target.client_port(tls=self._worker.config.tls_replication))
        self._ends[job] = Exporter(
            self._worker, job, address, self._allowance, self._perform, self._may_pause
        )
        self._perform(job, job.start())
        return job

    def accept(self, name: str, ranges: Ranges, source: Node, link: Any) -> ImportJob:
        """SYNCSLOTS ESTABLISH of a source, on the connection `link`."""
        self._worker.departures.finish_slots(ranges)
        job = ImportJob(name, ranges, source.id, self._member.coordinator.myself.id, self._now)
        self.jobs.insert(0, job)
        room = self._worker.anteroom.open(name.encode(), ranges)
        self._ends[job] = Importer(self._worker, job, room, link, self._perform, self._staged)
        self._perform(job, job.begun())
        invitation = self.invitations.answered(job)
        if invitation is not None and invitation.cancelled:
            self.cancel_one(job)
        return job

    def track(self, name: str, ranges: Ranges) -> None:
        """SYNCSLOTS ESTABLISH in our primary's stream, or in the log."""
        self._worker.anteroom.open(name.encode(), ranges)
        self._find_rooms()

    def finish(self, job: Job, *, success: bool, message: str) -> None:
        """SYNCSLOTS FINISH. What does not happen elsewhere can only be given up by it."""
        if not isinstance(job, ImportJob) or not job.in_progress:
            return
        if job.only_tracked:
            self._perform(job, job.finished(self._now, success=success, message=message))
        else:
            self._perform(job, job.fail(message, self._now))

    def heard(self, job: ImportJob, word: str) -> None:
        """CLUSTER SYNCSLOTS `word`, of the source."""
        self._perform(job, job.heard(word, self._now))
        self._take_if_granted(job)

    def cancel(self) -> None:
        """CLUSTER CANCELSLOTMIGRATIONS: give up all exports."""
        for job in self._exports():
            self._perform(job, job.cancel(self._now))

    def cancel_one(self, job: ExportJob | ImportJob) -> None:
        """CLUSTER MIGRATION CANCEL: give up this one."""
        self._perform(job, job.cancel(self._now))

    # --- what happens

    def tick(self) -> None:
        """Ten times a second."""
        self._find_rooms()
        if self._member.coordinator.myself.is_primary:
            self.promoted("Process restarted")  # if it was made to load a snapshot that tells of moves
        self._settle_doubts()
        timeout = self._worker.config.repl_timeout * 1000
        for job in self._going_on():
            self._perform(job, job.tick(self._now, timeout))
            end = self._ends.get(job)
            if isinstance(end, Exporter):
                end.look()
            elif isinstance(job, ImportJob):
                self._take_if_granted(job)
        most = self._worker.config.cluster_slot_migration_log_max_len
        self.invitations.tick(timeout, most)
        for old in reversed(self.jobs):
            if len(self.jobs) <= most:
                break
            if not (old.in_progress or (isinstance(old, ExportJob) and old.doubtful)):
                self.jobs.remove(old)

    def _settle_doubts(self) -> None:
        topology = self._member.coordinator.topology
        for job in self.jobs:
            if isinstance(job, ExportJob) and job.doubtful:
                target = topology.nodes.get(job.target)
                effects = job.settle_doubt(
                    ours=target is not None and not job.slots & ~topology.myself.slots,
                    target_heard_at=target.pong_received if target is not None else 0,
                    target_failed=target is not None and target.failed,
                )
                self._perform(job, effects)

    def slots_changed(self) -> None:
        """Some slots have new owners."""
        coordinator = self._member.coordinator
        for job in self._going_on():
            owner = next(
                (node.id for node in coordinator.topology.owners() if not job.slots & ~node.slots), ""
            )
            self._perform(job, job.owned_by(owner, coordinator.myself.id, self._now))

    def data_flushed(self) -> None:
        """FLUSHALL or FLUSHDB. Imports of our primary's are over for us, too."""
        for job in self._going_on():
            if isinstance(job, ExportJob):
                self._perform(job, job.flushed(self._now))
            elif job.only_tracked:
                self._perform(job, job.finished(self._now, success=False, message="Data was flushed"))
            else:
                self._perform(job, job.fail("Data was flushed", self._now))

    def data_replaced(self) -> None:
        """All keys go, and what is loaded in their place tells itself of our primary's imports."""
        self.jobs = [job for job in self.jobs if not (job.in_progress and job.only_tracked)]
        for job in self._going_on():
            reason = "A new RDB is being loaded"
            self._perform(
                job, job.flushed(self._now) if isinstance(job, ExportJob) else job.fail(reason, self._now)
            )

    def demoted(self) -> None:
        """This node becomes a replica."""
        for job in self._going_on():
            self._perform(job, job.demoted(self._now))

    def promoted(self, reason: str) -> None:
        """This node becomes a primary, or starts as one: what was imported is ours, or goes for that
        `reason`."""
        self._find_rooms()
        for job in self._going_on():
            if isinstance(job, ImportJob) and job.only_tracked:
                if job.slots & ~self._member.coordinator.myself.slots == NO_SLOTS:
                    self._perform(job, job.admitted(self._now))
                else:
                    self._perform(job, job.fail(reason, self._now))

    def stop(self) -> None:
        """The worker ends."""
        self.invitations.stop()
        for end in list(self._ends.values()):
            end.close()

    def _may_pause(self) -> bool:
        """Not in the middle of a script that may go on writing."""
        return not self.prevents_pause and not self._worker.engine.gate & GATE_BUSY

    def _take_if_granted(self, job: ImportJob) -> None:
        if not self.prevents_failover:
            self._perform(job, job.take(self._now))

    def _find_rooms(self) -> None:
        """What the stream, the log or a snapshot told of."""
        known = {job.name: job for job in self.jobs}
        for name, room in list(self._worker.anteroom.rooms.items()):
            job = known.get(name.decode())
            if job is None:
                self.jobs.insert(0, ImportJob(name.decode(), room.ranges, "", "", self._now))
            elif not job.in_progress:  # what was loaded is older than its end
                self._worker.anteroom.dismiss(name, told=self._member.coordinator.myself.is_primary)

    def _going_on(self) -> list[ExportJob | ImportJob]:
        return [job for job in self.jobs if isinstance(job, ExportJob | ImportJob) and job.in_progress]

    def _exports(self) -> list[ExportJob]:
        return [job for job in self._going_on() if isinstance(job, ExportJob)]

    # --- effects

    def _perform(self, job: ExportJob | ImportJob, effects: list[Effect]) -> None:
        for position, effect in enumerate(effects):
            match effect:
                case fx.Dismiss(told=True):
                    self._dismiss(job, effects[position + 1 :])
                    break
                case fx.Log():
                    getattr(self._worker.log, effect.level)(effect.text)
                case fx.HoldWrites():
                    self._worker.pause.hold_slots(job.name, effect.until, job.slots)
                    self._worker.trail.flush()
                case fx.Outbid():
                    self._member.turn(Coordinator.outbid)
                case fx.ResumeWrites():
                    self._worker.pause.end(job.name)
                case fx.TakeSlots() | fx.Admit() | fx.Dismiss() | fx.Propagate():
                    self._perform_on_data(job, effect)
                case _:
                    end = self._ends.get(job)
                    if end is not None:
                        end.perform(effect)
        if not job.in_progress and self._ends.pop(job, None) is not None:
            self.outcomes[job.operation.lower(), str(job.state)] += 1

    def _dismiss(self, job: ExportJob | ImportJob, then: list[Effect]) -> None:
        """What follows is told behind the last key that goes, which may be some turns of the loop later."""
        name = job.name.encode()
        if name in self._worker.anteroom.rooms:
            self._worker.anteroom.dismiss(name, told=True, done=lambda: self._perform(job, then))
        else:
            self._perform(job, then)

    def _perform_on_data(self, job: ExportJob | ImportJob, effect: Effect) -> None:
        anteroom, name = self._worker.anteroom, job.name.encode()
        match effect:
            case fx.TakeSlots():
                self._worker.append_only.recorder.write_now()  # the source is about to delete all of it
                anteroom.admit(name)
                self._member.turn(lambda coordinator, now: coordinator.take_slots(job.slots, now))
            case fx.Admit():
                if name in anteroom.rooms:
                    anteroom.admit(name)
            case fx.Dismiss():
                if name in anteroom.rooms:
                    anteroom.dismiss(name, told=False)
            case fx.Propagate(argv=argv):
                self._worker.trail.add(0, list(argv))


def _slots_of(jobs: Any) -> int:
    slots = NO_SLOTS
    for job in jobs:
        slots |= job.slots
    return slots
