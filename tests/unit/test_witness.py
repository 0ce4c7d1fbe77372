"""The supervisor as a witness: links to workers, who works and who does not, and who may come back when."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.plans.model import NodeInfo, View
from cluster.slots import ALL_SLOTS, NO_SLOTS, from_range
from cluster.supervisor import succession
from cluster.supervisor.processes import Effort, effort
from cluster.supervisor.succession import hand_over
from cluster.supervisor.witness import Report
from cluster.supervisor.worker_link import Refusal, WorkerLink
from tests.harness.wait import eventually

needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="there is no /proc")


@contextmanager
def running(program: str) -> Iterator[int]:
    """The pid of a Python that does this."""
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE)
    try:
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def known(pid: int) -> Effort:
    found = effort(pid)
    assert found is not None
    return found


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="there is no /proc")
class TestEffort:
    def test_who_computes_works_until_it_is_stopped(self) -> None:
        with running("while True: pass") as pid:
            before = known(pid)
            eventually(lambda: known(pid).has_worked_since(before), "it works")
            os.kill(pid, signal.SIGSTOP)
            eventually(lambda: known(pid).state == "T", "it has stopped")
            assert known(pid).ticks > before.ticks
            assert not known(pid).has_worked_since(before)
        assert effort(pid) is None

    def test_who_waits_does_not(self) -> None:
        with running("input()") as pid:
            eventually(lambda: known(pid).state == "S", "it waits")
            before = known(pid)
            assert not known(pid).has_worked_since(before)
            assert not known(pid).has_worked_since(None)


class TestWorkerLink:
    def served(self, answers: Callable[[asyncio.StreamWriter], None], test: Any) -> None:
        """Run `test(link)` against a server that answers everything with `answers`."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1 << 16)
            answers(writer)
            await reader.read()
            writer.close()

        async def run() -> None:
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            link = WorkerLink("127.0.0.1", server.sockets[0].getsockname()[1])
            await test(link)
            link.close()
            server.close()

        asyncio.run(run())

    def test_answers_come_in_the_order_of_questions(self) -> None:
        async def test(link: WorkerLink) -> None:
            await link.open()
            asked = [link.ask("A"), link.ask("B"), link.ask("C"), link.ask("D"), link.ask("E")]
            replies = await asyncio.gather(*asked, return_exceptions=True)
            assert replies[:4] == ["OK", b"two\r\nlines", [1, None], []]
            assert isinstance(replies[4], Refusal)
            assert str(replies[4]) == "ERR no"

        text = b"+OK\r\n$10\r\ntwo\r\nlines\r\n*2\r\n:1\r\n$-1\r\n*0\r\n-ERR no\r\n"
        self.served(lambda writer: writer.write(text), test)

    def test_whom_nobody_waits_for_any_more_keeps_nobody_waiting(self) -> None:
        async def test(link: WorkerLink) -> None:
            with pytest.raises(TimeoutError):
                await link.call("SLOW", seconds=0.01)
            assert await link.call("NEXT", seconds=5) == "next"

        def late(writer: asyncio.StreamWriter) -> None:
            asyncio.get_running_loop().call_later(0.05, writer.write, b"+slow\r\n+next\r\n")

        self.served(late, test)

    @pytest.mark.parametrize("ending", [b"", b"+half", b"what is this\r\n", b"$99999999999\r\n"])
    def test_a_link_that_ends_fails_what_was_asked(self, ending: bytes) -> None:
        async def test(link: WorkerLink) -> None:
            with pytest.raises(ConnectionError):
                await link.call("PING", seconds=5)
            assert not link.is_open
            await link.open()
            assert link.is_open

        def end(writer: asyncio.StreamWriter) -> None:
            writer.write(ending)
            writer.write_eof()

        self.served(end, test)


DEAD, OTHER, THIRD, HEIR, SECOND = (letter * 40 for letter in "dbc12")


def node(id: str, slots: int = NO_SLOTS, of: str | None = None, **fields: Any) -> NodeInfo:
    flags = frozenset({"slave" if of else "master", *fields.pop("flags", ())})
    port = 7000 + int(id[0], 16)
    return NodeInfo(id=id, host="127.0.0.1", port=port, slots=slots, primary_id=of, flags=flags, **fields)


def view(*nodes: NodeInfo) -> View:
    return View(nodes[0], {each.id: each for each in nodes})


BEFORE = view(
    node(OTHER, from_range(0, 5000)),
    node(THIRD, from_range(5001, 10000)),
    node(DEAD, from_range(10001, 16383)),
    node(HEIR, of=DEAD),
)
AFTER = view(
    node(OTHER, from_range(0, 5000)),
    node(THIRD, from_range(5001, 10000)),
    node(DEAD, flags=("fail",)),
    node(HEIR, from_range(10001, 16383)),
)


class FakeLink:
    """Answers INFO with an offset, and writes down what it is told to do."""

    def __init__(self, offset: int | None, synchronous: bytes = b"0") -> None:
        self.offset = offset
        self.synchronous = synchronous
        self.orders: list[tuple[str, ...]] = []

    async def call(self, *words: str, seconds: float) -> Any:
        match words:
            case ("INFO", _):
                if self.offset is None:
                    raise TimeoutError
                return f"role:slave\r\nslave_repl_offset:{self.offset}\r\n".encode()
            case ("CONFIG", "GET", name):
                return [name.encode(), self.synchronous]
        self.orders.append(words)
        return "OK"


