"""The command table as bit masks.

Every command and subcommand has a number, and a selector's permissions are one integer with the bits of those
it allows: a category is added or taken away with one operation, and a request is judged with one shift. All
commands of the table have a bit, whether or not this worker offers them, so that a user described elsewhere
means the same here.
"""

from __future__ import annotations

from node.commands import TABLE, every
from node.commands.model import CATEGORIES, Command

BIT: dict[str, int] = {row.name: number for number, row in enumerate(every())}
"""Table name of a command or subcommand → its bit's number."""

ALL_COMMANDS = (1 << len(BIT)) - 1


def mask_of(row: Command) -> int:
    """The bits that a rule about this command concerns: its own and those of its subcommands."""
    mask = 1 << BIT[row.name]
    for sub in row.subcommands.values():
        mask |= 1 << BIT[sub.name]
    return mask


def _mask_of_category(category: str) -> int:
    mask = 0
    for row in every():
        if category in row.categories:
            mask |= mask_of(row)
    return mask


CATEGORY_MASKS: dict[str, int] = {category: _mask_of_category(category) for category in CATEGORIES}


def named(name: bytes) -> Command | None:
    """The command a rule names: `get`, or `config|get`."""
    container, bar, sub = name.decode("latin-1").lower().partition("|")
    row = TABLE.get(container)
    return row.subcommands.get(sub) if row is not None and bar else row
