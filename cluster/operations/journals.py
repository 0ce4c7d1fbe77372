"""Journals of moves as files: where they lie, who is at one, adding lines.

A journal is one file, `ID.journal`, in a directory that is given by `--journal`, by SHOAL_JOURNAL in the
environment, or else is `shoal/migrations` among the user's state files. Whoever can read it can go on with
it: put the directory where all operators' machines see it, or copy the file, and any of them can.

Who carries a plan out holds a lock on its file, which the system takes back when the program ends, however
it ends. Lines are appended by anybody, each in one write.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cluster.operations.link import OperationError
from cluster.plans import journal as lines
from cluster.plans.journal import JournalError, Plan

SUFFIX = ".journal"
VARIABLE = "SHOAL_JOURNAL"


def default_directory() -> Path:
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "shoal" / "migrations"


def new_id() -> str:
    return secrets.token_hex(4)


class Journal:
    """An open file and the plan in it. A context manager; leaving it gives the lock back. Several threads may
    use it."""

    def __init__(self, path: Path) -> None:
        """Raises OperationError if there is no such file, or none of a plan."""
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            raise OperationError(
                f"{path}: {error.strerror}", "`shoal migrations` lists what there is"
            ) from error
        self._reading = threading.Lock()
        self._seen = 0
        self._rest = b""
        try:
            self.plan = lines.read(self._new_lines())
        except JournalError as error:
            os.close(self._file)
            raise OperationError(f"{path}: {error}") from error

    @classmethod
    def create(cls, directory: Path, plan: Plan) -> Journal:
        path = directory / (plan.id + SUFFIX)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with path.open("x") as file:
                file.write(_line(lines.first_line(plan)))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OperationError(
                f"{path}: {error.strerror}", "choose another directory by --journal"
            ) from error
        return cls(path)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def lock(self) -> bool:
        """Be the one who carries it out, or False: somebody else is."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":  # a line that was never finished
            os.write(self._file, b"\n")
        return True

    @property
    def is_carried_out(self) -> bool:
        """Whether somebody else is at it."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self._file, fcntl.LOCK_UN)
        return False

    def add(self, event: str, **facts: Any) -> None:
        """A line, on disk when this returns."""
        data = _line({"at": round(time.time(), 3), "event": event, **facts}).encode()
        try:
            os.write(self._file, data)
            os.fsync(self._file)
        except OSError as error:
            raise OperationError(f"{self.path}: {error.strerror}") from error
        self.reread()

    def reread(self) -> Plan:
        """What others have added since."""
        with self._reading:
            for entry in lines.whole(self._new_lines()):
                lines.apply(self.plan, entry)
        return self.plan

    def _new_lines(self) -> list[str]:
        while data := os.pread(self._file, 1 << 20, self._seen):
            self._seen += len(data)
            self._rest += data
        *whole, self._rest = self._rest.split(b"\n")
        return [line.decode("utf-8", "replace") for line in whole]


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry) + "\n"


def all_journals(directory: Path) -> Iterator[Journal]:
    """The latest plan first. Files that are none are passed over: the directory is the operator's. Each is
    opened in its turn, since over the years there may be more than a process may have open."""
    found = []
    for path in directory.glob(f"*{SUFFIX}"):
        with contextlib.suppress(OSError, ValueError), path.open() as file:  # JournalError is one of these
            found.append((lines.read([file.readline()]).created, path))
    for _, path in sorted(found, reverse=True):
        with contextlib.suppress(OperationError):
            yield Journal(path)


def find_journal(directory: Path, name: str) -> Journal:
    """By the beginning of its id, or by its path. Raises OperationError."""
    if os.sep in name or name.endswith(SUFFIX):
        return Journal(Path(name))
    paths = sorted(directory.glob(f"{name}*{SUFFIX}")) if name.isalnum() else []
    if len(paths) != 1:
        problem = f"{name} names {len(paths)} plans" if paths else f"no plan is called {name}"
        raise OperationError(
            f"{problem} in {directory}", "`shoal migrations` lists them; --journal says where"
        )
    return Journal(paths[0])
