"""The directory of `shoal up`.

    shoal.lock     held while a supervisor runs here; says its pid
    shoal.json     the settings of the cluster, and whether it was formed
    worker-7001/   a worker's own directory: nodes.conf, dump.rdb, ...
    worker-7002.lost-20261123-073000/   that of a worker that could not be started any more, or has left
    migrations/    journals of slots that were moved to new workers

`shoal.json` is written before the first worker starts, with `formed` false, and again when the cluster
serves. Found with `formed` false, it tells of a start that never ended: those workers never served anybody,
so their directories are cleared and the start is repeated. A start that fails leaves the directory as it
found it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from cluster.supervisor.settings import SetupError

FORMAT = 1
LOCK_NAME = "shoal.lock"
STATE_NAME = "shoal.json"


class Workspace:
    """Call `acquire` first and `discard` in the end, however it ends.

    `remembered` holds the settings of the formed cluster, None where there is none.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self.remembered: dict[str, Any] | None = None
        self._created: list[Path] = []
        """what did not exist before `acquire`, outermost first"""
        self._lock: int | None = None

    def acquire(self) -> None:
        """Create the directory if need be, lock it, read what it remembers. Raises SetupError."""
        try:
            self._create()
            self._take_lock()
            self._read_state()
        except OSError as error:
            raise SetupError(
                f"cannot use {self.directory}: {(error.strerror or str(error)).lower()}"
            ) from error

    def worker_directory(self, port: int) -> Path:
        return self.directory / f"worker-{port}"

    @property
    def journals(self) -> Path:
        return self.directory / "migrations"

    def set_aside(self, port: int, why: str) -> str:
        """Rename a worker's directory, so that another starts from nothing there; returns the new name, empty
        if there is none. Raises OSError."""
        path = self.worker_directory(port)
        if not path.exists():
            return ""
        kept = path.with_name(f"{path.name}.{why}-{time.strftime('%Y%m%d-%H%M%S')}")
        path.rename(kept)
        return kept.name

    def prepare_workers(self, ports: list[int]) -> None:
        """Make the workers' directories. Raises SetupError where one exists that is none of ours."""
        for port in ports:
            path = self.worker_directory(port)
            if self.remembered is None and path.exists():
                raise SetupError(
                    f"{path} exists, but {self.directory} holds no cluster of `shoal up`;"
                    " move it away or use another --dir"
                )
        for port in ports:
            path = self.worker_directory(port)
            if not path.exists():
                path.mkdir()
                self._created.append(path)

    def remember(self, settings: dict[str, Any], formed: bool) -> None:
        """Write shoal.json, whole or not at all."""
        path = self.directory / STATE_NAME
        if not path.exists():
            self._created.append(path)
        draft = path.with_suffix(".tmp")
        with draft.open("w") as file:
            json.dump({"format": FORMAT, "formed": formed, **settings}, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        if formed:
            self._created.clear()

    def discard(self) -> None:
        """Remove what was created for a cluster that was not formed, and give up the lock."""
        for path in reversed(self._created):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        self._created.clear()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _create(self) -> None:
        missing = [path for path in (self.directory, *self.directory.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir()
            self._created.append(path)

    def _take_lock(self) -> None:
        path = self.directory / LOCK_NAME
        if not path.exists():
            self._created.append(path)
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._lock, 32).decode(errors="replace").strip()
            self._created.clear()  # theirs, not ours
            raise SetupError(
                f"{self.directory} is in use by another `shoal up`" + (f" (pid {holder})" if holder else "")
            ) from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def _read_state(self) -> None:
        path = self.directory / STATE_NAME
        if not path.exists():
            return
        try:
            state = json.loads(path.read_text())
            known_format = state["format"] == FORMAT
            formed, first, count = state["formed"], int(state["port"]), int(state["workers"])
        except (ValueError, KeyError, TypeError) as error:
            raise SetupError(f"{path} is damaged: {error}") from error
        if not known_format:
            raise SetupError(f"{path} was written by another version of shoal (format {state['format']})")
        if formed:
            self.remembered = state
            return
        for port in range(first, first + count):
            shutil.rmtree(self.worker_directory(port), ignore_errors=True)
        path.unlink()
