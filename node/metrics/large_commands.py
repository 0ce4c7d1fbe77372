"""Who hears of large commands: the logs of requests and of replies that took many bytes, for COMMANDLOG.

The engine looks at the size of each batch of requests, and of all its replies, once; only where that reaches
a limit does it look for the command (`on_large`). A size is that of the whole frame, as it came or went. A
transaction counts as it came: each command when it was queued, and all replies as that of EXEC; a script is
one command, while Valkey also logs what it calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from node.commands import find
from node.metrics.slow_log import SlowLog
from node.session.description import address

if TYPE_CHECKING:
    from node.worker import Worker

NEVER: Final = (1 << 64) - 1


class LargeCommands:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.requests = SlowLog(worker.config.commandlog_large_request_max_len)
        self.replies = SlowLog(worker.config.commandlog_large_reply_max_len)
        worker.engine.on_large = self._large
        for of in ("request", "reply"):
            worker.config.on_change(f"commandlog-{of}-larger-than", self._follow)
            worker.config.on_change(f"commandlog-large-{of}-max-len", self._follow)
        self._follow()

    def _follow(self, value: Any = None) -> None:
        """Apply the settings."""
        config, engine = self._worker.config, self._worker.engine
        self.requests.cut(config.commandlog_large_request_max_len)
        self.replies.cut(config.commandlog_large_reply_max_len)
        engine.large_request = _limit(config.commandlog_request_larger_than)
        engine.large_reply = _limit(config.commandlog_reply_larger_than)

    def _large(self, session: Any, argv: list[bytes], received: int, sent: int) -> None:
        engine = self._worker.engine
        command = find(argv) if argv else None
        if command is None or ("skip_slowlog" in command.flags and command.name != "exec"):
            return
        for log, size, limit in (
            (self.requests, received, engine.large_request),
            (self.replies, sent, engine.large_reply),
        ):
            if size >= limit:
                log.add(engine.now // 1000, size, command.name, argv, address(session), session.name)


def _limit(bytes_: int) -> int:
    return bytes_ if bytes_ >= 0 else NEVER
