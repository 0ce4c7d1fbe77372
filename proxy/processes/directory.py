"""The directory in which the processes of one keeper have the sockets by which they reach each other.

The keeper removes it in the end. One that was killed cannot; so each keeper holds a lock on its directory as
long as it lives, and the next one removes those that nobody holds. (A process id would not tell who lives:
another container may have the same temporary directory.)
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

PREFIX = "shoal-proxy-"
FRESH_SECONDS = 60.0
"""One so young may be about to be locked."""


class Directory:
    def __init__(self) -> None:
        """Make one of our own, and remove what others have left behind."""
        for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            _remove_if_left(left)
        self.path = tempfile.mkdtemp(prefix=PREFIX)
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _remove_if_left(path: Path) -> None:
    with contextlib.suppress(OSError):  # it is not ours, or locked, or gone
        facts = path.lstat()
        if facts.st_uid != os.getuid() or time.time() - facts.st_mtime < FRESH_SECONDS:
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
        finally:
            os.close(descriptor)
