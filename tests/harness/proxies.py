"""One proxy process in front of a cluster.

    with cluster_of(3, kind="valkey") as cluster, ShoalProxy(cluster.addresses) as proxy:
        proxy.client().set("a", 1)        # redis-py, as with a single server

Ready means that every slot has an owner in its map, not only that it listens.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from tests.harness.servers import Process


class ShoalProxy(Process):
    """`options` are further arguments of `shoal proxy`."""

    kind = "proxy"

    def __init__(
        self, seeds: Sequence[str], *options: str, port: int | None = None, password: str = ""
    ) -> None:
        super().__init__(port)
        self.seeds = list(seeds)
        self.options = list(options)
        self.password = password

    def command(self) -> list[str]:
        argv = [sys.executable, "-m", "proxy", "--port", str(self.port), *self.options]
        for seed in self.seeds:
            argv += ["--seed", seed]
        return [*argv, "--auth", self.password] if self.password else argv

    def facts(self) -> dict[str, str]:
        """The fields of INFO's section `proxy`."""
        with self.resp(timeout=2) as connection:
            if self.password:
                connection.command("AUTH", self.password)
            text = connection.command("INFO", "proxy").decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def is_ready(self) -> bool:
        return self.facts()["slots_served"] == "16384"


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM (RSS)."""
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
