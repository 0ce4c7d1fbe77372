"""A worker's end of the line to its scribe (scribe.py): frames go out without waiting, numbers of commits
come back.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from typing import Final

from node.persistence.files import StoreError
from node.storage.scribe import NUMBER

PATIENCE: Final = 60.0
"""Seconds that a scribe has for an answer that is waited for: the one before it may have a commit to
finish."""
LONGEST_REASON: Final = 4096


class ScribeLink:
    """Starts a scribe for the store in `path`. `committed()` is called for each commit, `drained()` when all
    that was put has left, `lost(reason)` when the scribe has ended. Raises StoreError and OSError."""

    def __init__(
        self,
        path: str,
        committed: Callable[[], None],
        drained: Callable[[], None],
        lost: Callable[[str], None],
    ) -> None:
        self._path = path
        self._committed = committed
        self._drained = drained
        self._lost = lost
        self._unsent: deque[memoryview] = deque()
        self.unsent = 0
        """Bytes that were put and have not left yet."""
        self._writing = False
        self._loop = asyncio.get_running_loop()
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "node.storage.scribe", path, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        try:
            self._socket.settimeout(PATIENCE)
            self._receive()
        except BaseException:
            self._end()
            raise
        self._socket.setblocking(False)
        self._loop.add_reader(self._socket, self._on_readable)

    def put(self, frames: bytes) -> None:
        """Frames for the scribe, to leave with the next `send`."""
        if frames:
            self._unsent.append(memoryview(frames))
            self.unsent += len(frames)

    def send(self) -> None:
        """Send what the socket takes; the rest follows by itself."""
        try:
            while self._unsent:
                sent = self._socket.send(self._unsent[0])
                self.unsent -= sent
                if sent < len(self._unsent[0]):
                    self._unsent[0] = self._unsent[0][sent:]
                else:
                    self._unsent.popleft()
        except BlockingIOError:
            if not self._writing:
                self._writing = True
                self._loop.add_writer(self._socket, self._on_writable)
        except OSError:
            return  # it has ended, and its last words are to be read

    def finish(self) -> None:
        """Send everything and wait for the commit at its end. Raises StoreError and OSError."""
        self._socket.settimeout(PATIENCE)
        while self._unsent:
            self._socket.sendall(self._unsent.popleft())
        self.unsent = 0
        self._receive()
        self._socket.setblocking(False)

    def close(self) -> None:
        self._release()
        self._end()

    def _on_writable(self) -> None:
        self.send()
        if not self._unsent:
            self._writing = False
            self._loop.remove_writer(self._socket)
            self._drained()

    def _on_readable(self) -> None:
        try:
            self._receive()
        except (StoreError, OSError) as error:
            self.close()
            self._lost(str(error))
        else:
            self._committed()

    def _receive(self) -> None:
        """A number; 0 is an error, and the end."""
        try:
            answer = self._socket.recv(NUMBER.size)
        except TimeoutError:
            raise StoreError(f"{self._path}: another worker has it") from None
        if not any(answer):
            self._socket.settimeout(PATIENCE)
            reason = self._socket.recv(LONGEST_REASON) if answer else b"the scribe has ended"
            raise StoreError(f"{self._path}: {reason.decode('utf-8', 'replace')}")

    def _release(self) -> None:
        self._loop.remove_reader(self._socket)
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._socket)

    def _end(self) -> None:
        self._socket.close()
        self._process.wait()
