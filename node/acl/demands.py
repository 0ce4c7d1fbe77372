"""What a request demands of its keys: to read them, to write them, both, or neither.

It follows from the flags of the key specs: `access` is reading; `update`, `insert` and `delete` are writing.
Who only wants to know something about a key that is not its content (EXISTS, TYPE) demands neither, and any
pattern that matches the key will do.

Most commands have one key in a fixed place; what they demand is found out once, when this is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence

from node.commands import every
from node.commands.model import Command

READ, WRITE = 1, 2
BOTH = READ | WRITE

Demand = tuple[int, int]
"""Index of the key in the request, and the permissions it needs."""

_OF_FLAG = {"access": READ, "update": WRITE, "insert": WRITE, "delete": WRITE}
_NONE: Sequence[Demand] = ()


def _permissions(flags: tuple[str, ...]) -> int:
    found = 0
    for flag in flags:
        found |= _OF_FLAG.get(flag, 0)
    return found


def _one_plain_key(row: Command) -> bool:
    if len(row.key_specs) != 1 or row.finder is not None:
        return False
    (spec,) = row.key_specs
    plain = spec.begin > 0 and not spec.keyword and not spec.counted
    return plain and spec.last == 0 and "not_key" not in spec.flags


_FIXED: dict[str, Sequence[Demand]] = {
    row.name: ((row.key_specs[0].begin, _permissions(row.key_specs[0].flags)),)
    for row in every()
    if _one_plain_key(row)
}
"""Command → what every request of it demands."""


def demands(command: Command, argv: Sequence[bytes]) -> Sequence[Demand]:
    """In the order of the key specs. Empty where the arguments do not fit the command, which will say so."""
    fixed = _FIXED.get(command.name)
    if fixed is not None:
        return fixed if fixed[0][0] < len(argv) else _NONE
    if not command.key_specs:
        return _NONE
    uses = command.key_uses(argv) or ()
    return [(use.position, _permissions(use.flags)) for use in uses]
