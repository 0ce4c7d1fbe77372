"""One run of the lab: a load, faults one after the other, and what the load has seen of them.

A *round* is one fault: the cluster is whole, the fault comes, lasts, goes, and the cluster is whole again.
Or it is several that overlap, each against another member, so that a majority may be missing, and a shard
without anybody who serves. But one round never takes the memory of two members of a shard: that may be all
copies of a write.

All that was seen is booked on the round in whose time it fell, from shortly before its fault (a write that a
fault undoes was acknowledged before it) to shortly before the next one's.

What must hold whatever happens is a `broken` promise of the run: after every fault the cluster becomes whole
again, every slot with one owner on whom all agree; nobody reads what nobody wrote; in the end replicas have
what their primaries have; no log of ours tells of a bug. Losses and stale reads are figures: asynchronous
replication has them. In the synchronous mode there may be none, and every register is linearizable.
"""

from __future__ import annotations

import bisect
import contextlib
import math
import random
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import redis

from tests.chaos.clients import IMPATIENT, PATIENT, Threads
from tests.chaos.faults import FAMILIES, LONG, Fault
from tests.chaos.linearizability import Operation
from tests.chaos.logs import Count, Logs
from tests.chaos.moves import moving
from tests.chaos.prober import Prober
from tests.chaos.registers import Registers, Verdict
from tests.chaos.stage import Plan, Stage, stage
from tests.harness.servers import Server
from tests.harness.wait import eventually

BEFORE = 0.5
"""Seconds before its fault that belong to a round."""
STAGGER = 0.5
"""Of the node timeout: how long the next of several faults in one round may wait at most."""
YIELD_DEADLINE = 40.0
HEAL_DEADLINE = 60.0
MOVED_SHARE = 0.5
"""Of the rounds, where slots are to move."""
SHOWN = 3
"""Examples of each breach in full."""

Harm = tuple[Fault, Server]


@dataclass(frozen=True)
class Orders:
    """What a run is to do: a fault of each of `families`, in that order, until `seconds` are over."""

    plan: Plan
    families: Iterable[str]
    seconds: float = math.inf
    moves: bool = False
    """Let slots move during some of the faults."""
    at_once: int = 1
    """Faults in one round."""
    writers: int = 8
    depth: int = 32
    """Entries in one pipeline of a writer: what may wait in the sockets of a frozen primary."""


@dataclass
class Round:
    kind: str
    victim: str
    began: float
    down: float = 0.0
    """Seconds in which not every slot accepted writes, from `began` on."""
    lost: int = 0
    stale: int = 0
    checked: int = 0
    """Registers whose last operation fell into it."""
    not_linearizable: int = 0


