"""What a worker is busy with: requests, bytes and turns of its event loop, as totals and as paces.

The totals are the engine's counters; paces are means of the last samples (`metrics/rates`), which the
worker's timer takes. The event loop does not tell its turns, so a turn is counted where work is done: a read
that was served, or a run of the timer. What turns take is the CPU time of the thread that does them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.core.statistics import command_ns, commands_processed
from node.metrics import process
from node.metrics.rates import Rate

if TYPE_CHECKING:
    from node.core.engine import Engine


class Activity:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._timer_runs = 0
        self._forgotten_us = 0
        now = engine.now
        self._commands = Rate(now)
        self._input = Rate(now)
        self._output = Rate(now)
        self._turns = Rate(now)
        self._turning = Rate(now)

    def sample(self, now: int) -> None:
        """Unix ms `now`: called by the worker's timer."""
        self._timer_runs += 1
        engine = self._engine
        self._commands.sample(now, commands_processed(engine))
        self._input.sample(now, engine.bytes_received)
        self._output.sample(now, engine.bytes_sent)
        self._turns.sample(now, self._turn_count)
        self._turning.sample(now, self._turning_us)

    @property
    def _turn_count(self) -> int:
        return self._engine.reads_processed + self._timer_runs

    @property
    def _turning_us(self) -> int:
        return _thread_us() - self._forgotten_us

    def reset(self) -> None:
        """CONFIG RESETSTAT; the engine's counters are reset by itself."""
        self._timer_runs = 0
        self._forgotten_us = _thread_us()

    def requests(self) -> dict[str, Any]:
        """INFO's fields of requests and bytes."""
        engine = self._engine
        return {
            "total_connections_received": engine.connections_received,
            "total_commands_processed": commands_processed(engine),
            "instantaneous_ops_per_sec": round(self._commands.per_second),
            "total_net_input_bytes": engine.bytes_received,
            "total_net_output_bytes": engine.bytes_sent,
            "instantaneous_input_kbps": f"{self._input.per_second / 1024:.2f}",
            "instantaneous_output_kbps": f"{self._output.per_second / 1024:.2f}",
        }

    def turns(self) -> dict[str, Any]:
        """INFO's fields of reads, writes and the event loop. Durations are microseconds."""
        engine = self._engine
        pace = self._turns.per_second
        return {
            "total_reads_processed": engine.reads_processed,
            "total_writes_processed": engine.writes_processed,
            "eventloop_cycles": self._turn_count,
            "eventloop_duration_sum": self._turning_us,
            "eventloop_duration_cmd_sum": command_ns(engine) // 1000,
            "instantaneous_eventloop_cycles_per_sec": round(pace),
            "instantaneous_eventloop_duration_usec": round(self._turning.per_second / pace) if pace else 0,
        }


def _thread_us() -> int:
    used = process.cpu_seconds()
    return int((used.main_thread_system + used.main_thread_user) * 1_000_000)
