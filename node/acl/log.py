"""The ACL log: the last refusals, newest first, for ACL LOG.

Equal refusals (same reason, context, object and user) within a minute are one entry with a count, so that a
client that keeps trying does not push everything else out. Names are cut, so that it cannot fill the memory
either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from node.acl.denial import Reason

GROUPED_MS = 60_000
LOOKED_AT = 10
"""How many of the newest entries a refusal is compared with."""
LONGEST_NAME = 1024
"""Bytes kept of a key, channel or user name."""


@dataclass(frozen=True, slots=True)
class Entry:
    number: int
    reason: Reason
    context: str
    """`toplevel`, `multi` or `lua`."""
    object: bytes
    """The command, key or channel that was refused; for a failed login the command that tried it."""
    username: bytes
    client: bytes
    """The line of CLIENT INFO, when it was refused last."""
    created_at: int
    """Unix ms."""
    updated_at: int
    count: int = 1

    def is_like(self, other: Entry) -> bool:
        mine = (self.reason, self.context, self.object, self.username)
        return mine == (other.reason, other.context, other.object, other.username) and (
            other.updated_at - self.updated_at <= GROUPED_MS
        )


class AclLog:
    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._next_number = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(
        self,
        limit: int,
        now: int,
        reason: Reason,
        context: str,
        what: bytes,
        username: bytes,
        client: bytes,
    ) -> None:
        """`limit`: entries to keep (acllog-max-len). `now`: Unix ms."""
        what, username = what[:LONGEST_NAME], username[:LONGEST_NAME]
        entry = Entry(self._next_number, reason, context, what, username, client, now, now)
        for place, known in enumerate(self._entries[:LOOKED_AT]):
            if known.is_like(entry):
                del self._entries[place]
                entry = replace(known, client=client, updated_at=now, count=known.count + 1)
                break
        else:
            self._next_number += limit > 0
        self._entries.insert(0, entry)
        del self._entries[limit:]

    def newest(self, count: int) -> Sequence[Entry]:
        return self._entries[:count]

    def clear(self) -> None:
        """Forget the entries; numbers go on."""
        self._entries.clear()
