"""The supervisor's part in looking after the cluster: what only the host of the processes can know and do.

What is due is decided in `cluster/plans/tending.py` and done in `cluster/operations/tending.py`. Here it is
known which workers are new, cannot be started any more, or have left, and here processes are started:

- A worker that is new in this directory (`--workers` with a higher number) is made a member and gets a role,
  it and no other: who serves nothing because an operator took its slots is left as it is.
- One that cannot be started any more is given up after some tries if others have its slots: a fresh one takes
  its place and its port, and its id is forgotten. What was its directory is kept, by another name.
- A primary that stays without replica gets a new worker, at the next port.
- A worker that was taken out of the cluster and shut down (`shoal del-node --shutdown`) is not started again.

A look every second costs one question to one worker, each in its turn, for not all know the same. Only if
that finds something, all are asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections.abc import Callable

from cluster.addresses import address_text
from cluster.operations.link import Credentials
from cluster.operations.tending import Tender
from cluster.plans.model import View
from cluster.plans.tending import Add, Host, Policy, Replace
from cluster.supervisor.child import Child
from cluster.supervisor.preflight import require_free_port
from cluster.supervisor.settings import Settings, SetupError, to_remember
from cluster.supervisor.witness import Watched, Witness
from cluster.supervisor.workspace import Workspace

LOOK_SECONDS = 1.0
STOP_SECONDS = 2.0
GIVE_UP_AFTER = 4
"""Ends in a row without a sign of life in between: a crash, and three starts that came to nothing."""


class Caretaker:
    """`make_worker(port)`: a process that is not started yet. `settings` change as workers come and go."""

    def __init__(
        self,
        settings: Settings,
        workspace: Workspace,
        witness: Witness,
        policy: Policy,
        credentials: Credentials,
        make_worker: Callable[[int], Child],
        note: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self._workspace = workspace
        self._witness = witness
        self._make_worker = make_worker
        self._note = note
        self._gone: set[str] = set()
        self._loop = asyncio.get_running_loop()
        self._said = ""
        self._tender = Tender(self._seeds, policy, credentials, workspace.journals, self._note_from_thread)
        self._stopping = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    def begin(self, strangers: set[int]) -> None:
        """Look after them from now on. `strangers`: ports of workers that no member knows."""
        if not strangers.issubset(self.settings.newcomers):
            self._remember(self.settings.with_newcomers(strangers))
        self._work = asyncio.create_task(self._run())
        self._work.add_done_callback(self._ended)

    def _ended(self, work: asyncio.Task[None]) -> None:
        if not work.cancelled() and work.exception() is not None:
            bug = " ".join("".join(traceback.format_exception(work.exception())).split())
            self._note(f"a bug ends the looking after the cluster: {bug}")

    async def stop(self) -> None:
        """What is under way gets some time to come to its end; slots that move can be gone on with."""
        self._stopping.set()
        self._tender.request_stop()
        if self._work is not None:
            await asyncio.wait({self._work}, timeout=STOP_SECONDS)
            self._work.cancel()

    def _note_from_thread(self, text: str) -> None:
        self._loop.call_soon_threadsafe(self._note, text)

    def _seeds(self) -> list[tuple[str, int]]:
        return [(self.settings.local_host, port) for port in self.settings.worker_ports]

    # --- looking

    async def _run(self) -> None:
        due, turn = self._tender.has_plans, 0
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), LOOK_SECONDS)
                break
            turn += 1
            view = await self._witness.view(turn)
            if view is None:
                continue
            host = self._host(view)
            if due or self._tender.tending.next_step(view.nodes, host, time.monotonic()) is not None:
                due = await self._look(host, view)
        self._tender.close()

    async def _look(self, host: Host, view: View) -> bool:
        """Do what is due. Returns whether a plan of moves has to be gone on with."""
        step = await asyncio.to_thread(self._tender.look, host)
        try:
            if isinstance(step, Add):
                await self._add_worker(view.nodes[step.primary].address)
            elif isinstance(step, Replace):
                self._replace(step.node)
            self._said = ""
        except (SetupError, OSError) as error:
            if str(error) != self._said:
                self._note(f"looking after the cluster has to wait: {error}")
            self._said = str(error)
        return await asyncio.to_thread(lambda: self._tender.has_plans)

    def _host(self, view: View) -> Host:
        workers = list(self._witness.workers.values())
        self._note_roles(view, workers)
        given_up = {worker.port for worker in workers if worker.child.failures >= GIVE_UP_AFTER}
        new = [worker for worker in workers if worker.port in self.settings.newcomers]
        strangers = [worker for worker in new if worker.node_id not in view.nodes]
        return Host(
            own=frozenset(worker.node_id for worker in new),
            strangers=tuple(
                address_text(self.settings.host, worker.port)
                for worker in strangers
                if worker.answers and worker.node_id
            ),
            lost=frozenset(worker.node_id for worker in workers if worker.port in given_up),
            gone=frozenset(self._gone),
            is_settling=any(
                worker.port not in given_up and (worker in strangers or not worker.child.running)
                for worker in workers
            ),
            starts_workers=True,
        )

    def _note_roles(self, view: View, workers: list[Watched]) -> None:
        """Who has slots or a primary is no newcomer any more."""
        with_role = {node.id for node in view.nodes.values() if node.slots or not node.is_primary}
        settled = {worker.port for worker in workers if worker.node_id in with_role}
        if not settled.isdisjoint(self.settings.newcomers):
            self._remember(self.settings.without_newcomers(settled))

    # --- workers that come and go

    async def _add_worker(self, bereft: str) -> None:
        settings = self.settings.with_worker()
        port = max(settings.worker_ports)
        require_free_port(settings.bind, port)
        self._workspace.set_aside(port, "left")
        self._workspace.worker_directory(port).mkdir()
        self._remember(settings)
        self._note(f"{bereft} has no replica: starting worker {port}")
        child = self._make_worker(port)
        child.keep_alive = True
        await child.start()
        self._witness.watch(self._witness.add(port, child))

    def _replace(self, node_id: str) -> None:
        """Let a fresh worker start where this one cannot."""
        worker = next(worker for worker in self._witness.workers.values() if worker.node_id == node_id)
        kept = self._workspace.set_aside(worker.port, "lost")
        self._workspace.worker_directory(worker.port).mkdir()
        self._gone.add(node_id)
        self._remember(self.settings.with_newcomers({worker.port}))
        worker.node_id = ""
        what = f"its files are kept as {kept}" if kept else "its files are gone"
        self._note(f"worker {worker.port} cannot be started: a fresh one takes its place; {what}")
        worker.child.hurry()

    async def has_left(self, worker: Watched) -> bool:
        """Whether a worker that has ended was taken out of the cluster before. It is let go then."""
        view = await self._witness.view() if worker.child.succeeded and worker.node_id else None
        if view is None or worker.node_id in view.nodes or worker.port in self.settings.newcomers:
            return False
        port = worker.port
        self._witness.drop(port)
        self._remember(self.settings.without_worker(port))
        with contextlib.suppress(OSError):
            self._workspace.set_aside(port, "left")
        self._note(f"worker {port} has left the cluster: it is not started again")
        return True

    def _remember(self, settings: Settings) -> None:
        self.settings = settings
        self._workspace.remember(to_remember(settings), formed=True)
