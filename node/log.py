"""The log, in Redis' format, because scripts and people read it and wait for its lines.

    6875:M 22 Nov 2026 17:36:41.240 * Ready to accept connections tcp
    pid:role day month year time.ms level message

The role is M for a primary, S for a replica, C for a process that is still starting or a saving child. The
level is `.` debug, `-` verbose, `*` notice, `#` warning. Lines go to standard output or are appended to
`logfile`, which is opened for each line, so that a rotated file is simply replaced by a new one.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import Final

from node.config import Config
from node.version import REDIS_VERSION, SHOAL_VERSION

LEVELS: Final = ("debug", "verbose", "notice", "warning", "nothing")
MARKS: Final = ".-*#"
MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
MAX_LINE: Final = 1024
"""Bytes of a message; longer ones are cut, so that no client can fill the disk with one."""

STDOUT: Final = 1

# Lines that scripts wait for, word for word.
INITIALIZED: Final = "Server initialized"
READY_TCP: Final = "Ready to accept connections tcp"
READY_TLS: Final = "Ready to accept connections tls"
READY_UNIX: Final = "Ready to accept connections unix"
SHUTDOWN_REQUESTED: Final = "User requested shutdown..."
SIGTERM_RECEIVED: Final = "Received SIGTERM scheduling shutdown..."
SIGINT_RECEIVED: Final = "Received SIGINT scheduling shutdown..."
BYE: Final = "Redis is now ready to exit, bye bye..."


class Log:
    """Where a worker writes its log. `role` is changed by whoever changes the worker's role."""

    def __init__(self, level: str = "notice", path: str = "", clock: Callable[[], float] = time.time) -> None:
        self.role = "C"
        self._path = path
        self._clock = clock
        self.set_level(level)

    @classmethod
    def from_config(cls, config: Config) -> Log:
        """A log as `loglevel` and `logfile` say; it follows later changes of `loglevel`."""
        log = cls(config.loglevel, config.path(config.logfile) if config.logfile else "")
        config.on_change("loglevel", log.set_level)
        return log

    def set_level(self, level: str) -> None:
        """Write nothing below `level`, one of LEVELS."""
        self._threshold = LEVELS.index(level)

    def debug(self, message: str) -> None:
        self._write(0, message)

    def verbose(self, message: str) -> None:
        self._write(1, message)

    def notice(self, message: str) -> None:
        self._write(2, message)

    def warning(self, message: str) -> None:
        self._write(3, message)

    def starting(self, config: Config) -> None:
        """The lines with which a start begins; the role is C until `running`."""
        self.notice("oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo")
        self.notice(
            f"Redis version={REDIS_VERSION}, bits=64, shoal={SHOAL_VERSION}, pid={os.getpid()}, just started"
        )
        self.notice("Configuration loaded")
        inert = config.inert_settings()
        if inert:
            self.warning(f"Accepted, but without effect in this server: {', '.join(inert)}")

    def running(self, config: Config) -> None:
        """The line that tells the mode; from here on the role is that of a primary."""
        self.role = "M"
        mode = "cluster" if config.cluster_enabled else "standalone"
        self.notice(f"Running mode={mode}, port={config.port or config.tls_port}.")

    def _write(self, level: int, message: str) -> None:
        if level < self._threshold:
            return
        line = self._line(level, message)
        # A full disk or a closed pipe must not stop a server that could otherwise go on.
        with contextlib.suppress(OSError):
            if not self._path:
                os.write(STDOUT, line)
                return
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)

    def _line(self, level: int, message: str) -> bytes:
        now = self._clock()
        at = time.localtime(now)
        date = f"{at.tm_mday:02} {MONTHS[at.tm_mon - 1]} {at.tm_year}"
        clock = f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}.{int(now * 1000) % 1000:03}"
        text = message.replace("\n", "\\n")[:MAX_LINE]
        line = f"{os.getpid()}:{self.role} {date} {clock} {MARKS[level]} {text}\n"
        return line.encode("utf-8", "surrogateescape")
