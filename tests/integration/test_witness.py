"""What the supervisor sees of its workers: that one is busy, that one hangs. That one died is in test_up.py.

`SHOAL_FULL=1`: more than 20 seconds of work at a node timeout of 2 s.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import pytest
import redis

from tests.chaos.scale import scaled
from tests.harness.ports import lease_consecutive, lease_port, release_port
from tests.harness.resp import Resp
from tests.harness.shoal_up import RunningUp
from tests.harness.wait import eventually

NODE_TIMEOUT = scaled(1000, 2000)
SETTINGS = ("--cluster-node-timeout", NODE_TIMEOUT, "--cluster-witness-limit", 300_000)
HOSTILE = "return string.find(string.rep('a', tonumber(ARGV[1])), '.-.-.-b') or 'nothing'"
"""One call of string.find is not interrupted: nobody is served while it lasts."""
LENGTH = scaled(330, 520)
"""Its time grows with the fourth power: some 2 s, or 20 on a busy machine."""

pytestmark = [pytest.mark.alone, pytest.mark.timeout(scaled(120, 400))]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    """3 + 3 workers, no proxy."""
    first, other = lease_consecutive(6), lease_port()
    directory = tmp_path_factory.mktemp("witness") / "data"
    running = RunningUp(directory, first, other, "--proxies", 0, "--", *SETTINGS)
    running.start("--port", first)
    yield running
    running.close()
    for port in (*range(first, first + 6), other):
        release_port(port)


def roles(seen_by: int) -> dict[int, set[str]]:
    """port → flags, as that worker sees the cluster."""
    with redis.Redis(port=seen_by) as client:
        lines = str(client.execute_command("CLUSTER", "NODES", NEVER_DECODE=True), "ascii").splitlines()
    found = (re.match(r"\S+ \S+:(\d+)@\S+ (\S+)", line) for line in lines)
    return {int(match[1]): set(match[2].split(",")) for match in found if match}


def primaries(seen_by: int) -> list[int]:
    return [
        port for port, flags in sorted(roles(seen_by).items()) if "master" in flags and "fail" not in flags
    ]


def test_a_worker_that_is_busy_is_vouched_for(cluster: RunningUp) -> None:
    busy, other = primaries(cluster.port)[:2]
    with Resp(busy, timeout=280) as caller:
        caller.send_command("EVAL", HOSTILE, 0, LENGTH)
        while caller.silent():
            assert "fail" not in roles(other)[busy]
        assert caller.read() == b"nothing"
    assert f"worker {busy} does not answer, but works: it is vouched for" in cluster.log
    eventually(lambda: f"worker {busy} answers again after" in cluster.log, "it answers")
    assert busy in primaries(other)


def test_a_worker_that_hangs_is_not(cluster: RunningUp) -> None:
    other, stopped = primaries(cluster.port)[:2]
    said = len(cluster.log)
    process = cluster.worker(stopped)
    process.send_signal(signal.SIGSTOP)
    try:
        eventually(lambda: "fail" in roles(other)[stopped], "it has failed", timeout=10)
        eventually(lambda: len(primaries(other)) == 3, "it was replaced", timeout=10)
    finally:
        process.send_signal(signal.SIGCONT)
    eventually(lambda: "slave" in roles(other)[stopped], "it follows its successor", timeout=10)
    assert f"worker {stopped} does not answer, but works" not in cluster.log[said:]
