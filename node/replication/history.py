"""Which history of writes this worker's data belongs to.

A primary draws a random id; its replicas take it over. A replica that is promoted draws a new id, and
remembers the old one with the offset up to which both histories are the same: so its former fellow replicas
can go on with it from where they are, and need no full synchronization.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

ID_LENGTH: Final = 40
NO_ID: Final = "0" * ID_LENGTH

_ID = re.compile(r"[0-9a-f]{40}")


def new_id() -> str:
    return secrets.token_hex(ID_LENGTH // 2)


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


class History:
    """`id` is the present history; up to `second_offset`, exclusively, `second_id` was the same."""

    def __init__(self) -> None:
        self.id = new_id()
        self.second_id = NO_ID
        self.second_offset = -1

    def renew(self) -> None:
        """Begin a history that nobody shares."""
        self.id = new_id()
        self.forget_second()

    def forget_second(self) -> None:
        self.second_id = NO_ID
        self.second_offset = -1

    def shift(self, offset: int, new: str | None = None) -> None:
        """A new history (`new`, or of our own) begins behind `offset`; the present one becomes the second."""
        self.second_id = self.id
        self.second_offset = offset + 1
        self.id = new or new_id()

    def adopt(self, replication_id: str) -> None:
        """Take over a primary's history with its data."""
        self.id = replication_id
        self.forget_second()

    def includes(self, replication_id: str, offset: int) -> bool:
        """Whether the byte `offset` of the history `replication_id` is the same in ours."""
        if replication_id == self.id:
            return True
        return replication_id == self.second_id != NO_ID and offset <= self.second_offset
