"""How an import takes its turns: beside our clients, and behind a disk that is slower than its source."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.migration import importer as module
from cluster.migration.import_job import ImportJob
from cluster.migration.importer import Importer
from cluster.migration.job import State
from node.config import Config
from node.core.key_slot import key_slot
from node.core.reply_writer import encode_command
from node.log import Log
from node.worker import Worker

NAME = "a" * 40
SLOT = key_slot(b"{x}1")
PIECE = encode_command([b"SET", b"{x}1", b"v"])


class FakeLink:
    """Notes each time that reading is held, True, or goes on, False."""

    def __init__(self) -> None:
        self.client = SimpleNamespace(sends_slots=False)
        self.held: list[bool] = []
        self.taker: Callable[[bytes], None] = lambda data: None

    def divert(self, taker: Callable[[bytes], None]) -> None:
        self.taker = taker

    def hold_reading(self, held: bool) -> None:
        self.held.append(held)


def importing(worker: Worker, state: State) -> FakeLink:
    link = FakeLink()
    job = ImportJob(NAME, [(SLOT, SLOT)], "s" * 40, "t" * 40, 0)
    job.state = state
    room = worker.anteroom.open(NAME.encode(), [(SLOT, SLOT)])
    Importer(worker, job, room, link, lambda job, effects: None, staged=lambda: 0)
    return link


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    made = Worker(Config.from_args(["--dir", str(tmp_path), "--save", ""]), Log("nothing"))
    made.engine.tick()
    return made


async def next_turn() -> None:
    for _ in range(2):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("seconds", "held"), [(0.0, [True]), (60.0, [])])
def test_clients_have_their_turn(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, seconds: float, held: list[bool]
) -> None:
    async def told() -> None:
        link = importing(worker, State.WAITING_FOR_PAUSED)
        link.taker(PIECE)
        assert link.held == held
        await next_turn()
        assert link.held == [*held, False]

    monkeypatch.setattr(module, "TURN_SECONDS", seconds)
    asyncio.run(told())
    assert worker.anteroom.count_in_slot(0, SLOT) == 1


@pytest.mark.parametrize(
    ("state", "waits"), [(State.RECEIVING_SNAPSHOT, True), (State.WAITING_FOR_PAUSED, False)]
)
def test_a_snapshot_waits_for_the_store_and_nothing_else_does(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, state: State, waits: bool
) -> None:
    waiting: list[Callable[[], None]] = []

    def hold_up(go_on: Callable[[], None]) -> bool:
        waiting.append(go_on)
        return True

    async def told() -> None:
        link = importing(worker, state)
        tier: Any = SimpleNamespace(arrivals=SimpleNamespace(hold_up=hold_up))
        worker.tier = tier
        link.taker(PIECE)
        await next_turn()
        assert link.held == ([True] if waits else [False])
        for go_on in waiting:
            go_on()
        assert link.held[-1] is False

    monkeypatch.setattr(module, "TURN_SECONDS", 60.0)
    asyncio.run(told())
    assert len(waiting) == waits
