"""A refusal: why a user may not execute a request, and how clients are told."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple


class Reason(IntEnum):
    """In ascending order of what is worth telling when every selector refuses for another reason."""

    COMMAND = 1
    KEY = 2
    AUTH = 3
    CHANNEL = 4

    @property
    def label(self) -> str:
        """As ACL LOG and INFO have it."""
        return self.name.lower()


class Denial(NamedTuple):
    reason: Reason
    position: int
    """Index in the request of the key or channel, 0 for the command itself."""

    def explain(self, user: bytes, command: str, argv: Sequence[bytes], *, names_it: bool = False) -> bytes:
        """The words after NOPERM. `names_it`: name the key or channel too, for who administers users."""
        name = command.encode()
        if self.reason is Reason.COMMAND:
            return b"User " + user + b" has no permissions to run the '" + name + b"' command"
        kind = self.reason.label.encode()
        if not names_it:
            return b"No permissions to access a " + kind
        what = argv[self.position]
        return b"User " + user + b" has no permissions to access the '" + what + b"' " + kind


COMMAND_DENIED = Denial(Reason.COMMAND, 0)
