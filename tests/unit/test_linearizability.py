"""The checker of histories must neither miss a history that is none of a register's, nor invent one."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.linearizability import UNKNOWN, Operation, TooHard, is_linearizable


def write(value: int, started: float, ended: float = UNKNOWN) -> Operation:
    return Operation(True, value, started, ended)


def read(value: int | None, started: float, ended: float) -> Operation:
    return Operation(False, value, started, ended)


GOOD = {
    "nothing": [],
    "one after the other": [read(None, 0, 1), write(1, 2, 3), read(1, 4, 5), write(2, 6, 7), read(2, 8, 9)],
    "a read beside a write sees the old value": [write(1, 0, 1), write(2, 2, 5), read(1, 3, 4)],
    "a read beside a write sees the new value": [write(1, 0, 1), write(2, 2, 5), read(2, 3, 4)],
    "writes beside each other end in either order": [write(1, 0, 5), write(2, 1, 4), read(1, 6, 7)],
    "old, then new, both beside the write": [write(1, 0, 1), write(2, 2, 9), read(1, 3, 4), read(2, 5, 6)],
    "an unknown write that never happened": [write(1, 0, 1), write(2, 2), read(1, 3, 4), read(1, 5, 6)],
    "an unknown write that happened at once": [write(1, 0, 1), write(2, 2), read(2, 3, 4), read(2, 5, 6)],
    "an unknown write that happened much later": [
        write(1, 0, 1), write(2, 2), read(1, 3, 4), write(3, 5, 6), read(3, 7, 8), read(2, 9, 10),
    ],
    "a read without an end says nothing": [write(1, 0, 1), read(99, 2, UNKNOWN)],
    "three at once, seen in an order of their own": [
        write(1, 0, 9), write(2, 0, 9), write(3, 0, 9), read(2, 1, 2), read(1, 3, 4), read(3, 5, 6),
    ],
    "ends and starts at the same moment are beside each other": [write(1, 0, 1), read(None, 1, 2)],
}  # fmt: skip

BAD = {
    "a lost write": [write(1, 0, 1), read(None, 2, 3)],
    "a lost write after another": [write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)],
    "a stale read, and the new value afterwards": [
        write(1, 0, 1), write(2, 2, 3), read(1, 4, 5), read(2, 6, 7),
    ],
    "new, then old, both beside the write": [write(1, 0, 1), write(2, 2, 9), read(2, 3, 4), read(1, 5, 6)],
    "a value that nobody wrote": [write(1, 0, 1), read(7, 2, 3)],
    "a value before it was written": [read(1, 0, 1), write(1, 2, 3)],
    "an unknown write that happened twice": [
        write(1, 0, 1), write(2, 2), read(2, 3, 4), write(3, 5, 6), read(3, 7, 8), read(2, 9, 10),
    ],
    "an unknown write that was undone": [write(1, 0, 1), write(2, 2), read(2, 3, 4), read(1, 5, 6)],
    "two readers who disagree about the order": [
        write(1, 0, 9), write(2, 0, 9), read(1, 1, 2), read(2, 3, 4), read(1, 5, 6),
    ],
}  # fmt: skip


@pytest.mark.parametrize("history", GOOD.values(), ids=GOOD)
def test_a_register_can_have_done_this(history: list[Operation]) -> None:
    for order in itertools.islice(itertools.permutations(history), 24):
        assert is_linearizable(order)


@pytest.mark.parametrize("history", BAD.values(), ids=BAD)
def test_no_register_can_have_done_this(history: list[Operation]) -> None:
    for order in itertools.islice(itertools.permutations(history), 24):
        assert not is_linearizable(order)


def lived(seed: int, count: int, clients: int) -> list[Operation]:
    """What clients see of a real register: each operation happens at one moment between its start and end."""
    chance = random.Random(seed)
    free = [0.0] * clients
    moments = []
    for number in range(count):
        client = chance.randrange(clients)
        started = free[client] + chance.random()
        moment = started + chance.random()
        free[client] = moment + chance.random()
        moments.append((moment, number, started, free[client]))
    value: int | None = None
    history = []
    for _, number, started, ended in sorted(moments):
        is_write = chance.random() < 0.5
        happened = not is_write or chance.random() < 0.95
        if is_write and happened:
            value = number
        unknown = is_write and (not happened or chance.random() < 0.2)
        seen = number if is_write else value
        history.append(Operation(is_write, seen, started, UNKNOWN if unknown else ended))
    return history


@given(st.integers(), st.integers(1, 60), st.integers(1, 8))
def test_what_a_register_did_is_never_refused(seed: int, count: int, clients: int) -> None:
    assert is_linearizable(lived(seed, count, clients))


def by_definition(history: list[Operation]) -> bool:
    """Every order of every choice of the unknown writes, tried out."""
    known = [operation for operation in history if operation.ended != UNKNOWN]
    doubtful = [operation for operation in history if operation.ended == UNKNOWN and operation.is_write]
    for count in range(len(doubtful) + 1):
        for some in itertools.combinations(doubtful, count):
            if any(map(is_possible, itertools.permutations([*known, *some]))):
                return True
    return False


def is_possible(order: tuple[Operation, ...]) -> bool:
    value: int | None = None
    latest_start = 0.0
    for operation in order:
        if operation.ended < latest_start:
            return False
        latest_start = max(latest_start, operation.started)
        if operation.is_write:
            value = operation.value
        elif operation.value != value:
            return False
    return True


@given(st.integers(), st.integers(1, 5), st.integers(1, 3), st.randoms(use_true_random=False))
def test_it_agrees_with_the_definition(seed: int, count: int, clients: int, chance: random.Random) -> None:
    """One value that was read is made another, so that about half of these are broken."""
    history = lived(seed, count, clients)
    broken = [
        operation
        if operation.is_write or chance.random() < 0.5
        else Operation(False, chance.choice([None, *range(count)]), operation.started, operation.ended)
        for operation in history
    ]
    assert is_linearizable(broken) == by_definition(broken)


def test_a_search_without_end_is_given_up() -> None:
    history = [write(number, 0, 100) for number in range(20)] + [read(99, 0, 100)]
    with pytest.raises(TooHard):
        is_linearizable(history, limit=1000)
