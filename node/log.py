"""A worker's log. Unless set otherwise its lines are Redis', because scripts and people read them and wait
for some of them word for word (log_lines.py has the formats).

Lines go to standard output or are appended to `logfile`, which is opened for each line, so that a rotated
file is simply replaced by a new one.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import Final

from node.config import Config
from node.log_lines import LineFormat
from node.version import REDIS_VERSION, SHOAL_VERSION

LEVELS: Final = ("debug", "verbose", "notice", "warning", "nothing")
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


PLAIN: Final = LineFormat()
HIDDEN: Final = "*redacted*"
"""What stands in a line, with `hide-user-data-from-log`, where it would have what came from a client."""


class Log:
    """Where a worker writes its log. `role` is changed by whoever changes the worker's role."""

    def __init__(
        self,
        level: str = "notice",
        path: str = "",
        clock: Callable[[], float] = time.time,
        form: LineFormat = PLAIN,
    ) -> None:
        self.role = "C"
        self.form = form
        self.hides_user_data = False
        self._path = path
        self._clock = clock
        self.set_level(level)

    @classmethod
    def from_config(cls, config: Config) -> Log:
        """A log as `loglevel`, `logfile` and the formats say; it follows their later changes."""
        log = cls(config.loglevel, config.path(config.logfile) if config.logfile else "")

        def follow_formats(_: str = "") -> None:
            log.form = LineFormat(config.log_format, config.log_timestamp_format)

        def follow_hiding(_: bool = False) -> None:
            log.hides_user_data = config.hide_user_data_from_log

        config.on_change("loglevel", log.set_level)
        config.on_change("hide-user-data-from-log", follow_hiding)
        follow_hiding()
        for name in ("log-format", "log-timestamp-format"):
            config.on_change(name, follow_formats)
        follow_formats()
        return log

    def set_level(self, level: str) -> None:
        """Write nothing below `level`, one of LEVELS."""
        self._threshold = LEVELS.index(level)

    def of_user(self, text: str) -> str:
        """What came from a client, as it may stand in a line."""
        return HIDDEN if self.hides_user_data else text

    def key(self, key: bytes) -> str:
        """A key, as it may stand in a line."""
        return self.of_user(repr(key))

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
        text = self.form.line(os.getpid(), self.role, level, self._clock(), message)
        line = f"{text}\n".encode("utf-8", "surrogateescape")
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
