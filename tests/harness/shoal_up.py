"""One `shoal up`: the supervisor with its workers and proxies, as an operator has it in a terminal.

    running = RunningUp(directory, port, proxy_port)
    running.start(*running.first_port_options)     # returns once the table of endpoints is printed
    running.worker(port).kill()                    # the process of one worker
    running.stop()                                 # and asserts that nothing of it is left

The ports are the caller's, who leases them (`harness/ports.py`), because a second start must find the same.
"""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import psutil
import redis

from tests.harness.servers import die_with_parent, source_environment
from tests.harness.shoal_command import COMMAND, shoal
from tests.harness.wait import eventually

SERVED = "All 16384 slots are served"


class RunningUp:
    """One `shoal up`. `port` and `proxy_port` are leased for the test."""

    def __init__(self, directory: Path, port: int, proxy_port: int, *options: str | int | Path) -> None:
        self.directory = directory
        self.port = port
        self.proxy_port = proxy_port
        self.options = [str(option) for option in options]
        self.log_path = directory.parent / f"{directory.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str | int, wait: bool = True) -> None:
        argv = [*COMMAND, "up", "--dir", str(self.directory), *map(str, more), *self.options]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=source_environment(),
                preexec_fn=die_with_parent,
            )
        if wait:
            eventually(self._served_or_dead, lambda: f"the table of endpoints:\n{self.log}", timeout=60)
            assert SERVED in self.log, self.log

    def _served_or_dead(self) -> bool:
        assert self.process is not None
        return SERVED in self.log or self.process.poll() is not None

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    @property
    def first_port_options(self) -> list[str]:
        return ["--port", str(self.port), "--proxy-port", str(self.proxy_port)]

    def children(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children()

    def worker(self, port: int) -> psutil.Process:
        """Its present process; a proxy names the ports of workers, too."""
        calls = ((child, child.cmdline()) for child in self.children())
        return next(child for child, call in calls if "proxy" not in call and str(port) in " ".join(call))

    def stop(self, number: signal.Signals = signal.SIGINT, timeout: float = 20) -> int:
        """Returns the exit code; all its children must be gone."""
        assert self.process is not None
        children = self.children()
        self.process.send_signal(number)
        code = self.process.wait(timeout)
        assert not [child for child in children if child.is_running()]
        return code

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def cluster_client(self) -> redis.RedisCluster:
        return redis.RedisCluster(host="127.0.0.1", port=self.port, socket_timeout=10)

    def nodes(self) -> dict[str, tuple[str, str]]:
        """id -> (address, slots), by `shoal nodes`."""
        rows = shoal("nodes", f"127.0.0.1:{self.port}", "--json").json
        return {row["id"]: (row["address"], row["slots"]) for row in rows}