@dataclass
class Report:
    plan: Plan
    rounds: list[Round] = field(default_factory=list)
    acknowledged: int = 0
    operations: int = 0
    """On registers."""
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)
    """Promises of every mode that were not kept."""
    examples: list[str] = field(default_factory=list)
    """Of losses, stale reads and histories that are none of a register."""
    undecided: int = 0

    def total(self, name: str) -> int:
        return sum(getattr(each, name) for each in self.rounds)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was seen that the synchronous mode excludes."""
        wrong = self.total("lost") + self.total("stale") + self.total("not_linearizable")
        return not (self.broken or wrong or self.undecided)


def run(orders: Orders, tell: Callable[[str], None] = lambda text: None) -> Report:
    """Form the cluster, harm it as ordered, and judge. `tell` gets a line for each round."""
    report = Report(orders.plan)
    with stage(orders.plan) as running:
        lab = _Lab(running, orders, report)
        try:
            lab.harm(tell)
            lab.judge()
        except (AssertionError, OSError) as failure:
            logs = "\n".join(f"{node!r}: {node.log[-1500:]}" for node in running.nodes)
            report.broken.append(f"{failure}\n{logs}")
        report.broken += running.signs_of_bugs()
    return report


class _Lab:
    def __init__(self, running: Stage, orders: Orders, report: Report) -> None:
        self._stage = running
        self._orders = orders
        self._report = report
        self._chance = random.Random(orders.plan.seed)
        self._logs = Logs(orders.plan.seed, orders.depth)
        self._registers = Registers(orders.plan.seed)
        self._threads = Threads(running.connect)
        for patience in (IMPATIENT, PATIENT):
            self._logs.add_writers(self._threads, orders.writers // 2, patience)
            self._logs.add_readers(self._threads, 1, patience)
            self._registers.add_clients(self._threads, 2, patience)
        self._prober = Prober([running.address(node) for node in running.nodes])

    def harm(self, tell: Callable[[str], None]) -> None:
        """All rounds, under load."""
        started = time.monotonic()
        with self._prober, self._threads:
            self._prober.wait_served(started, timeout=20)
            time.sleep(BEFORE)  # some load before the first fault
            families = iter(self._orders.families)
            while names := list(islice(families, self._orders.at_once)):
                if time.monotonic() - started > self._orders.seconds:
                    break
                done = self._round([self._chance.choice(FAMILIES[name]) for name in names])
                tell(f"{done.kind} of {done.victim}: {done.down:.2f} s down")
                if self._threads.broken:
                    how = "".join(traceback.format_exception(self._threads.broken[0]))
                    raise AssertionError(f"a client ended: {how}")
        self._report.seconds = time.monotonic() - started

    def _round(self, faults: list[Fault]) -> Round:
        with contextlib.ExitStack() as stack:
            name, victims = " + ".join(fault.name for fault in faults), self._victims()
            if self._orders.moves and self._chance.random() < MOVED_SHARE:
                way, victims = stack.enter_context(moving(self._stage, self._chance))
                name += f", {way}"
                time.sleep(self._chance.uniform(0, 0.3))  # the moment is what chance decides
            harms = self._choose_victims(faults, self._chance.choice(victims))
            done = Round(name, ", ".join(repr(victim) for _, victim in harms), time.monotonic())
            self._report.rounds.append(done)
            if len(harms) == 1:
                self._harm_one(*harms[0])
            else:
                self._harm_several(harms)
            self._restart_dead()
        self._stage.wait_whole(HEAL_DEADLINE)
        self._prober.wait_served(time.monotonic(), timeout=HEAL_DEADLINE)
        done.down = self._prober.down(done.began, time.monotonic())
        time.sleep(self._chance.uniform(BEFORE, 2 * BEFORE))  # so that rounds do not overlap
        return done

    def _victims(self) -> Sequence[Server]:
        """Mostly a primary."""
        roles = self._stage.cluster.primaries, self._stage.cluster.replicas
        return self._chance.choices(roles, weights=(4, 1))[0] or roles[0]

    def _choose_victims(self, faults: list[Fault], first: Server) -> list[Harm]:
        """`first` for the first of the faults, and by chance for the others."""
        harms = [(faults[0], first)]
        for fault in faults[1:]:
            spared = {victim for _, victim in harms}
            if fault.forgets:
                spared.update(*(self._stage.shard_of(victim) for other, victim in harms if other.forgets))
            harms.append((fault, self._chance.choice([n for n in self._stage.nodes if n not in spared])))
        return harms

    def _harm_one(self, fault: Fault, victim: Server) -> None:
        with fault.context(self._stage, victim):
            time.sleep(fault.seconds(self._chance, self._stage.timeout))
            if fault.lasts is None:
                eventually(
                    lambda: self._stage.has_yielded(victim),
                    lambda: f"the slots of {victim!r} become another's; views:\n{self._stage.views()}",
                    timeout=YIELD_DEADLINE,
                )

    def _harm_several(self, harms: list[Harm]) -> None:
        """One begins after the other; the shorter ones end before. Nobody need be able to replace anybody."""
        timeout = self._stage.timeout
        timed = [(fault.seconds(self._chance, timeout, LONG), fault, victim) for fault, victim in harms]
        with contextlib.ExitStack() as longer:
            for seconds, fault, victim in sorted(timed, key=lambda each: each[0], reverse=True):
                time.sleep(self._chance.uniform(0, STAGGER * timeout))
                ends = time.monotonic() + seconds
                longer.enter_context(fault.context(self._stage, victim))
                longer.callback(_sleep_until, ends)

    def _restart_dead(self) -> None:
        """A member may have ended by itself, as for want of room for its file."""
        for node in self._stage.nodes:
            if not node.running:
                node.start()

    def judge(self) -> None:
        """After the load: read everything once more, and book what is wrong."""
        with self._stage.connect(PATIENT) as client:
            self._read_once_more(client)
            count = self._logs.count(client)
        self._report.acknowledged = count.acknowledged
        self._book_logs(count)
        for verdict in self._registers.verdicts():
            self._book_register(verdict)
        self._compare_replicas()

    def _read_once_more(self, client: redis.RedisCluster) -> None:
        for register in self._registers.all:
            self._report.operations += len(register.history)
            started = time.monotonic()
            found = client.get(register.key)
            value = None if found is None else int(found)  # type: ignore[arg-type]
            register.history.append(Operation(False, value, started, time.monotonic()))

    def _book_logs(self, count: Count) -> None:
        for event in count.lost:
            self._at(event.when).lost += 1
        for event in count.stale:
            self._at(event.when).stale += 1
        self._report.broken += [f"nobody wrote {event.what} of {event.key}" for event in count.unasked]
        for name, events in (("lost", count.lost), ("stale", count.stale)):
            for event in events[:SHOWN]:
                kind = self._at(event.when).kind
                self._report.examples.append(f"{name}: {event.key}, {event.what}, around a {kind}")

    def _book_register(self, verdict: Verdict) -> None:
        *history, _last = verdict.register.history
        ends = [operation.started for operation in history]
        there = self._at(max(ends, default=0.0))
        there.checked += 1
        if verdict.is_linearizable is None:
            self._report.undecided += 1
        elif not verdict.is_linearizable:
            there.not_linearizable += 1
            if self._report.total("not_linearizable") <= SHOWN:
                self._report.examples.append(f"not linearizable, around a {there.kind}: {verdict}")

    def _at(self, when: float) -> Round:
        """The round in which this moment fell."""
        begins = [each.began - BEFORE for each in self._report.rounds]
        return self._report.rounds[max(0, bisect.bisect_right(begins, when) - 1)]

    def _compare_replicas(self) -> None:
        """Every replica has as many keys as its primary, and the same ones where they can be compared."""
        cluster = self._stage.cluster
        for primary in cluster.primaries:
            for replica in cluster.replicas_of(primary):
                eventually(
                    lambda one=primary, other=replica: _digest(one) == _digest(other),
                    lambda one=primary, other=replica: f"{other!r} has the keys of {one!r}",
                )


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _digest(node: Server) -> tuple[object, object]:
    return node.run("DBSIZE"), node.run("DEBUG", "DIGEST")
