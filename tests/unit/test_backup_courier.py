"""The courier: jobs arrive where their slots are served, whatever happens on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cluster.backup import courier as module
from cluster.backup.courier import ATTEMPTS, BATCH_JOBS, Courier, Job
from cluster.backup.layout import Access
from cluster.operations.link import ANONYMOUS, ErrorReply, OperationError, Unreachable
from cluster.plans.backup import Holder, Layout
from cluster.slots import from_range
from node.core.request_reader import RequestReader

LOW, HIGH = ("low", 1), ("high", 2)
Answer = Callable[[tuple[str, int], list[bytes]], Any]


def layout(border: int = 8192) -> Layout:
    """`low` has the slots below `border`, `high` the others."""
    low = Holder("l", *LOW, from_range(0, border - 1), 1)
    return Layout(True, (low, Holder("h", *HIGH, from_range(border, 16383), 2)))


class World:
    """Servers that answer by `answer`: a reply, or an exception instead. `heard`: what they were sent."""

    def __init__(self) -> None:
        self.heard: list[tuple[tuple[str, int], bytes]] = []
        self.answer: Answer = lambda address, argv: b"OK"
        self.layout = layout()
        self.slept = 0.0
        self.connections: Counter[tuple[str, int]] = Counter()

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def read_layout(self, access: Access, settled: bool = True) -> Layout:
        assert not settled
        return self.layout

    def pipe(self, host: str, port: int, *_: Any) -> FakePipe:
        self.connections[host, port] += 1
        return FakePipe(self, (host, port))


class FakePipe:
    def __init__(self, world: World, place: tuple[str, int]) -> None:
        self.world = world
        self.place = place
        self.address = place[0]
        self.replies: list[Any] = []
        self.databases: list[int] = []

    def close(self) -> None: ...

    def select(self, database: int) -> None:
        assert not self.replies
        if database:
            self.world.heard.append((self.place, b"SELECT %d" % database))

    def send(self, commands: bytes) -> None:
        for argv, _ in RequestReader().feed(commands):
            self.world.heard.append((self.place, b" ".join(argv)))
            self.replies.append(self.world.answer(self.place, argv))

    def receive(self) -> Any:
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World()
    monkeypatch.setattr(module, "Pipe", made.pipe)
    monkeypatch.setattr(module, "read_layout", made.read_layout)
    monkeypatch.setattr(module.time, "sleep", made.sleep)
    yield made


def courier(done: list[tuple[bytes, str, list[Any]]]) -> Courier:
    access = Access((LOW,), ANONYMOUS, 1.0)
    finish = lambda job, address, replies: done.append((job.key, address, replies))  # noqa: E731
    return Courier(access, layout(), finish, lambda job: [b"AGAIN\r\n" for _ in job.commands])


def job(slot: int, key: bytes = b"k", commands: int = 1) -> Job:
    return Job(slot, key, [b"FIRST\r\n"] * commands)


def test_batches_go_to_the_owners(world: World) -> None:
    done: list[Any] = []
    at_work = courier(done)
    for number in range(2 * BATCH_JOBS):
        at_work.put(job(8191 + number % 2, b"%d" % number))
    assert not done
    at_work.drain()
    assert sorted(int(key) for key, _, _ in done) == list(range(2 * BATCH_JOBS))
    assert all(address == ("low" if int(key) % 2 == 0 else "high") for key, address, _ in done)
    assert world.connections == {LOW: 1, HIGH: 1}
    assert world.slept == 0


def test_databases_do_not_mix(world: World) -> None:
    at_work = courier([])
    at_work.put(job(0))
    at_work.select(3)
    at_work.put(job(0))
    at_work.drain()
    assert [words for _, words in world.heard] == [b"FIRST", b"SELECT 3", b"FIRST"]


def test_a_slot_that_has_moved_is_followed_and_remembered(world: World) -> None:
    world.answer = lambda address, argv: ErrorReply("MOVED 5 high:2") if address == LOW else b"OK"
    done: list[Any] = []
    at_work = courier(done)
    at_work.put(job(5))
    at_work.drain()
    at_work.put(job(5))
    at_work.drain()
    assert world.heard == [(LOW, b"FIRST"), (LOW, b"AGAIN"), (HIGH, b"AGAIN"), (HIGH, b"FIRST")]
    assert [address for _, address, _ in done] == ["high", "high"]
    assert world.slept == 0


def test_a_slot_in_motion_is_asked_for_each_command(world: World) -> None:
    def answer(address: tuple[str, int], argv: list[bytes]) -> Any:
        return ErrorReply("ASK 5 high:2") if address == LOW else b"OK"

    world.answer = answer
    done: list[Any] = []
    at_work = courier(done)
    at_work.put(job(5, commands=2))
    at_work.drain()
    assert [words for address, words in world.heard if address == HIGH] == [b"ASKING", b"AGAIN"] * 2
    assert done == [(b"k", "high", [b"OK", b"OK"])]


def test_a_failover_is_waited_for(world: World) -> None:
    """`low` is gone; at the third look another has its slots."""

    def answer(address: tuple[str, int], argv: list[bytes]) -> Any:
        if address == LOW:
            if world.slept > 0.5:
                world.layout = layout(border=1)
            return Unreachable("low", "gone")
        return b"OK"

    world.answer = answer
    done: list[Any] = []
    at_work = courier(done)
    for number in range(3):
        at_work.put(job(5, b"%d" % number))
    at_work.drain()
    assert [key for key, address, _ in done if address == "high"] == [b"0", b"1", b"2"]
    assert {words for address, words in world.heard if address == HIGH} == {b"AGAIN"}
    assert 0.5 < world.slept < 5


@pytest.mark.parametrize(
    "trouble",
    [ErrorReply("CLUSTERDOWN The cluster is down"), Unreachable("low", "gone"), ErrorReply("MOVED 5 low:1")],
)
def test_it_gives_up_in_the_end(world: World, trouble: Any) -> None:
    world.answer = lambda address, argv: trouble
    at_work = courier([])
    at_work.put(job(5))
    with pytest.raises(OperationError, match=f"slot 5: given up after {ATTEMPTS} attempts"):
        at_work.drain()
    assert 5 < world.slept < 60


def test_other_errors_are_for_who_asked(world: World) -> None:
    world.answer = lambda address, argv: ErrorReply("BUSYKEY Target key name already exists.")
    done: list[Any] = []
    at_work = courier(done)
    at_work.put(job(5))
    at_work.drain()
    assert done == [(b"k", "low", [ErrorReply("BUSYKEY Target key name already exists.")])]
