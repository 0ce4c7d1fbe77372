"""Who hears of slow commands: the slow log and the latency monitor.

The engine times every command and tells of those above one limit, the lower of the two. Compiled handlers
are timed in batches (core/timing), which is too coarse for a limit of a few microseconds; below
`EXACT_BELOW` the gate GATE_TIMED therefore sends every command the way on which each is timed alone. It costs
speed, and whoever sets such a limit wants the figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.core.command_rows import GATE_TIMED
from node.metrics.latency_events import LatencyEvents
from node.metrics.slow_log import SlowLog
from node.session.description import address

if TYPE_CHECKING:
    from node.commands.model import Command
    from node.worker import Worker

EXACT_BELOW = 100
"""µs; a compiled command is never this slow unless its value is large."""


class Slowness:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.log = SlowLog(worker.config.slowlog_max_len)
        self.events = LatencyEvents()
        worker.engine.on_slow = self._slow
        for name in ("slowlog-log-slower-than", "latency-monitor-threshold", "slowlog-max-len"):
            worker.config.on_change(name, self._follow)
        worker.config.on_change("latency-tracking", self._follow)
        self._follow()

    def _follow(self, value: Any = None) -> None:
        """Apply the settings."""
        config, engine = self._worker.config, self._worker.engine
        self.log.cut(config.slowlog_max_len)
        self.events.threshold = config.latency_monitor_threshold
        engine.tracks_latency = config.latency_tracking
        limits = [config.slowlog_log_slower_than] if config.slowlog_log_slower_than >= 0 else []
        if config.latency_monitor_threshold:
            limits.append(config.latency_monitor_threshold * 1000)
        engine.slow_us = min(limits, default=-1)
        if 0 <= engine.slow_us < EXACT_BELOW:
            engine.gate |= GATE_TIMED
        else:
            engine.gate &= ~GATE_TIMED

    def note(self, event: str, seconds: float) -> None:
        """Something other than a command kept everybody waiting for so long, until now."""
        self.events.note(event, seconds * 1000, self._worker.engine.now)

    def _slow(self, session: Any, command: Command, argv: list[bytes], microseconds: int) -> None:
        worker = self._worker
        flags = command.flags
        limit = worker.config.slowlog_log_slower_than
        if 0 <= limit <= microseconds and "skip_slowlog" not in flags and not session.suspended:
            now = worker.engine.now // 1000
            self.log.add(now, microseconds, command.name, argv, address(session), session.name)
        self.events.note(
            "fast-command" if "fast" in flags else "command", microseconds / 1000, worker.engine.now
        )
