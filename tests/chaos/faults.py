"""What can happen to a member, and how long it lasts.

Each fault is a context: entered, it is there; left, it is gone. The lab decides when, and to whom. Lengths
are drawn from ranges in terms of cluster-node-timeout: what is short is over before anybody may act on it,
what is long goes on after others have.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from tests.chaos.stage import Stage
from tests.harness.cutter import OPEN
from tests.harness.servers import Server

SHORT = (0.2, 0.6)
LONG = (1.5, 3.0)

Context = Callable[[Stage, Server], AbstractContextManager[None]]


@dataclass(frozen=True)
class Fault:
    name: str
    context: Context
    lasts: tuple[float, float] | None
    """From, to: in terms of cluster-node-timeout. None: until the victim's slots are another's."""

    def seconds(
        self, chance: random.Random, timeout: float, otherwise: tuple[float, float] = (0.0, 0.0)
    ) -> float:
        """`otherwise`: what it lasts if that is not given."""
        return chance.uniform(*(self.lasts or otherwise)) * timeout

    @property
    def forgets(self) -> bool:
        """The victim loses its memory."""
        return self.context is killed


@contextmanager
def killed(stage: Stage, victim: Server) -> Iterator[None]:
    """kill -9, and started again; without an append-only file it comes back empty.

    Before others have noticed, that is (`bounce`), a primary of Redis' or Valkey's takes its replicas along.
    """
    victim.kill()
    yield
    victim.start()


@contextmanager
def frozen(stage: Stage, victim: Server) -> Iterator[None]:
    """SIGSTOP and SIGCONT: what clients send meanwhile waits in its sockets."""
    victim.pause()
    try:
        yield
    finally:
        victim.resume()


def cut(rule: str, inwards: bool = True, outwards: bool = True, clients: bool = False) -> Context:
    """The network between the victim and the other members, and the clients if wanted, is under `rule`."""

    @contextmanager
    def under_rule(stage: Stage, victim: Server) -> Iterator[None]:
        assert stage.cutter is not None, "there are no relays"
        directions = stage.cutter.around(victim, inwards, outwards)
        if clients:
            directions += stage.cutter.with_clients(victim)
        stage.cutter.set(directions, rule)
        try:
            yield
        finally:
            stage.cutter.set(directions, OPEN)

    return under_rule


@contextmanager
def full_disk(stage: Stage, victim: Server) -> Iterator[None]:
    """No byte more fits into the victim's directory."""
    filler = victim.directory / "filler"
    descriptor = os.open(filler, os.O_CREAT | os.O_WRONLY)
    try:
        with_room = True
        while with_room:
            try:
                os.write(descriptor, bytes(1 << 20))
            except OSError:
                with_room = False
        yield
    finally:
        os.close(descriptor)
        filler.unlink()


FAMILIES: dict[str, tuple[Fault, ...]] = {
    "kill": (Fault("kill", killed, None),),
    "bounce": (Fault("kill, back at once", killed, (0.0, 0.0)), Fault("kill, back soon", killed, SHORT)),
    "freeze": (Fault("freeze, short", frozen, SHORT), Fault("freeze, long", frozen, LONG)),
    "cut": (
        Fault("cut: alone", cut("silence", clients=True), LONG),
        Fault("cut: with clients", cut("silence"), LONG),
        Fault("cut: short", cut("silence", clients=True), SHORT),
        Fault("cut: reset", cut("cut"), LONG),
        Fault("cut: deaf", cut("silence", outwards=False), LONG),
        Fault("cut: mute", cut("silence", inwards=False), LONG),
        Fault("cut: slow", cut("delay:0.1"), LONG),
    ),
    "disk": (Fault("disk full", full_disk, (0.5, 2.0)),),
}
"""What `--faults` names → what may happen. `move` is none of these: it lets slots move meanwhile."""


def endless(names: Collection[str], seed: int) -> Iterator[str]:
    """Families of `names` by chance, for as long as somebody asks."""
    chance = random.Random(seed)
    while True:
        yield chance.choice(sorted(names))


def counted(counts: Mapping[str, int], seed: int) -> list[str]:
    """Each family so many times, in an order by chance."""
    families = [name for name, count in counts.items() for _ in range(count)]
    random.Random(seed).shuffle(families)
    return families
