"""nodes.conf on disk: read once, replaced as a whole at every change, and never shared by two processes.

A new version is written beside the old one and renamed over it, so that a crash leaves one or the
other. With `sync` it is on disk, name included, before `write` returns; the coordinator asks for that
before anything leaves that it must not forget (a vote, an epoch).

Two workers on one file would be two nodes with one id. So the file is locked for as long as the worker
lives, with flock(2) as Redis does it, and against Redis too. As a rename puts a new file in place, the
new one is locked before it gets the name; at no time can somebody else take hold of the file by that
name.
"""

from __future__ import annotations

import fcntl
import os

_MODE = 0o644


class NodesFileError(OSError):
    """nodes.conf cannot be used; the text is for the log."""


class NodesFile:
    """The locked file at `path`; made, empty, if it does not exist. Raises NodesFileError."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = self._open_locked()

    def _open_locked(self) -> int:
        while True:
            try:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
            except OSError as error:
                raise NodesFileError(
                    f"Can't open {self.path} in order to acquire a lock: {error.strerror}"
                ) from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise NodesFileError(
                    f"Sorry, the cluster configuration file {self.path} is already used by a different Redis "
                    "Cluster node. Please make sure that different nodes use different cluster configuration "
                    "files."
                ) from None
            if self._is_in_place(descriptor):
                return descriptor
            os.close(descriptor)  # its owner replaced it and then let it go, between our open and lock

    def _is_in_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path))
        except FileNotFoundError:
            return False

    def read(self) -> str:
        """All of it; empty for a new node. Raises NodesFileError if it is not text."""
        with open(self._descriptor, "rb", closefd=False) as file:
            file.seek(0)
            raw = file.read()
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise NodesFileError(f"{self.path} is damaged at byte {error.start}: not UTF-8 text") from error

    def write(self, text: str, *, sync: bool) -> None:
        """Replace the content. Raises OSError, and then the old content is still there."""
        beside = f"{self.path}.tmp-{os.getpid()}"
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with open(descriptor, "wb", closefd=False) as file:
                file.write(text.encode())
            if sync:
                os.fsync(descriptor)
            os.replace(beside, self.path)
        except BaseException:
            os.close(descriptor)
            os.unlink(beside)
            raise
        os.close(self._descriptor)
        self._descriptor = descriptor
        if sync:
            _sync_directory(self.path)

    def close(self) -> None:
        """Give up the lock."""
        os.close(self._descriptor)


def _sync_directory(path: str) -> None:
    """Make a rename in the directory of `path` permanent."""
    descriptor = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
