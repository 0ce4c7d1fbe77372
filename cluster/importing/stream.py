"""One primary of the source, as its replica sees it: the snapshot goes into a file, of the stream the keys
are noted. In a thread of its own, so that the source never waits for us and keeps nothing for us.

We acknowledge offset 0, again and again: enough to stay connected, and nothing that WAIT could count on.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

from cluster.importing.dirty import StreamReader, Touched, Unfollowable
from cluster.operations.dialling import dial, reason_of
from cluster.operations.link import Credentials, OperationError, Refused, Unreachable
from cluster.plans.backup import Holder
from node.core.reply_writer import encode_command
from node.replication import replica
from node.replication.replica import Introduction, ReplicaProtocol

SILENCE_SECONDS = 60.0
"""A primary that makes its snapshot sends empty lines meanwhile, and PING afterwards."""
_TURN_SECONDS = 0.5
_ACKNOWLEDGE_SECONDS = 1.0
_RECEIVE = 256 * 1024
_NO_OFFSET = -2
"""PSYNC asks for the byte behind it: -1, which is none, so that a full synchronization follows."""
_ACKNOWLEDGEMENT = encode_command([b"REPLCONF", b"ACK", b"0"])


class SourceStream:
    """`snapshot` is complete once `await_snapshot` returns. Errors of the thread are raised by whatever is
    called next."""

    def __init__(self, holder: Holder, credentials: Credentials, directory: Path | None) -> None:
        """`directory`: where the snapshot lies as long as this does; None for the system's. Raises
        Unreachable."""
        self.holder = holder
        self.touched = Touched()
        self.snapshot_bytes = 0
        self.snapshot: IO[bytes] = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115
        self.offset = 0
        """Of the primary's stream: what has been noted up to."""
        self._reader = StreamReader()
        self._protocol = ReplicaProtocol(
            Introduction(
                port=0,
                id="?",
                offset=_NO_OFFSET,
                user=credentials.username or "",
                password=credentials.password or "",
            )
        )
        self._has_snapshot = threading.Event()
        self._closing = threading.Event()
        self._problem: OperationError | None = None
        self._acknowledged = 0.0
        self._heard = time.monotonic()
        try:
            self._socket = dial(holder.host, holder.port, credentials.tls, SILENCE_SECONDS)
        except OSError as error:
            self.snapshot.close()
            raise Unreachable(holder.address, reason_of(error)) from error
        self._socket.settimeout(_TURN_SECONDS)
        self._thread = threading.Thread(target=self._run, name=f"stream of {holder.address}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self._socket.close()
        self.snapshot.close()

    def await_snapshot(self, seconds: float) -> bool:
        """Whether it has come within this time."""
        self.require_sound()
        return self._has_snapshot.wait(seconds)

    def require_sound(self) -> None:
        """Raises the OperationError that ended the stream, if it has ended."""
        if self._problem is not None:
            raise self._problem

    def _run(self) -> None:
        try:
            for event in self._protocol.connected():
                self._handle(event)
            while not self._closing.is_set():
                self._receive()
        except OperationError as error:
            self._problem = error
        except OSError as error:
            self._problem = Unreachable(self.holder.address, reason_of(error))
        except (Unfollowable, ValueError) as error:
            self._problem = OperationError(f"{self.holder.address}: {error}")
        except Exception as error:  # whatever it is: an import that goes on without us would lose writes
            self._problem = OperationError(f"{self.holder.address}: its stream cannot be read: {error!r}")
        self._has_snapshot.set()  # so that nobody waits for it in vain

    def _receive(self) -> None:
        if self._has_snapshot.is_set() and time.monotonic() - self._acknowledged > _ACKNOWLEDGE_SECONDS:
            self._acknowledge()
        try:
            data = self._socket.recv(_RECEIVE)
        except TimeoutError:
            if time.monotonic() - self._heard > SILENCE_SECONDS:
                raise Unreachable(self.holder.address, "no answer in time") from None
            return
        self._heard = time.monotonic()
        if not data:
            raise OperationError(
                f"{self.holder.address} ended the replication",
                "its log tells why: client-output-buffer-limit, a failover? Begin anew",
            )
        for event in self._protocol.receive(data):
            self._handle(event)

    def _handle(self, event: replica.Event) -> None:
        match event:
            case replica.Send():
                self._socket.sendall(event.data)
            case replica.FullResync():
                self.offset = event.offset
            case replica.SnapshotPart():
                self.snapshot.write(event.data)
                self.snapshot_bytes += len(event.data)
            case replica.SnapshotEnds():
                self._has_snapshot.set()
                self._acknowledge()  # the stream does not begin before
                for later in self._protocol.loaded():
                    self._handle(later)
            case replica.StreamPart():
                for command in self._reader.feed(event.data):
                    self.touched.note(command)
                self.offset += len(event.data)
            case replica.Failed():
                raise Refused(self.holder.address, "to be replicated", event.reason)

    def _acknowledge(self) -> None:
        self._acknowledged = time.monotonic()
        with contextlib.suppress(TimeoutError):
            self._socket.sendall(_ACKNOWLEDGEMENT)
