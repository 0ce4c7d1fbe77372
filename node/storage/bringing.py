"""Commands with several keys wait until those are in memory, where one is brought in each turn of the loop.

So nobody else waits for longer than one read, however many keys a command names. A command with one key
reads by itself, in its own turn. So does whatever a script comes across, and keys that left memory again
before the command came to run.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from node.session.session import Session


class Bringing:
    def __init__(self) -> None:
        self._served: Session | None = None
        """The session whose keys have been brought, while its command runs."""

    def postpones(self, session: Session, argv: list[bytes], keys: list[bytes]) -> bool:
        """Whether a command has to wait for keys; its session is suspended then, and executes it later."""
        if session is self._served or len(keys) < 2:
            return False
        missing = [key for key in keys if session.db.may_be_cold(key)]
        if len(missing) < 2:
            return False
        session.suspended = True
        asyncio.get_running_loop().call_soon(self._bring, session, session.db, argv, session.asking, missing)
        return True

    def _bring(
        self, session: Session, db: Any, argv: list[bytes], asking: bool, missing: list[bytes]
    ) -> None:
        db.bring(missing.pop())
        if missing:
            asyncio.get_running_loop().call_soon(self._bring, session, db, argv, asking, missing)
            return
        self._served = session
        try:
            session.resume_with(argv, asking=asking)
        finally:
            self._served = None
