"""kill -9 of a worker with the disk tier, or of its scribe, at random moments: what was promised is there.

As test_crashes.py, with so little memory that every round spills, and with commits, rewrites of the log and
FLUSHDBs of another database under way. Without a log the store alone has to have one moment's state, from
shortly before the kill. That it is one moment's is told by a chain: one more writer raises counters of
which each names the one before, in order.

SHOAL_CRASH_ROUNDS=200 is the long form, SHOAL_CRASH_SEED repeats a run.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time

import pytest

from tests.chaos.test_crashes import SEED, WRITERS, Writer
from tests.harness.servers import ShoalNode
from tests.integration.datasets import fill_strings
from tests.integration.test_disk_breakdowns import scribe_of
from tests.integration.test_disk_tier import disk_node, written

ROUNDS = int(os.environ.get("SHOAL_CRASH_ROUNDS", "2"))
LOSABLE_SECONDS = {"always": 0.0, "everysec": 1.0, "no log": 3.0}
BALLAST = 8_000
LINKS = 20
"""Keys of the chain, which lie in as many slots."""
DURING = ("nothing", "BGREWRITEAOF", "a FLUSHDB", "another scribe")


class Patient(Writer):
    """A writer that goes on when it was refused, while another scribe is awaited."""

    def run(self, node: ShoalNode) -> None:
        first, second = self.keys
        try:
            with node.resp(timeout=10) as client:
                while True:
                    reply = client.pipeline(("MULTI",), ("INCR", first), ("INCR", second), ("EXEC",))[-1]
                    if isinstance(reply, list):
                        self.value = reply[0]
                        self.times.append((time.monotonic(), self.value))
        except (ConnectionError, OSError, EOFError):
            return


class Chain(Writer):
    """Writes 1, 2, 3... to keys in turn, each acknowledged before the next. Any moment's state has the last
    LINKS numbers without a gap."""

    def run(self, node: ShoalNode) -> None:
        try:
            with node.resp(timeout=10) as client:
                while True:
                    following = self.value + 1
                    if client.command("SET", f"link:{following % LINKS}", following) != "OK":
                        continue  # refused, while another scribe is awaited
                    self.value = following
                    self.times.append((time.monotonic(), following))
        except (ConnectionError, OSError, EOFError):
            return

    def look(self, node: ShoalNode) -> int:
        """The last number that is there."""
        there = sorted(number(node, f"link:{n}") for n in range(LINKS))
        last = there[-1]
        expected = sorted(max(last - n, 0) for n in range(LINKS))
        assert there == expected, f"not one moment's state: {there}"
        return last


@pytest.mark.timeout(120 + 8 * ROUNDS)
@pytest.mark.parametrize("policy", LOSABLE_SECONDS)
def test_no_promise_is_broken(policy: str) -> None:
    print(f"SHOAL_CRASH_SEED={SEED}")
    chance = random.Random(f"{SEED} {policy}")
    log = {} if policy == "no log" else {"appendonly": "yes", "appendfsync": policy}
    with disk_node(maxmemory="8mb", **log) as node:
        writers = [Patient(f"writer{number}") for number in range(WRITERS)]
        chain = Chain("chain")
        fill_strings(node, BALLAST)
        written(node)
        for _ in range(ROUNDS):
            during, killed_at = crash(node, [*writers, chain], chance)
            node.start()
            before = killed_at - LOSABLE_SECONDS[policy]
            for writer in writers:
                values = {number(node, key) for key in writer.keys}
                assert len(values) == 1, f"half a transaction: {values}"
                recount(writer, *values, before, during)
            recount(chain, chain.look(node), before, during)
            kept = node.run("EXISTS", *(f"string:{number}" for number in range(0, BALLAST, 100)))
            assert kept == BALLAST // 100
            slots_agree(node)


def number(node: ShoalNode, key: str) -> int:
    value = node.run("GET", key)
    return int(value) if isinstance(value, bytes) else 0


def recount(writer: Writer, value: int, before: float, during: str) -> None:
    promised = writer.promised(before)
    assert value >= promised, f"{writer.name}: {promised - value} acknowledged writes are gone ({during})"
    writer.value = value
    writer.times = [(0.0, value)]


def slots_agree(node: ShoalNode) -> None:
    """What is counted is what is there."""
    with node.client() as client:
        found = set(client.scan_iter(count=1000))
        assert len(found) == client.dbsize()


def crash(node: ShoalNode, writers: list[Writer], chance: random.Random) -> tuple[str, float]:
    """Let them write for a while and kill the worker; returns what went on, and when that was."""
    threads = [threading.Thread(target=writer.run, args=(node,)) for writer in writers]
    for thread in threads:
        thread.start()
    during = chance.choice(DURING)
    time.sleep(chance.uniform(0, 1.0))  # the moment is what chance decides
    match during:
        case "BGREWRITEAOF":
            node.run(during)
        case "a FLUSHDB":
            with node.client(db=1) as client:
                client.mset({f"other:{number}": number for number in range(1000)})
                client.flushdb()
        case "another scribe":
            os.kill(scribe_of(node), signal.SIGKILL)
    time.sleep(chance.uniform(0, 0.3))
    killed_at = time.monotonic()
    node.kill()
    for thread in threads:
        thread.join()
    return during, killed_at
