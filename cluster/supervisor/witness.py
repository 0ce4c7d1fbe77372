"""What the supervisor knows of its workers before the cluster does, and tells it.

- The kernel says at once when a worker's process has ended. One surviving worker is told (CLUSTER WITNESS
  DEAD), which tells the whole cluster; then, to be sure, all others here.
- A worker that does not answer, though its process works, is only busy: with KEYS on millions of keys, with
  a big DEL. Its silence is vouched for (CLUSTER WITNESS BUSY), again and again until it answers or the
  members do not believe it any more (cluster-witness-limit). A process that was stopped, or hangs, is not.

Each worker is asked for a sign of life four times per node timeout, over a connection that stays open: so
nobody has to be found when there is news. Foreign servers do not know the command, and lose nothing by it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cluster.operations.dialling import Tls, context_of
from cluster.operations.link import OperationError
from cluster.operations.survey import parse_view
from cluster.plans.model import View
from cluster.supervisor.child import Child
from cluster.supervisor.processes import effort
from cluster.supervisor.worker_link import Refusal, WorkerLink

SIGNS_PER_TIMEOUT = 4
SHORTEST_PERIOD, LONGEST_PERIOD = 0.05, 1.0
VOUCHED_PERIODS = 3
FIRST_WORD_SECONDS = 0.1
"""for a worker to pass on that another died, before the next is told"""
ANSWER_SECONDS = 2.0
FAILURES = (OSError, TimeoutError, Refusal)


class Watched:
    """A worker of this host."""

    def __init__(self, port: int, child: Child, link: WorkerLink) -> None:
        self.port = port
        self.child = child
        self.link = link
        self.node_id = ""
        """"" until it has answered once."""
        self.node_timeout = 0.0
        """Seconds; 0 until it has answered once."""
        self.is_silent = False
        self.is_dropped = False

    @property
    def answers(self) -> bool:
        return self.link.is_open and self.child.running and not self.is_silent

    def alive(self) -> asyncio.Future[list[object]]:
        """Ask for a sign of life, which also tells who the worker is. Errors are among the signs."""
        return asyncio.gather(
            self.link.ask("CLUSTER", "MYID"),
            self.link.ask("CONFIG", "GET", "cluster-node-timeout"),
            return_exceptions=True,
        )

    def learn(self, signs: list[object]) -> None:
        match signs:
            case [bytes(node_id), [_, bytes(timeout)]]:
                self.node_id, self.node_timeout = node_id.decode(), int(timeout) / 1000
                self.child.worked()

    @property
    def period(self) -> float:
        return min(max(self.node_timeout / SIGNS_PER_TIMEOUT, SHORTEST_PERIOD), LONGEST_PERIOD)


@dataclass(frozen=True, slots=True)
class Report:
    """How a death was taken up."""

    view: View
    """What the first who was told knew just before."""
    told: bool
    """It has been passed on."""
    foreign: bool = False
    """It was not, because they are servers who know no witness."""


class Witness:
    """`workers`: port → process. `tells` is off where the cluster shall find out by itself; `login` is what
    AUTH takes, `tls` how workers are connected to."""

    def __init__(
        self,
        host: str,
        workers: dict[int, Child],
        note: Callable[[str], None],
        tells: bool = True,
        login: Sequence[str] = (),
        tls: Tls | None = None,
    ) -> None:
        self.workers: dict[int, Watched] = {}
        self._login = login
        self._protection = context_of(tls) if tls is not None else None
        self._host = host
        self._note = note
        self._tells = tells
        self._tasks: set[asyncio.Task[None]] = set()
        for port, child in workers.items():
            self.add(port, child)

    def add(self, port: int, child: Child) -> Watched:
        """One more worker of this host."""
        self.workers[port] = worker = Watched(port, child, self.link_to(self._host, port))
        return worker

    def link_to(self, host: str, port: int) -> WorkerLink:
        """To a worker of this cluster, wherever it is. Not connected yet."""
        return WorkerLink(host, port, self._login, self._protection)

    def drop(self, port: int) -> None:
        """A worker that is no member any more, and does not run."""
        worker = self.workers.pop(port)
        worker.is_dropped = True
        worker.link.close()

    async def begin(self) -> None:
        """Get to know the workers, and watch them from now on."""
        for worker in list(self.workers.values()):
            with contextlib.suppress(*FAILURES):
                await worker.link.open()
                worker.learn(await asyncio.wait_for(worker.alive(), ANSWER_SECONDS))
            self.watch(worker)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for worker in self.workers.values():
            worker.link.close()

    def watch(self, worker: Watched) -> None:
        task = asyncio.create_task(self._watch(worker))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- dead

    async def announce_death(self, dead: Watched) -> Report | None:
        """Tell the cluster that this worker's process has ended. None if nobody else answers now."""
        others = [worker for worker in self.workers.values() if worker is not dead]
        for first in [worker for worker in others if worker.answers]:
            report = await self._pass_on(first, dead)
            if report is not None and len(report.view.nodes) > 1:
                rest = [worker for worker in others if worker is not first and worker.answers]
                for worker in rest if report.told else ():
                    # No answer is awaited. It has heard of it by now, unless its links to others are down.
                    worker.link.ask("CLUSTER", "WITNESS", "DEAD", dead.node_id)
                return report
        return None

    async def _pass_on(self, worker: Watched, dead: Watched) -> Report | None:
        asked = [worker.link.ask("CLUSTER", "NODES")]
        if self._tells and dead.node_id:
            asked.append(worker.link.ask("CLUSTER", "WITNESS", "DEAD", dead.node_id))
        try:
            replies = await asyncio.wait_for(
                asyncio.gather(*asked, return_exceptions=True), FIRST_WORD_SECONDS
            )
        except TimeoutError:
            return None
        match replies:
            case [bytes(lines)]:
                return Report(_view(worker, lines), told=False)
            case [bytes(lines), "OK"]:
                return Report(_view(worker, lines), told=True)
            case [bytes(lines), Refusal() as refusal] if "unknown subcommand" in str(refusal).lower():
                return Report(_view(worker, lines), told=False, foreign=True)
        return None

    def has_others(self, dead: Watched) -> bool:
        """Whether any other worker runs, be it ever so busy."""
        return any(worker.child.running for worker in self.workers.values() if worker is not dead)

    async def view(self, turn: int = 0) -> View | None:
        """The cluster as some worker sees it now, another each turn. One that knows nobody is no member."""
        answering = [worker for worker in self.workers.values() if worker.answers]
        first = turn % len(answering) if answering else 0
        for worker in answering[first:] + answering[:first]:
            with contextlib.suppress(*FAILURES, OperationError):
                lines = await worker.link.call("CLUSTER", "NODES", seconds=ANSWER_SECONDS)
                if lines.count(b"\n") > 1:
                    return _view(worker, lines)
        return None

    # --- busy

    async def _watch(self, worker: Watched) -> None:
        while not worker.is_dropped:
            began = _clock()
            if worker.child.running:
                with contextlib.suppress(*FAILURES):
                    await worker.link.open()
                    await self._await_sign(worker)
            await asyncio.sleep(max(0.0, began + worker.period - _clock()))

    async def _await_sign(self, worker: Watched) -> None:
        sign = worker.alive()
        silent_since, vouched = _clock(), False
        while True:
            before = effort(worker.child.pid)
            await asyncio.wait({sign}, timeout=worker.period)
            if sign.done():
                break
            worker.is_silent = True
            now = effort(worker.child.pid)
            if self._tells and now is not None and now.has_worked_since(before):
                if not vouched:
                    self._note(f"worker {worker.port} does not answer, but works: it is vouched for")
                vouched = True
                await self._vouch(worker)
        worker.is_silent = False
        worker.learn(sign.result())
        if vouched and worker.child.running:
            self._note(f"worker {worker.port} answers again after {_clock() - silent_since:.1f} s")

    async def _vouch(self, busy: Watched) -> None:
        ms = str(round(busy.period * VOUCHED_PERIODS * 1000))
        for worker in [worker for worker in self.workers.values() if worker.answers]:
            with contextlib.suppress(*FAILURES):
                words = ("CLUSTER", "WITNESS", "BUSY", busy.node_id, ms)
                await worker.link.call(*words, seconds=FIRST_WORD_SECONDS)
                return


def _view(worker: Watched, lines: bytes) -> View:
    return parse_view(lines.decode().splitlines(), worker.link.host, f"worker {worker.port}")


def _clock() -> float:
    return asyncio.get_running_loop().time()