class FakeWitness:
    def __init__(self, told: bool = True, foreign: bool = False, seen: View = BEFORE) -> None:
        self.workers: dict[int, Any] = {}
        self.seen = [seen]
        self.reports: list[Report | None] = [Report(seen, told, foreign)]

    def add(self, id: str, running: bool = True, link: FakeLink | None = None) -> FakeLink:
        link = link or FakeLink(100)
        child = SimpleNamespace(running=running)
        self.workers[len(self.workers)] = SimpleNamespace(node_id=id, child=child, link=link)
        return link

    async def announce_death(self, dead: Any) -> Report | None:
        return self.reports.pop(0) if len(self.reports) > 1 else self.reports[0]

    def has_others(self, dead: Any) -> bool:
        return any(worker.child.running for worker in self.workers.values())

    async def view(self) -> View | None:
        return self.seen.pop(0) if len(self.seen) > 1 else self.seen[0]


def comes_back(witness: FakeWitness, within: float) -> bool:
    """Whether the dead may be started again before `within` seconds are over."""
    notes: list[str] = []

    async def run() -> bool:
        dead: Any = SimpleNamespace(node_id=DEAD, port=7013)
        try:
            await asyncio.wait_for(hand_over(witness, dead, notes.append, lambda: False), within)  # type: ignore[arg-type]
        except TimeoutError:
            return False
        return True

    return asyncio.run(run())


class TestSuccession:
    def test_the_dead_waits_for_its_successor(self) -> None:
        witness = FakeWitness()
        witness.add(HEIR)
        assert not comes_back(witness, 0.2)
        witness.seen = [BEFORE, BEFORE, AFTER]
        assert comes_back(witness, 5)

    def test_also_while_nobody_has_time_to_listen(self) -> None:
        witness = FakeWitness()
        witness.add(HEIR)
        witness.reports = [None]
        assert not comes_back(witness, 0.2)
        witness.reports = [None, None, Report(BEFORE, True)]
        witness.seen = [AFTER]
        assert comes_back(witness, 5)

    def test_but_not_where_nobody_else_runs(self) -> None:
        witness = FakeWitness()
        witness.add(HEIR, running=False)
        witness.reports = [None]
        assert comes_back(witness, 5)

    def test_a_replica_waits_for_nobody(self) -> None:
        dead_replica = view(node(OTHER, ALL_SLOTS), node(DEAD, of=OTHER))
        assert comes_back(FakeWitness(seen=dead_replica), 5)

    @pytest.mark.parametrize("offset", [0, -1])
    def test_nor_does_a_primary_whose_replicas_have_nothing(self, offset: int) -> None:
        witness = FakeWitness()
        witness.add(HEIR, link=FakeLink(offset))
        assert comes_back(witness, 5)

    def test_a_replica_that_is_only_busy_may_still_succeed(self) -> None:
        witness = FakeWitness()
        witness.add(HEIR, link=FakeLink(None))
        assert not comes_back(witness, 0.2)

    def test_where_others_can_vote_nobody_is_made_primary(self) -> None:
        witness = FakeWitness()
        heir = witness.add(HEIR)
        witness.add(DEAD, running=False)
        witness.add(OTHER)
        assert not comes_back(witness, 0.7)
        assert heir.orders == []

    def test_where_nobody_can_the_one_with_most_data_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(succession, "LOOK_AT_HEIRS_SECONDS", 0.05)
        monkeypatch.setattr(succession, "VOTE_SECONDS", 0.1)
        witness = FakeWitness(seen=view(*BEFORE.nodes.values(), node(SECOND, of=DEAD)))
        behind, heir = witness.add(HEIR, link=FakeLink(99)), witness.add(SECOND, link=FakeLink(100))
        for id in (DEAD, OTHER):
            witness.add(id, running=False)
        assert not comes_back(witness, 0.3)
        assert ("CLUSTER", "FAILOVER", "TAKEOVER") in heir.orders
        assert behind.orders == []

    @pytest.mark.parametrize("silent", [False, True])
    def test_who_acknowledges_together_must_be_heard_together(
        self, monkeypatch: pytest.MonkeyPatch, silent: bool
    ) -> None:
        monkeypatch.setattr(succession, "LOOK_AT_HEIRS_SECONDS", 0.05)
        monkeypatch.setattr(succession, "VOTE_SECONDS", 0.1)
        witness = FakeWitness(seen=view(*BEFORE.nodes.values(), node(SECOND, of=DEAD)))
        heir = witness.add(HEIR, link=FakeLink(100, synchronous=b"1"))
        witness.add(SECOND, link=FakeLink(None if silent else 99))
        for id in (DEAD, OTHER):
            witness.add(id, running=False)
        assert not comes_back(witness, 0.3)
        assert bool(heir.orders) != silent

    def test_foreign_servers_are_forced(self) -> None:
        witness = FakeWitness(told=False, foreign=True)
        heir = witness.add(HEIR)
        assert not comes_back(witness, 0.2)
        assert heir.orders == [("CLUSTER", "FAILOVER", "FORCE")]
        untold = FakeWitness(told=False)
        heir = untold.add(HEIR)
        assert not comes_back(untold, 0.2)
        assert heir.orders == [], "they know, and shall not be told"
