"""kill -9 at random moments, again and again: nothing that was acknowledged may be gone.

Writers count, each its own keys upwards in transactions, and know what was acknowledged. The worker is
killed, at times in a rewrite or a snapshot, and starts again from its append-only file. With `always` every
acknowledged write must be there; with `everysec`, which promises all but the last second, what was
acknowledged earlier. A transaction is there as a whole or not at all.

There is enough data that rewrites and snapshots take a while. A kill has hit one if its child leaves the
temporary file that it was writing; the long form demands that each kind was hit.

SHOAL_CRASH_ROUNDS=200 is the long form. The seed is printed, and SHOAL_CRASH_SEED repeats it.
"""

from __future__ import annotations

import os
import random
import threading
import time
from dataclasses import dataclass, field

import pytest

from tests.harness.resp import Error
from tests.harness.servers import ShoalNode
from tests.integration.datasets import fill_strings

ROUNDS = int(os.environ.get("SHOAL_CRASH_ROUNDS", "10"))
SEED = int(os.environ.get("SHOAL_CRASH_SEED", str(random.randrange(1 << 32))))
WRITERS = 4
LOSABLE_SECONDS = {"always": 0.0, "everysec": 1.0}
LONG_FORM = 100
BALLAST = 40_000
"""Keys that nobody writes to, so that a rewrite or a snapshot has something to do."""
DURING: dict[str, tuple[float, str]] = {
    "nothing": (0.3, ""),
    "BGREWRITEAOF": (0.1, "temp-rewriteaof-bg-*"),
    "BGSAVE": (0.1, "temp-*.rdb"),
}
"""What is going on → within how many seconds the kill comes, and the files that tell that it was in time."""


@dataclass
class Writer:
    """Raises two counters together until the connection breaks."""

    name: str
    value: int = 0
    """The last acknowledged."""
    times: list[tuple[float, int]] = field(default_factory=list)
    """When which value had been acknowledged."""

    @property
    def keys(self) -> tuple[str, str]:
        return f"{self.name}:1", f"{self.name}:2"

    def run(self, node: ShoalNode) -> None:
        first, second = self.keys
        try:
            with node.resp(timeout=10) as client:
                while True:
                    replies = client.pipeline(("MULTI",), ("INCR", first), ("INCR", second), ("EXEC",))
                    assert not isinstance(replies[-1], Error), replies
                    self.value = replies[-1][0]
                    self.times.append((time.monotonic(), self.value))
        except (ConnectionError, OSError, EOFError):
            return

    def promised(self, before: float) -> int:
        """The value acknowledged last before that moment."""
        return next((value for when, value in reversed(self.times) if when < before), 0)


@pytest.mark.timeout(120 + 2 * ROUNDS)
@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_no_promise_is_broken(policy: str) -> None:
    print(f"SHOAL_CRASH_SEED={SEED}")
    chance = random.Random(f"{SEED} {policy}")
    acknowledged = 0
    hits = dict.fromkeys(DURING, 0)
    with ShoalNode(appendonly="yes", appendfsync=policy) as node:
        writers = [Writer(f"writer{number}") for number in range(WRITERS)]
        fill_strings(node, BALLAST)
        assert node.run("WAITAOF", 1, 0, 5000) == [1, 0]
        for _ in range(ROUNDS):
            killed_at = crash(node, writers, chance, hits)
            node.start()
            for writer in writers:
                values = {int(node.run("GET", key) or 0) for key in writer.keys}
                assert len(values) == 1, f"half a transaction: {values}"
                (value,) = values
                promised = writer.promised(killed_at - LOSABLE_SECONDS[policy])
                assert value >= promised, f"{writer.name}: {promised - value} acknowledged writes are gone"
                acknowledged += len(writer.times)
                writer.times = [(0.0, value)]
            assert node.run("EXISTS", "string:0", f"string:{BALLAST - 1}") == 2
    print(f"{policy}: {ROUNDS} crashes, {acknowledged} acknowledged transactions; at work were {hits}")
    if ROUNDS >= LONG_FORM:
        assert all(hits.values())


def crash(node: ShoalNode, writers: list[Writer], chance: random.Random, hits: dict[str, int]) -> float:
    """Let them write for a while and kill the worker; returns when."""
    for leftover in node.directory.glob("temp-*"):
        leftover.unlink()
    threads = [threading.Thread(target=writer.run, args=(node,)) for writer in writers]
    for thread in threads:
        thread.start()
    during = chance.choice(list(DURING))
    seconds, unfinished = DURING[during]
    if unfinished:
        node.run(during)
    time.sleep(chance.uniform(0, seconds))  # the moment is what chance decides
    killed_at = time.monotonic()
    node.kill()
    hits[during] += not unfinished or any(node.directory.glob(unfinished))
    for thread in threads:
        thread.join()
    return killed_at
