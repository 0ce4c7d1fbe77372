"""Registers: keys that several clients write and read at once, each with a history to be checked.

Every write gives its key a value that no other write gives. A key is in use for few operations, so that its
history stays short, and another takes its place; when all is over each is read once more, by which a write
that was lost is missed, too. See linearizability.py.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import redis

from tests.chaos.clients import ERRORS, Threads, was_refused
from tests.chaos.linearizability import UNKNOWN, Operation, TooHard, is_linearizable

IN_USE = 6
OPERATIONS = 40
"""Of a key; a few more if several clients begin the last ones at once."""
SHOWN = 12
"""Operations of a history that is printed."""
PAUSE = 0.01
"""After an error, in seconds: a cluster that is down refuses faster than anybody needs to know."""


@dataclass(slots=True)
class Register:
    key: str
    begun: int = 0
    history: list[Operation] = field(default_factory=list)

    @property
    def last_ended(self) -> float:
        """Of the operations whose end is known."""
        return max((each.ended for each in self.history if each.ended != UNKNOWN), default=0.0)


@dataclass(frozen=True)
class Verdict:
    register: Register
    is_linearizable: bool | None
    """None: not found out within reason."""

    def __str__(self) -> str:
        """The key and its last operations."""
        ordered = sorted(self.register.history, key=lambda operation: operation.started)
        return "\n  ".join((f"{self.register.key}, in the end:", *map(str, ordered[-SHOWN:])))


class Registers:
    """All registers of a run. `step` is what each client repeats."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._values = itertools.count(1)
        self._names = itertools.count()
        self.all: list[Register] = []
        self._in_use = [self._fresh() for _ in range(IN_USE)]

    def _fresh(self) -> Register:
        register = Register(f"register:{next(self._names)}")
        self.all.append(register)
        return register

    def add_clients(self, threads: Threads, count: int, patience: float) -> None:
        for number in range(count):
            threads.add(f"register client {number}", lambda client: self._step(threads, client), patience)

    def _step(self, threads: Threads, client: redis.RedisCluster) -> None:
        place = self._chance.randrange(IN_USE)
        register = self._in_use[place]
        register.begun += 1
        if register.begun == OPERATIONS:
            self._in_use[place] = self._fresh()
        value = next(self._values) if self._chance.random() < 0.5 else None
        if not operate(client, register, value):
            threads.pause(PAUSE)

    def verdicts(self) -> Iterator[Verdict]:
        for register in self.all:
            try:
                yield Verdict(register, is_linearizable(register.history))
            except TooHard:
                yield Verdict(register, None)


def operate(client: redis.RedisCluster, register: Register, value: int | None) -> bool:
    """Write `value`, or read if that is None, and note what became of it; whether it succeeded."""
    started = time.monotonic()
    try:
        if value is None:
            reply = client.get(register.key)
        else:
            client.set(register.key, value)
    except ERRORS as error:
        if value is not None and not was_refused(error):
            register.history.append(Operation(True, value, started))
        return False
    ended = time.monotonic()
    if value is not None:
        register.history.append(Operation(True, value, started, ended))
    else:
        found = None if reply is None else int(reply)  # type: ignore[arg-type]
        register.history.append(Operation(False, found, started, ended))
    return True
