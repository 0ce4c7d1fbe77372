"""Did a register behave as one? A checker of what several clients saw of one key that they wrote and read.

A history is *linearizable* if each of its operations can be given one moment between its start and its end,
so that every read gives the value of the write before it. That is what a client means by "the value is X
now"; a lost write, a stale read and a value that comes back all break it.

The search is that of Wing and Gong, with Lowe's memory of where it has been: the state is (which operations
have happened, the value now); what may happen next are the operations that started before any of the rest
had ended. It is exponential in the worst case, so histories are short and three things keep it small:

- A read of the present value is taken at once: it is allowed now, changes nothing, and frees what waits.
- A write without a known end may have happened at any time after its start, or never. If nobody read its
  value, it is left out: whenever it is possible at all, it is possible as the last of all.
- A read without a known end says nothing, and is left out.

Values are unique to their write, and None is that of a key that was not written yet.

Sources: J. Wing and C. Gong, "Testing and Verifying Concurrent Objects" (1993); G. Lowe, "Testing for
Linearizability" (2017).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

UNKNOWN = math.inf
"""The end of an operation of which nobody knows whether it happened."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One read or write of a register, with its times by one clock."""

    is_write: bool
    value: int | None
    """What was written, or what the read returned."""
    started: float
    ended: float = UNKNOWN

    def __str__(self) -> str:
        name = "write" if self.is_write else "read"
        end = "?" if self.ended == UNKNOWN else f"{self.ended:.6f}"
        return f"{self.started:.6f}..{end} {name} {self.value}"


class TooHard(Exception):
    """The search was given up."""


def is_linearizable(history: Sequence[Operation], limit: int = 1_000_000) -> bool:
    """Whether the register, empty at first, can have behaved as one. Raises TooHard after `limit` states."""
    operations = _those_that_tell(history)
    must = sum(1 << number for number, operation in enumerate(operations) if operation.ended != UNKNOWN)
    seen: set[tuple[int, int | None]] = set()
    stack: list[tuple[int, int | None]] = [(0, None)]
    while stack:
        state = _after_reads(operations, *stack.pop())
        if state in seen:
            continue
        seen.add(state)
        if len(seen) > limit:
            raise TooHard(f"{len(operations)} operations, {limit} states")
        happened = state[0]
        if happened & must == must:
            return True
        for number in _next_ones(operations, happened):
            if operations[number].is_write:
                stack.append((happened | 1 << number, operations[number].value))
    return False


def _those_that_tell(history: Sequence[Operation]) -> list[Operation]:
    read = {operation.value for operation in history if not operation.is_write and operation.ended != UNKNOWN}
    telling = (
        operation
        for operation in history
        if operation.ended != UNKNOWN or (operation.is_write and operation.value in read)
    )
    return sorted(telling, key=lambda operation: operation.started)


def _after_reads(operations: list[Operation], happened: int, value: int | None) -> tuple[int, int | None]:
    """The state once all reads of this value that may happen now have happened."""
    taken = True
    while taken:
        taken = False
        for number in _next_ones(operations, happened):
            operation = operations[number]
            if not operation.is_write and operation.value == value:
                happened |= 1 << number
                taken = True
    return happened, value


def _next_ones(operations: list[Operation], happened: int) -> list[int]:
    """Those of the rest that started before any of the rest had ended. `operations` are in order."""
    first_end = UNKNOWN
    ready = []
    for number, operation in enumerate(operations):
        if happened >> number & 1:
            continue
        if operation.started > first_end:
            break
        ready.append(number)
        first_end = min(first_end, operation.ended)
    return [number for number in ready if operations[number].started <= first_end]
