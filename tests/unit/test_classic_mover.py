"""The mover's dealings with nodes that refuse, time out and die, against nodes made of dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from cluster.migration.classic import Interrupted, MoveOptions, Progress, SlotMover
from cluster.operations.link import Argument, ErrorReply, NodeLink, OperationError, Unreachable
from cluster.plans.model import Move


class FakeNode(NodeLink):
    """Owns slots, holds keys, and answers as Redis does. `trouble` may answer first, with a reply or an
    exception."""

    def __init__(self, name: str, port: int, keys: dict[int, list[bytes]]) -> None:
        self.name, self.host, self.port = name, "host", port
        self.keys = keys
        self.owned = set(keys)
        self.importing: dict[int, str] = {}
        self.migrating: dict[int, str] = {}
        self.others: dict[int, FakeNode] = {}
        self.log: list[tuple[Argument, ...]] = []
        self.trouble: list[Callable[[tuple[Argument, ...]], Any]] = []

    def patience(self, seconds: float) -> AbstractContextManager[None]:
        return nullcontext()

    def pipeline(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        return [self.answer(tuple(command)) for command in commands]

    def databases(self) -> list[int]:
        return [0]

    def answer(self, command: tuple[Argument, ...]) -> Any:
        self.log.append(command)
        for trouble in list(self.trouble):
            reply = trouble(command)
            if isinstance(reply, Exception):
                raise reply
            if reply is not None:
                return reply
        if command[0] == "MIGRATE":
            return self.migrate(command)
        name, slot = command[1], int(command[2])
        if name == "COUNTKEYSINSLOT":
            return len(self.keys.get(slot, []))
        if name == "GETKEYSINSLOT":
            return self.keys.get(slot, [])[: int(command[3])]
        return self.set_slot(slot, str(command[3]), str(command[4]))

    def set_slot(self, slot: int, state: str, other: str) -> Any:
        if state == "IMPORTING":
            if slot in self.owned:
                return ErrorReply(f"I'm already the owner of hash slot {slot}")
            self.importing[slot] = other
        elif state == "MIGRATING":
            self.migrating[slot] = other
        else:
            self.importing.pop(slot, None)
            self.migrating.pop(slot, None)
            self.owned.discard(slot)
            if other == self.name:
                self.owned.add(slot)
        return b"OK"

    def migrate(self, command: tuple[Argument, ...]) -> Any:
        target = self.others[int(command[2])]
        moved = command[command.index("KEYS") + 1 :]
        for slot, keys in self.keys.items():
            for key in [key for key in keys if key in moved]:
                keys.remove(key)
                target.keys.setdefault(slot, []).append(key)
        return b"OK"


@pytest.fixture
def nodes() -> dict[str, FakeNode]:
    nodes = {
        "a": FakeNode("a", 1, {slot: [b"%d:%d" % (slot, n) for n in range(3)] for slot in range(40)}),
        "b": FakeNode("b", 2, {}),
        "c": FakeNode("c", 3, {}),
    }
    for node in nodes.values():
        node.others = {other.port: other for other in nodes.values()}
    return nodes


def mover_between(nodes: dict[str, FakeNode], **options: Any) -> SlotMover:
    """One that does not spend time on its pauses."""
    return SlotMover(nodes, sleep=lambda seconds: None, **options)


def once(reply: Any, when: Callable[[tuple[Argument, ...]], bool]) -> Callable[[tuple[Argument, ...]], Any]:
    """Trouble that happens the first time `when` is true of a command."""
    left = [reply]
    return lambda command: left.pop() if left and when(command) else None


def always(reply: Any, when: Callable[[tuple[Argument, ...]], bool]) -> Callable[[tuple[Argument, ...]], Any]:
    return lambda command: reply if when(command) else None


def is_migrate(command: tuple[Argument, ...]) -> bool:
    return command[0] == "MIGRATE"


def moves(count: int = 40) -> list[Move]:
    return [Move(slot, "a", "b") for slot in range(count)]


def test_all_steps_in_their_order(nodes: dict[str, FakeNode]) -> None:
    order: list[tuple[str, str]] = []

    def recorder(name: str) -> Callable[[tuple[Argument, ...]], None]:
        def record(command: tuple[Argument, ...]) -> None:
            order.append((name, "MIGRATE" if is_migrate(command) else str(command[3:4])))

        return record

    for name, node in nodes.items():
        node.trouble.append(recorder(name))
    mover_between(nodes).run(moves(1))
    words = ("IMPORTING", "MIGRATING", "MIGRATE", "NODE")
    steps = [(name, word) for name, step in order for word in words if word in step]
    assert steps == [
        ("b", "IMPORTING"),
        ("a", "MIGRATING"),
        ("a", "MIGRATE"),
        ("b", "NODE"),
        ("a", "NODE"),
        ("c", "NODE"),
    ]


def test_everything_arrives_and_is_counted(nodes: dict[str, FakeNode]) -> None:
    seen: list[tuple[int, int]] = []
    mover = SlotMover(
        nodes, MoveOptions(keys_per_migrate=2), lambda done: seen.append((done.slots, done.keys))
    )
    done = mover.run(moves())
    assert (done.slots, done.keys, done.total_slots, done.total_keys) == (40, 120, 40, 120)
    assert seen == sorted(seen)
    assert nodes["b"].owned == set(range(40))
    assert nodes["a"].owned == set()
    assert sum(map(len, nodes["b"].keys.values())) == 120
    assert not nodes["a"].migrating
    assert not nodes["b"].importing


def test_after_a_timeout_the_batch_is_repeated_with_replace(nodes: dict[str, FakeNode]) -> None:
    broken = ErrorReply("IOERR error or timeout reading to target instance")
    nodes["a"].trouble.append(once(broken, is_migrate))
    mover_between(nodes).run(moves(1))
    attempts = [command for command in nodes["a"].log if is_migrate(command)]
    assert ["REPLACE" in command for command in attempts] == [False, True]


@pytest.mark.parametrize("reply", [ErrorReply("TRYAGAIN not now"), Unreachable("host:1", "connection reset")])
@pytest.mark.parametrize("word", ["IMPORTING", "MIGRATING", "NODE"])
def test_what_passes_is_waited_out(nodes: dict[str, FakeNode], reply: Any, word: str) -> None:
    for name in ("a", "b"):
        nodes[name].trouble.append(once(reply, lambda command: word in command))
    assert mover_between(nodes).run(moves(2)).slots == 2
    assert nodes["b"].owned == {0, 1}


def test_a_node_that_stays_away_is_named(nodes: dict[str, FakeNode]) -> None:
    nodes["b"].trouble.append(always(Unreachable("host:2", "connection refused"), lambda command: True))
    with pytest.raises(OperationError, match="host:2 does not answer: connection refused"):
        mover_between(nodes).run(moves(1))


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("Target instance replied with error: BUSYKEY Target key name already exists.", "--replace"),
        ("Target instance replied with error: OOM command not allowed", "raise its maxmemory"),
        ("Target instance replied with error: NOAUTH Authentication required.", "same user and password"),
        ("value sent is nonsense", "`shoal fix` finishes or closes it"),
        ("IOERR error or timeout writing to target instance", "raise --timeout, or lower --pipeline"),
    ],
)
def test_what_stays_is_explained(nodes: dict[str, FakeNode], reply: str, words: str) -> None:
    nodes["a"].trouble.append(always(ErrorReply(reply), is_migrate))
    with pytest.raises(OperationError, match="slot 0: ") as caught:
        mover_between(nodes).run(moves(1))
    assert words in str(caught.value)


def test_a_bystander_that_is_away_is_no_obstacle(nodes: dict[str, FakeNode]) -> None:
    nodes["c"].trouble.append(always(Unreachable("host:3", "connection refused"), lambda command: True))
    assert mover_between(nodes).run(moves(3)).slots == 3


def test_a_slot_that_has_arrived_already_is_only_announced(nodes: dict[str, FakeNode]) -> None:
    """Interrupted after the target was told and before the source was."""
    nodes["b"].keys[0], nodes["a"].keys[0] = nodes["a"].keys[0], []
    nodes["b"].owned.add(0)
    nodes["a"].migrating[0] = "b"
    mover_between(nodes).run(moves(1))
    assert 0 not in nodes["a"].owned
    assert not nodes["a"].migrating
    assert not nodes["b"].importing


def test_a_request_to_stop_ends_between_slots(nodes: dict[str, FakeNode]) -> None:
    def stop_after_the_first(done: Progress) -> None:
        if done.slots:
            mover.request_stop()

    mover = mover_between(nodes, on_progress=stop_after_the_first)
    with pytest.raises(Interrupted, match="of 40 slots have moved; no slot is left open"):
        mover.run(moves())
    assert 0 < mover.progress.slots < 40
    assert not nodes["a"].migrating
    assert not nodes["b"].importing
