"""All processes together: start them, make them a cluster or await the one they were, watch, stop.

The order of a start: workers; then the cluster (formed anew, or found again from their nodes.conf); then
proxies, which need one to talk to; then the table. Until the table is printed any failure ends the start, and
a new directory is left as if it had never been; after it, a process that dies is started again and the rest
goes on. What blocks (talking to workers through redis-py) runs in a thread.

A formed cluster need not be whole to be resumed: a worker that does not come up, or comes up with nothing, is
left to the caretaker.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from cluster.operations.forming import await_agreement, form
from cluster.operations.link import Credentials, NodeLink, NotLetIn, OperationError, Unreachable
from cluster.operations.survey import Survey, read_view
from cluster.plans.check import uncovered_slots
from cluster.plans.create import plan_create
from cluster.plans.tending import Policy
from cluster.slots import SLOT_COUNT, count
from cluster.supervisor.authority import Authority
from cluster.supervisor.calls import proxy_arguments, worker_arguments
from cluster.supervisor.caretaker import Caretaker
from cluster.supervisor.child import Child, describe_end
from cluster.supervisor.endpoints import Endpoint, endpoints
from cluster.supervisor.login import login_from
from cluster.supervisor.logs import JsonSpeaker, Speaker, cause_of_end
from cluster.supervisor.programs import proxy_command, source_environment, worker_command
from cluster.supervisor.secrets import divide
from cluster.supervisor.settings import Settings, SetupError, to_remember
from cluster.supervisor.succession import hand_over
from cluster.supervisor.witness import Witness
from cluster.supervisor.workspace import Workspace
from node.log_lines import LineFormat

START_SECONDS = 30.0
"""for a worker to answer; longer while it says that it loads its data"""
SETTLE_SECONDS = 60.0
"""for the cluster to serve all slots"""
SETTLE_WITHOUT_SOME_SECONDS = 10.0
"""the same where one of the workers is not there, or has lost what it knew: for a replica to take over"""
STOP_SECONDS = 15.0
"""from SIGTERM to SIGKILL; a worker may be saving"""
ONE_WISH_SECONDS = 1.0
"""Requests to stop within this time are one and the same"""

_NO_LOGIN = (
    "{0} lets nobody in ({1}): say as whom with --masteruser and --masterauth among the workers' settings"
)
_POLL = 0.05
NOTICE = 2
AS_USUAL = Policy()
T = TypeVar("T")


class Stopped(Exception):
    """The operator ended the start before the cluster served."""


class Supervisor:
    """`write` gets every line to print, `show` the table and how many slots are served. `run` does it all and
    returns when stopped.

    With `json_lines` all lines are objects.
    The children's lines are printed from the table on; with `verbose` from the beginning. With `witness` the
    cluster is told which workers have died or are only busy. `policy` says how the cluster is looked after;
    its numbers are those of `settings`.
    """

    def __init__(
        self,
        settings: Settings,
        workspace: Workspace,
        write: Callable[[str], None],
        show: Callable[[list[Endpoint], int], None],
        worker_program: Sequence[str] = (),
        worker_settings: Sequence[str] = (),
        verbose: bool = False,
        witness: bool = True,
        policy: Policy = AS_USUAL,
        json_lines: bool = False,
    ) -> None:
        self.settings = settings
        self.workspace = workspace
        self._write = write
        self._show = show
        self._worker_program = list(worker_program)
        self._worker_settings = list(worker_settings)
        self._authority = Authority(workspace.directory / "tls") if settings.tls else None
        self._login = login_from(worker_settings, self._authority.for_us if self._authority else None)
        self._loud = verbose
        self._tells = witness
        self._json_lines = json_lines
        self._policy = replace(policy, replicas=settings.replicas)
        self._witness: Witness | None = None
        self._caretaker: Caretaker | None = None
        self._stop = asyncio.Event()
        self._stop_asked_at = 0.0
        self._workers: list[Child] = []
        self._proxies: list[Child] = []

    async def run(self) -> None:
        """Raises SetupError or OperationError when the cluster cannot be brought up, Stopped when
        interrupted."""
        self._catch_signals()
        formed = self.workspace.remembered is not None
        try:
            if not formed:
                self.workspace.remember(to_remember(self.settings), formed=False)
            survey = await self._bring_up(formed)
            self.workspace.remember(to_remember(self.settings), formed=True)
            with survey:
                served = SLOT_COUNT - count(uncovered_slots(survey.views))
                assert self._witness is not None
                await self._witness.begin()
                self._show(endpoints(self.settings, survey), served)
                strangers = self._strangers(survey)
            self._loud = True
            for child in (*self._workers, *self._proxies):
                child.keep_alive = True
            await self._look_after(strangers)
            await self._stop.wait()
            self.note("stopping")
        finally:
            await self._stop_children()

    def note(self, text: str) -> None:
        """A line of the supervisor's own."""
        if self._json_lines:
            line = LineFormat("json", "iso8601").line(os.getpid(), "U", NOTICE, time.time(), text)
            self._write(line.replace("{", '{"process": "shoal", ', 1))
        else:
            self._write(f"{time.strftime('%H:%M:%S')} {'shoal'.ljust(self._width)} │ {text}")

    # --- starting

    async def _bring_up(self, formed: bool) -> Survey:
        self.workspace.prepare_workers(self.settings.worker_ports)
        if self._authority is not None:
            await asyncio.to_thread(self._authority.prepare, self.settings.names)
        self.note(f"starting {self.settings.workers} workers in {self.workspace.directory}")
        self._workers = [self._worker(port) for port in self.settings.worker_ports]
        self._witness = Witness(
            self.settings.local_host,
            dict(zip(self.settings.worker_ports, self._workers, strict=True)),
            self.note,
            self._tells,
            self._login.arguments,
            self._login.tls,
        )
        for worker in self._workers:
            await worker.start()
        ports = self.settings.worker_ports
        for worker, port in zip(self._workers, ports, strict=True):
            await self._await_worker(worker, port, formed)
        if not any(worker.running for worker in self._workers):
            raise SetupError(f"no worker can be started: {cause_of_end(self._workers[0].speaker.last)}")
        settle = self._resume if formed else self._form
        survey = await self._unless_stopped(asyncio.to_thread(settle))
        self._proxies = [self._proxy()] if self.settings.proxies else []
        for proxy in self._proxies:
            await proxy.start()
        for proxy in self._proxies:
            await self._await_answer(proxy, self.settings.proxy_port, self._login.at_proxies)
        return survey

    def _worker(self, port: int) -> Child:
        directory, json_lines = self.workspace.worker_directory(port), self._json_lines
        args = worker_arguments(
            self.settings, port, directory, self._authority, json_lines and not self._worker_program
        )
        public, secret = divide([*self._login.more_settings, *self._worker_settings])
        args = [*(["-"] if secret else []), *args, *public]  # `-`: there is more at the standard input
        command = [*self._worker_program, *args] if self._worker_program else worker_command(args)
        return self._child(f"worker {port}", str(port), command, lambda: self._succeed(port), told=secret)

    async def _succeed(self, port: int) -> bool:
        """The worker on `port` died: let a replica take its place before it comes back. False if it shall
        not."""
        assert self._witness is not None
        dead = self._witness.workers[port]
        await hand_over(self._witness, dead, self.note, self._stop.is_set)
        return self._caretaker is None or not await self._caretaker.has_left(dead)

    def _note_from_thread(self, text: str) -> None:
        self._loop.call_soon_threadsafe(self.note, text)

    def _proxy(self) -> Child:
        """One program, which sees to its processes itself if there are to be several."""
        args = proxy_arguments(self.settings, self._authority, self._json_lines)
        args += self._login.proxy_options
        environment = self._login.proxy_environment
        return self._child("proxy", "proxy", proxy_command(args), environment=environment)

    def _child(
        self,
        name: str,
        short_name: str,
        command: list[str],
        before_restart: Callable[[], Awaitable[bool]] | None = None,
        environment: Mapping[str, str] = {},
        told: bytes = b"",
    ) -> Child:
        number = len(self._workers) + len(self._proxies)
        speaker: Speaker
        if self._json_lines:
            speaker = JsonSpeaker(short_name, self._write, lambda: self._loud)
        else:
            speaker = Speaker(short_name, self._width, number, self._write, lambda: self._loud)
        directory, variables = self.workspace.directory, source_environment() | dict(environment)
        return Child(name, command, directory, variables, speaker, self.note, before_restart, told)

    @property
    def _width(self) -> int:
        return len("proxy")

    async def _await_worker(self, worker: Child, port: int, may_fail: bool) -> None:
        try:
            await self._await_answer(worker, port, self._login.credentials)
        except SetupError as error:
            if not may_fail or worker.exit_code is None:
                raise
            self.note(f"warning: {error}")

    async def _await_answer(self, child: Child, port: int, credentials: Credentials) -> None:
        """Until it answers PING. Raises SetupError with its own last words when it ends instead."""
        deadline = time.monotonic() + START_SECONDS
        link = NodeLink(self.settings.local_host, port, credentials, timeout=2.0)
        with contextlib.closing(link):
            while True:
                if self._stop.is_set():
                    raise Stopped
                if child.exit_code is not None:
                    reason = cause_of_end(child.speaker.last)
                    raise SetupError(f"{child.name} {describe_end(child.exit_code)} while starting: {reason}")
                try:
                    await asyncio.to_thread(link.call, "PING")
                    return
                except Unreachable as error:
                    if time.monotonic() >= deadline and "loading" not in error.reason:
                        raise
                except NotLetIn as error:
                    raise SetupError(_NO_LOGIN.format(child.name, error.reply)) from error
                await asyncio.sleep(_POLL)

    def _form(self) -> Survey:
        """Make a new cluster of the workers."""
        host = self.settings.local_host
        plan = plan_create([(host, port) for port in self.settings.worker_ports], self.settings.replicas)
        links = {address: NodeLink(*address, self._login.credentials) for address in plan.addresses}
        try:
            return form(plan, links, self._note_from_thread, SETTLE_SECONDS)
        finally:
            for link in links.values():
                link.close()

    def _resume(self) -> Survey:
        """Await that the workers are the cluster again that they were. One that cannot become whole runs all
        the same: its data is served as far as it goes, and `shoal fix` needs a running cluster."""
        self._note_from_thread("resuming the cluster of this directory")
        knowing = self._knowing()
        lost = set(self.settings.worker_ports) - {link.port for _, link in knowing}
        best = max(knowing, key=lambda each: each[0])[1] if knowing else self._link(self.settings.port)
        for _, link in knowing:
            if link is not best:
                link.close()
        survey = Survey(best, self._login.credentials)
        settle_seconds = (
            SETTLE_SECONDS if lost.issubset(self.settings.newcomers) else SETTLE_WITHOUT_SOME_SECONDS
        )
        try:
            await_agreement(survey, time.monotonic() + settle_seconds)
        except OperationError as error:
            self._note_from_thread(f"warning: {error}")
        return survey

    def _knowing(self) -> list[tuple[int, NodeLink]]:
        """Workers that know others, and how many. One may have lost what it knew, or not be there."""
        found = []
        for link in map(self._link, self.settings.worker_ports):
            number = 0
            with contextlib.suppress(OperationError):
                number = len(read_view(link).nodes)
            if number > 1:
                found.append((number, link))
            else:
                link.close()
        return found

    def _link(self, port: int) -> NodeLink:
        return NodeLink(self.settings.local_host, port, self._login.credentials)

    def _strangers(self, survey: Survey) -> set[int]:
        """Ports of our workers that no member knows. Of one that has not answered, its address tells."""
        assert self._witness is not None
        ours = {node.port: node.id for node in survey.nodes.values() if node.host == self.settings.host}
        for port, worker in self._witness.workers.items():
            worker.node_id = worker.node_id or ours.get(port, "")
        return {port for port, each in self._witness.workers.items() if each.node_id not in survey.nodes}

    async def _look_after(self, strangers: set[int]) -> None:
        """Start what did not come up, and let the caretaker begin."""
        assert self._witness is not None
        self._caretaker = Caretaker(
            self.settings,
            self.workspace,
            self._witness,
            self._policy,
            self._login.credentials,
            self._added_worker,
            self.note,
        )
        for worker in self._workers:
            if not worker.running:
                await worker.start()
        self._caretaker.begin(strangers)

    def _added_worker(self, port: int) -> Child:
        worker = self._worker(port)
        self._workers.append(worker)
        return worker

    async def _unless_stopped(self, work: Awaitable[T]) -> T:
        """The result of `work`, or Stopped as soon as a stop is asked for."""
        task = asyncio.ensure_future(work)
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            stop.cancel()
            return task.result()
        await self._stop_children()  # ends whatever the thread is waiting for
        with contextlib.suppress(OperationError):
            await task
        raise Stopped

    # --- stopping

    def _catch_signals(self) -> None:
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._loop.add_signal_handler(number, self.request_stop)

    def request_stop(self) -> None:
        """The first time, stop in order; when asked again, at once.

        Some tools signal a process and its group, which is one wish that arrives twice: it must not cost
        the workers their final snapshots.
        """
        now = time.monotonic()
        if not self._stop.is_set():
            self._stop_asked_at = now
        elif now - self._stop_asked_at > ONE_WISH_SECONDS:
            self.note("killing what is left")
            for child in (*self._proxies, *self._workers):
                child.ask_to_stop(signal.SIGKILL)
        self._stop.set()

    async def _stop_children(self) -> None:
        """Proxies first, so that no client meets half a cluster; then all workers together."""
        if self._caretaker is not None:
            await self._caretaker.stop()
        if self._witness is not None:
            self._witness.close()
        for children in (self._proxies, self._workers):
            for child in children:
                child.ask_to_stop()
            ends = asyncio.gather(*(child.wait_stopped() for child in children))
            try:
                await asyncio.wait_for(asyncio.shield(ends), STOP_SECONDS)
            except TimeoutError:
                for child in children:
                    if child.running:
                        self.note(f"{child.name} does not stop; killing it")
                        child.ask_to_stop(signal.SIGKILL)
                await ends
