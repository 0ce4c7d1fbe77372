"""How long is a killed primary felt? `shoal up`, our workers alone, and valkey-server, one kill each in turn.

A primary of an idle cluster of 3 + 3 is killed (kill -9), and the time is taken until every slot accepts
writes again. Then it comes back: by its supervisor, or by us once its slots are another's. A kill comes
CALM node timeouts or more after the one before: who has voted for a heir of a primary votes for no other
heir of it for twice the node timeout, and this measures one failure, not several at once.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from tests.chaos.prober import Prober
from tests.chaos.stage import Plan, Stage, stage
from tests.chaos.table import nearest_rank
from tests.harness.clusters import RunningCluster
from tests.harness.ports import lease_consecutive, lease_port, release_port
from tests.harness.servers import Server
from tests.harness.shoal_up import RunningUp
from tests.harness.wait import eventually

MEMBERS = 6
KEYS = 12
EVERY = 0.005
CALM = 2.2
DEADLINE = 60.0


class Subject(Protocol):
    """A cluster whose primaries can be killed."""

    cluster: RunningCluster

    def bring_back(self, victim: Server) -> None: ...


class Unattended:
    """Members that nobody watches: the lab starts them again."""

    def __init__(self, running: Stage) -> None:
        self.cluster = running.cluster
        self._stage = running

    def bring_back(self, victim: Server) -> None:
        eventually(lambda: self._stage.has_yielded(victim), f"{victim!r} is replaced", timeout=DEADLINE)
        victim.start()


class Worker(Server):
    """A worker that the supervisor of `shoal up` has started, and will start again."""

    kind = "up"

    def __init__(self, up: RunningUp, port: int) -> None:
        super().__init__(port)
        self._up = up

    @property
    def running(self) -> bool:
        return True

    def find(self) -> None:
        """Its present process, which takes a while, to be killed."""
        self._found = self._up.worker(self.port)

    def kill(self) -> None:
        """Returns once it is dead, as a server's own does."""
        self._found.kill()
        self._found.wait(DEADLINE)

    def close(self) -> None:
        self.directory.rmdir()


class Supervised:
    """Members of one `shoal up`."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.cluster = RunningCluster(list(workers))

    def bring_back(self, victim: Server) -> None:
        eventually(lambda: victim.run("PING"), f"{victim!r} is back", timeout=DEADLINE)


@contextmanager
def supervised(node_timeout: int) -> Iterator[Subject]:
    first, other = lease_consecutive(MEMBERS), lease_port()
    with tempfile.TemporaryDirectory(prefix="shoal-up-") as directory, ExitStack() as stack:
        for port in (*range(first, first + MEMBERS), other):
            stack.callback(release_port, port)
        settings = ("--", "--cluster-node-timeout", str(node_timeout))
        up = RunningUp(Path(directory) / "data", first, other, *settings)
        stack.callback(up.close)
        up.start(*up.first_port_options)
        workers = [Worker(up, port) for port in range(first, first + MEMBERS)]
        for worker in workers:
            stack.callback(worker.close)
        yield Supervised(workers)


@contextmanager
def unattended(kind: str, node_timeout: int) -> Iterator[Subject]:
    with stage(Plan(cluster=kind, node_timeout=node_timeout)) as running:
        yield Unattended(running)


def measure(
    kills: int, node_timeout: int, seed: int, tell: Callable[[str], None] = lambda text: None
) -> dict[str, list[float]]:
    """The seconds of each kill, for each subject."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        subjects: dict[str, Subject] = {
            "shoal up": stack.enter_context(supervised(node_timeout)),
            "shoal": stack.enter_context(unattended("shoal", node_timeout)),
            "valkey": stack.enter_context(unattended("valkey", node_timeout)),
        }
        times: dict[str, list[float]] = {name: [] for name in subjects}
        last_kills = dict.fromkeys(subjects, 0.0)
        calm = CALM * node_timeout / 1000
        for number in range(kills):
            for name, subject in subjects.items():
                time.sleep(max(0.0, last_kills[name] + calm - time.monotonic()))
                times[name].append(one_kill(subject, chance))
                last_kills[name] = time.monotonic()
                tell(f"kill {number + 1}, {name}: {times[name][-1]:.2f} s")
    return times


def one_kill(subject: Subject, chance: random.Random) -> float:
    """Seconds until every slot accepts writes again; returns when the cluster is whole."""
    cluster = subject.cluster
    eventually(cluster.is_settled, "the cluster is whole", timeout=DEADLINE)
    with Prober([(node.host, node.port) for node in cluster.nodes], KEYS, EVERY) as prober:
        prober.wait_served(time.monotonic(), timeout=DEADLINE)
        victim = chance.choice(cluster.primaries)
        time.sleep(chance.uniform(0, 0.5))  # at any moment between two heartbeats
        if isinstance(victim, Worker):
            victim.find()
        killed_at = time.monotonic()
        victim.kill()
        dead_at = time.monotonic()
        subject.bring_back(victim)
        eventually(cluster.is_settled, "the cluster is whole", timeout=DEADLINE)
        prober.wait_served(time.monotonic(), timeout=DEADLINE)
        return prober.recovered(dead_at, time.monotonic()) - killed_at


def rows(times: dict[str, list[float]]) -> list[tuple[object, ...]]:
    return [
        (name, len(each), statistics.median(each), nearest_rank(each, 0.99), max(each))
        for name, each in times.items()
    ]
