"""The scribe: the process that writes a worker's store.

It reads frames (node/core/records.pyx) from the socket it was started with, carries them out in one
transaction, and commits on request: all that came before is durable then, and it answers with the request's
number. What was not committed when its worker goes away never was. An error is answered by number 0 and a
line of text, and is the end.

Writing in a process of its own has LMDB's cost, several times that of a SET, paid on another core and away
from the interpreter's lock; and a worker that is killed cannot leave a commit half done. It ignores signals:
it ends when its worker does. While it lives it holds a lock on the store, so that a worker that comes back
finds everything committed.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import struct
import sys
from typing import Any, Final, TextIO

import lmdb

from node.persistence.files import StoreError
from node.storage.store import AWAITED, NOTES, RECORDS, open_environment

PUT, DELETE, CLEAR, AWAIT, FORGET, NOTE, COMMIT = range(1, 8)
HEAD: Final = struct.Struct("<BHI")
NUMBER: Final = struct.Struct("<Q")
PIECE: Final = 1 << 20
LOCK: Final = "owner"
MOST_CHANGES: Final = 20_000
MOST_BYTES: Final = 16 << 20


class Scribe:
    def __init__(self, path: str) -> None:
        self._environment = open_environment(path, writable=True)
        self._records, self._awaited, self._notes = (
            self._environment.open_db(name) for name in (RECORDS, AWAITED, NOTES)
        )
        self._changes: dict[tuple[Any, bytes], bytes | None] = {}
        """What is to be put, None to be deleted: carried out in order of places, which touches each page
        once."""
        self._gathered = 0
        """Bytes of that."""
        self._transaction: Any = None

    def carry_out(self, op: int, place: bytes, body: bytes) -> None:
        self._gathered += len(body)
        if op == PUT:
            self._changes[self._records, place] = body
        elif op == DELETE:
            self._changes[self._records, place] = None
        elif op == AWAIT:
            self._changes[self._awaited, place] = b""
        elif op == FORGET:
            self._changes[self._awaited, place] = None
        elif op == NOTE:
            self._changes[self._notes, place] = body
        elif op == CLEAR:
            self._apply()
            self._clear(place)
        else:
            raise ValueError(f"frame of unknown kind {op}")

    def _begin(self) -> Any:
        if self._transaction is None:
            self._transaction = self._environment.begin(write=True)
        return self._transaction

    def _apply(self) -> None:
        transaction = self._begin()
        changes, self._changes = self._changes, {}
        self._gathered = 0
        for (table, place), body in sorted(changes.items(), key=_by_place):
            if body is None:
                transaction.delete(place, db=table)
            else:
                transaction.put(place, body, db=table)

    def _clear(self, prefix: bytes) -> None:
        with self._begin().cursor(self._records) as cursor:
            found = cursor.set_range(prefix)
            while found and cursor.key().startswith(prefix):
                found = cursor.delete()

    def relieve(self) -> None:
        """Carry out what has gathered, once it is much."""
        if len(self._changes) > MOST_CHANGES or self._gathered > MOST_BYTES:
            self._apply()

    def commit(self) -> None:
        self._apply()
        self._transaction.commit()
        self._transaction = None

    def close(self) -> None:
        if self._transaction is not None:
            self._transaction.abort()
        self._environment.close()


def _by_place(change: tuple[tuple[Any, bytes], bytes | None]) -> bytes:
    return change[0][1]


def serve(scribe: Scribe, link: socket.socket) -> None:
    """Carry out frames until the other side is gone."""
    buffer = bytearray()
    while piece := link.recv(PIECE):
        buffer += piece
        at = 0
        while len(buffer) - at >= HEAD.size:
            op, place_length, body_length = HEAD.unpack_from(buffer, at)
            begin = at + HEAD.size
            end = begin + place_length + body_length
            if len(buffer) < end:
                break
            place = bytes(buffer[begin : begin + place_length])
            if op == COMMIT:
                scribe.commit()
                link.sendall(place)
            else:
                scribe.carry_out(op, place, bytes(buffer[begin + place_length : end]))
            at = end
        del buffer[:at]
        scribe.relieve()


def own(lock: TextIO) -> None:
    """Hold the store's lock for our worker. A scribe whose worker has gone may still finish a commit: wait
    for it. Raises StoreError where the worker has not gone."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read()
        if owner.isdigit() and is_alive(int(owner)):
            raise StoreError(f"the worker with process id {owner} has it") from None
        fcntl.flock(lock, fcntl.LOCK_EX)
    lock.truncate(0)
    lock.write(str(os.getppid()))
    lock.flush()


def is_alive(pid: int) -> bool:
    """Whether a process of this number runs; one that has only not been waited for does not."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def main(path: str, descriptor: int) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    link = socket.socket(fileno=descriptor)
    try:
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, LOCK), "a+") as lock:
            own(lock)
            scribe = Scribe(path)
            link.sendall(NUMBER.pack(1))
            serve(scribe, link)
            scribe.close()
    except (BrokenPipeError, ConnectionResetError):
        return 0
    except (lmdb.Error, StoreError, OSError, ValueError) as error:
        link.sendall(NUMBER.pack(0) + str(error).encode("utf-8", "surrogateescape"))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
