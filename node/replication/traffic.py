"""What goes over the links of replication: bytes from our primary and to our replicas, snapshots included."""

from __future__ import annotations

import time
from typing import Any

from node.metrics.rates import Rate


class Traffic:
    def __init__(self) -> None:
        self.received = 0
        self.sent = 0
        now = int(time.time() * 1000)
        self._receiving = Rate(now)
        self._sending = Rate(now)

    def sample(self, now: int) -> None:
        """Unix ms `now`: called by the worker's timer."""
        self._receiving.sample(now, self.received)
        self._sending.sample(now, self.sent)

    def reset(self) -> None:
        self.received = self.sent = 0

    def info(self) -> dict[str, Any]:
        """Fields of INFO's Stats section."""
        return {
            "total_net_repl_input_bytes": self.received,
            "total_net_repl_output_bytes": self.sent,
            "instantaneous_input_repl_kbps": f"{self._receiving.per_second / 1024:.2f}",
            "instantaneous_output_repl_kbps": f"{self._sending.per_second / 1024:.2f}",
        }
