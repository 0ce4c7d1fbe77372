"""Virtual time, the members in it, and the verbs scenarios are written in.

A world is a heap of events and one seed: two runs with the same seed are the same to the last message. When
something is wrong, the assertion carries the seed and the last things that happened.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from itertools import count, pairwise

from cluster.slots import SLOT_COUNT
from tests.simulation.invariants import Agreement, Invariants
from tests.simulation.network import Network
from tests.simulation.simulated_member import IP, SimulatedMember

BIRTH = 1_700_000_000_000
NODE_TIMEOUT = 2000
FORMING = 60
"""Seconds that forming a cluster, and each step of it, may take."""


class World:
    def __init__(self, seed: int, node_timeout: int = NODE_TIMEOUT) -> None:
        self.seed = seed
        self.node_timeout = node_timeout
        self.random = random.Random(seed)
        self.now = BIRTH
        self.events: list[tuple[int, int, Callable[[], object]]] = []
        self.order = count()
        self.story: deque[str] = deque(maxlen=60)
        self.network = Network(self)
        self.invariants = Invariants()
        self._agreement = Agreement()
        self._laggard: SimulatedMember | None = None
        self.members: dict[str, SimulatedMember] = {}
        self.by_port: dict[int, SimulatedMember] = {}
        self.lost: dict[str, str] = {}
        """Ids that went with a disk → name."""
        print(f"seed {seed}")

    # --- time

    def at(self, time: int, event: Callable[[], object]) -> None:
        heapq.heappush(self.events, (time, next(self.order), event))

    def after(self, delay: int, event: Callable[[], object]) -> None:
        self.at(self.now + delay, event)

    def run(self, seconds: float) -> None:
        """Let this much time pass."""
        self._run_until(self.now + int(seconds * 1000), lambda: False)

    def until(self, condition: Callable[[], bool], what: str, within: float) -> float:
        """Let time pass until `condition` holds; returns how many seconds. Fails after `within` seconds."""
        start = self.now
        if not self._run_until(start + int(within * 1000), condition):
            raise AssertionError(self.report(f"not within {within} s: {what}"))
        return (self.now - start) / 1000

    def comes(self, condition: Callable[[], bool], within: float) -> bool:
        """Let time pass until `condition` holds, for `within` seconds at most; returns whether it does."""
        return self._run_until(self.now + int(within * 1000), condition)

    def _run_until(self, end: int, condition: Callable[[], bool]) -> bool:
        look_at = self.now
        while True:
            if self.now >= look_at:  # Conditions look at whole clusters: not after every message.
                if condition():
                    return True
                look_at = self.now + 20
            if not self.events or self.events[0][0] > end:
                self.now = end
                return condition()
            self.now, _, event = heapq.heappop(self.events)
            try:
                event()
            except Exception as error:
                raise AssertionError(self.report(repr(error))) from error

    def tell(self, text: str) -> None:
        self.story.append(f"{(self.now - BIRTH) / 1000:9.3f} {text}")

    def report(self, problem: str) -> str:
        return "\n".join([f"seed {self.seed}: {problem}", *self.story])

    # --- members

    def add_member(self, name: str, port: int | None = None) -> SimulatedMember:
        port = port or 7001 + len(self.members)
        member = self.make_member(name, port)
        self.members[name] = self.by_port[port] = member
        return member

    def make_member(self, name: str, port: int) -> SimulatedMember:
        return SimulatedMember(self, name, port, self.node_timeout)

    def __getitem__(self, name: str) -> SimulatedMember:
        return self.members[name]

    @property
    def living(self) -> list[SimulatedMember]:
        return [member for member in self.members.values() if member.alive]

    def command(self, name: str, command: str, *args: object) -> None:
        """`command(*args)` of a member's coordinator, e.g. `command("a", "failover", "force")`."""
        member = self.members[name]
        self.tell(f"--- {name}: {command} {' '.join(str(arg)[:60] for arg in args)}")
        member.run(member.life, lambda c, now: getattr(c, command)(*args, now))

    def id_of(self, name: str) -> str:
        return self.members[name].coordinator.myself.id

    def form(self, primaries: int, replicas: int, *, chain: bool = False, within: float = FORMING) -> float:
        """Make p0, p1, … share the slots, each with replicas p0r0, p0r1, …, as redis-cli does it.

        All are told to meet the first, or (`chain`) each the one before it. Returns how many seconds passed
        until everybody knew everybody.
        """
        names = [f"p{n}" for n in range(primaries)]
        for n, name in enumerate(names):
            self.add_member(name)
            share = range(SLOT_COUNT * n // primaries, SLOT_COUNT * (n + 1) // primaries)
            self.command(name, "add_slots", list(share))
            self.command(name, "set_config_epoch", n + 1)
        followers = [(f"{name}r{r}", name) for r in range(replicas) for name in names]
        for follower, _ in followers:
            self.add_member(follower)
        for friend, member in pairwise(list(self.members.values())):
            port = friend.settings.port if chain else 7001
            self.command(member.name, "meet", IP, port, port + 10000)
        known = self.until(self.all_are_known, "everybody knows everybody", within)
        for follower, primary in followers:
            self.command(follower, "replicate", self.id_of(primary))
        self.settle(within)
        self.until(lambda: all(self.members[name].link_up for name, _ in followers), "replicas in sync", 5)
        return known

    def all_are_known(self) -> bool:
        """Whether everybody knows everybody."""

        def knows_all(member: SimulatedMember) -> bool:
            nodes = member.coordinator.topology.nodes.values()
            return len(nodes) == len(self.members) and not any(node.in_handshake for node in nodes)

        return self.all_living(knows_all)

    def all_living(self, condition: Callable[[SimulatedMember], bool]) -> bool:
        """Whether it holds for all living members. Asked often, so it begins with whom it failed for last."""
        if self._laggard is not None and self._laggard.alive and not condition(self._laggard):
            return False
        self._laggard = next((member for member in self.living if not condition(member)), None)
        return self._laggard is None

    # --- faults

    def kill(self, name: str, *, power_cut: bool = False, disk_lost: bool = False) -> None:
        how = " by power cut" if power_cut else " and its disk" if disk_lost else ""
        self.tell(f"--- kill {name}{how}")
        if disk_lost:
            self.lost[self.id_of(name)] = name
        self.members[name].crash(power_cut=power_cut, disk_lost=disk_lost)

    def witness_death(self, name: str, to: str) -> None:
        """Somebody beside this member tells another one that its process has ended, be it true or not."""
        known = self.members[to].coordinator.topology.nodes
        if self.members[to].alive and to != name and self.id_of(name) in known:
            self.command(to, "witness_dead", self.id_of(name))

    def restart(self, name: str) -> None:
        self.tell(f"--- restart {name}")
        self.members[name].start()

    def partition(self, *groups: str) -> None:
        """Names in one group, separated by blanks, reach each other and nobody else."""
        self.tell(f"--- partition {' | '.join(groups)}")
        self.network.groups = [set(group.split()) for group in groups]

    def cut(self, *pairs: str) -> None:
        """Two names in each pair, separated by a blank, cannot reach each other from now on."""
        self.tell(f"--- cut {' | '.join(pairs)}")
        self.network.cuts |= {frozenset(pair.split()) for pair in pairs}

    def silence(self, *pairs: str) -> None:
        """Of two names, separated by a blank, the second does not hear the first any more."""
        self.tell(f"--- silence {' | '.join(pairs)}")
        self.network.one_way |= {(a, b) for a, b in map(str.split, pairs)}

    def heal(self) -> None:
        self.tell("--- heal")
        self.network.groups = []
        self.network.cuts = set()
        self.network.one_way = set()

    # --- what a scenario looks for

    def disagreement(self) -> str:
        return self._agreement.obstacle(self.living)

    def settle(self, within: float) -> float:
        """Wait until all living members agree that all is well; returns the seconds it took."""
        try:
            return self.until(lambda: not self.disagreement(), "all agree", within)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.disagreement()}") from None

    def is_primary(self, name: str) -> bool:
        member = self.members[name]
        return member.alive and member.coordinator.myself.is_primary

    def owns_slots(self, name: str) -> bool:
        return bool(self.members[name].coordinator.myself.slots)

    def serves(self, name: str) -> bool:
        """It would accept writes now."""
        member = self.members[name]
        return member.alive and self.is_primary(name) and self.owns_slots(name) and member.coordinator.ok

    def follows(self, name: str, primary: str) -> bool:
        of = self.members[name].coordinator.myself.primary
        return of is not None and of.id == self.id_of(primary)
