"""The reference pages say what the tables say, and each directive that only shoal has is explained."""

from __future__ import annotations

import subprocess
import sys

from node.config.directives import TABLE
from node.config.own import OWN
from tests.harness.servers import ROOT, Oracle

DEBUGGING = {
    "aof-disable-auto-gc", "events-per-io-thread", "io-threads-do-reads", "key-load-delay",
    "loading-process-events-interval-bytes", "rdb-key-save-delay", "use-exit-on-panic", "watchdog-period",
}  # fmt: skip
"""Redis has these and shows them to nobody who does not ask for them by name."""


def test_pages_are_those_of_the_tables() -> None:
    """In a process of its own: what a table holds depends on what is loaded."""
    checked = subprocess.run(
        [sys.executable, ROOT / "deploy" / "reference.py", "--check"], capture_output=True, text=True
    )
    assert checked.returncode == 0, (
        f"run `python deploy/reference.py`; stale: {checked.stdout}{checked.stderr}"
    )


def test_own_directives_are_explained(redis_oracle: Oracle, valkey_oracle: Oracle) -> None:
    known = {
        name.decode() if isinstance(name, bytes) else name
        for oracle in (redis_oracle, valkey_oracle)
        for name in oracle.client().config_get("*")
    }
    ours = {d.name for d in TABLE.values() if not known & {d.name, *d.aliases, d.valkey_name}}
    assert ours - DEBUGGING == OWN.keys() - {"log-format"}
