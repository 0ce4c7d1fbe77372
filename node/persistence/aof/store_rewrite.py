"""The rewrite of an append-only file whose data is in the store of the disk tier.

There is nothing to be written anew: the store's next commit holds everything that was recorded before, so
the increments up to there are superfluous. The base is a file that only says where the data is. Redis, and a
worker without the store, refuse it as damaged, which keeps them from taking a part for the whole.
"""

from __future__ import annotations

import os
import time

from node.persistence.aof.manifest import STORE
from node.persistence.aof.rewrite import Rewrite
from node.persistence.files import write_fully

CONTENT = b"The data that the increments continue is in the store of a shoal worker (storage-engine disk).\n"


class StoreRewrite(Rewrite):
    _waiting = False
    """For the store's commit."""

    @property
    def suffix(self) -> str:
        return STORE

    @property
    def in_progress(self) -> bool:
        return self._waiting

    def start(self) -> bool:
        log = self._worker.log
        self.scheduled = False
        self._started = time.time()
        try:
            self._begin()
        except OSError as error:
            log.warning(f"Can't rewrite append only file: {error.strerror}")
            self._count_failure()
            return False
        self._waiting = True
        log.notice("Append only file rewriting waits for the next commit of the store")
        self._worker.tier.checkpoint(self._committed)
        return True

    def stop(self) -> None:
        self.scheduled = False
        self._waiting = False

    def write(self, path: str) -> None:
        with open(path, "wb", buffering=0) as file:
            write_fully(file.fileno(), CONTENT)
            os.fsync(file.fileno())

    def _committed(self) -> None:
        if not self._waiting:
            return
        self._waiting = False
        self.last_seconds = int(time.time() - self._started)
        path = self._temporary(os.getpid())
        try:
            self.write(path)
        except OSError as error:
            self._worker.log.warning(f"Append only file rewriting: {error.strerror}")
            self._give_up(path)
            return
        self._conclude(path)
