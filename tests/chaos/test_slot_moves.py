"""Harm at random moments of a move of whole slots, while clients write.

`shoal reshard` moves hundreds of slots to and fro between two workers, and in each round something happens
along the way: source, target, one of their replicas or the program itself is killed (kill -9; workers start
again from their append-only files), or the network between source and target is cut for a while. The plan is
then gone on with until it is done. Afterwards every slot has one owner, its keys are there and nowhere else,
and every acknowledged write is among them.

The long form is `SHOAL_MOVE_ROUNDS=50 pytest tests/chaos/test_slot_moves.py`; with SHOAL_MOVE_CLASSIC=1 keys
move one by one instead. The seed is printed, and SHOAL_MOVE_SEED repeats it.
"""

from __future__ import annotations

import functools
import os
import random
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from cluster.operations.journals import Journal, all_journals
from cluster.plans.journal import End
from cluster.slot_tags import tag_of
from tests.chaos.clients import PATIENT
from tests.chaos.load import ThreadLoad
from tests.chaos.stage import Plan, Stage, stage
from tests.harness.clusters import RunningCluster
from tests.harness.servers import Server
from tests.harness.shoal_command import forked_shoal, shoal
from tests.harness.slot_moves import ENDED, jobs
from tests.harness.wait import eventually

ROUNDS = int(os.environ.get("SHOAL_MOVE_ROUNDS", "10"))
SEED = int(os.environ.get("SHOAL_MOVE_SEED", str(random.randrange(1 << 32))))
CLASSIC = ["--classic"] if os.environ.get("SHOAL_MOVE_CLASSIC", "") not in ("", "0") else []
SLOTS = range(300)
KEYS_OF_A_SLOT = 20
LONGEST = 0.2
"""Seconds within which the harm is done: a move takes about half of that here."""
CUT_SECONDS = 0.6
DEADLINE = 60.0

HARMS = ("source", "target", "program", "network", "source's replica", "target's replica")


class Moves:
    """One plan after another between the first two shards."""

    def __init__(self, cluster: Stage, directory: Path, chance: random.Random) -> None:
        self.stage = cluster
        self.first, self.second = (shard[0] for shard in cluster.shards)
        self.replicas = {shard[0]: shard[1] for shard in cluster.shards}
        self.directory = directory
        self.chance = chance

    def owner(self) -> Server:
        """Who owns the slots that move: one, once a member that was killed has heard what became of them."""
        eventually(lambda: len(self.claimants()) == 1, lambda: f"one owns them: {self.claimants()}")
        return self.claimants()[0]

    def claimants(self) -> list[Server]:
        """Who says that the slots are its own."""
        return [
            node
            for node in (self.first, self.second)
            if any(
                first <= SLOTS[0] and SLOTS[-1] <= last
                for first, last in self.stage.cluster.line_of(node).slots
            )
        ]

    def one_round(self, harm: str) -> None:
        """Begin a plan, do harm, and see it through."""
        owner = self.owner()
        other = self.second if owner is self.first else self.first
        before = {journal.path for journal in self.journals()}
        program = self.begin(owner, other)
        try:
            eventually(lambda: program.exitcode is not None or is_giving(owner), "the move begins")
            time.sleep(LONGEST * self.chance.random() ** 2)  # the moment is what chance decides
            self.do_harm(harm, owner, other, program)
            program.join(DEADLINE)
        finally:
            program.kill()
            program.join()
        (journal,) = (each for each in self.journals() if each.path not in before)
        if journal.plan.end is None:
            shoal("migrations", "resume", journal.plan.id, "--journal", self.directory)
        assert journal.reread().end is End.DONE
        assert self.owner() is other

    def journals(self) -> list[Journal]:
        return list(all_journals(self.directory))

    def begin(self, owner: Server, other: Server) -> BaseProcess:
        ends = [self.stage.cluster.id_of(node) for node in (owner, other)]
        return forked_shoal(
            "reshard", other.address, "--from", ends[0], "--to", ends[1], "--yes",
            "--slots", len(SLOTS), "--journal", self.directory, *CLASSIC,
        )  # fmt: skip

    def do_harm(self, harm: str, owner: Server, other: Server, program: BaseProcess) -> None:
        if harm == "program":
            program.kill()
            return
        if harm == "network":
            cutter = self.stage.cutter
            assert cutter is not None
            ends = (cutter.number_of(owner), cutter.number_of(other))
            cutter.set([ends, ends[::-1]], self.chance.choice(("cut", "silence")))
            time.sleep(CUT_SECONDS)
            cutter.heal()
            return
        victim = owner if "source" in harm else other
        if "replica" in harm:
            victim = self.replicas[victim]
        victim.kill()
        victim.start()

    def check(self, told: str) -> None:
        """Each slot's keys are at its owner's, and nowhere else; replicas have what their primaries have."""
        owner = self.owner()
        other = self.second if owner is self.first else self.first
        self.stage.wait_whole(DEADLINE)
        for node in (other, self.replicas[other]):
            eventually(
                lambda node=node: not any(keys_of(node)),
                lambda node=node: f"{told}: nothing is left at {node!r}: {keys_of(node)}",
            )
        for node in (owner, self.replicas[owner]):
            eventually(
                lambda node=node: min(keys_of(node)) >= KEYS_OF_A_SLOT,
                lambda node=node: f"{told}: all is at {node!r}: {keys_of(node)}",
            )


def is_giving(node: Server) -> bool:
    """Whether slots are on their way from it."""
    migrating = any("->-" in word for word in RunningCluster([node]).line_of(node).open_slots)
    return migrating or any(job[b"state"] not in ENDED for job in jobs(node))


def keys_of(node: Server) -> list[int]:
    """How many keys it holds of each of the slots."""
    with node.client() as client:
        pipe = client.pipeline(transaction=False)
        for slot in SLOTS:
            pipe.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot)
        return list(pipe.execute())


@pytest.mark.timeout(120 + 30 * ROUNDS)
def test_harm_on_the_way_loses_and_doubles_nothing(tmp_path: Path, report: Callable[[str], None]) -> None:
    report(f"SHOAL_MOVE_SEED={SEED}")
    chance = random.Random(SEED)
    keys = [f"{{{tag_of(slot).decode()}}}{i}" for slot in SLOTS for i in range(KEYS_OF_A_SLOT)]
    with stage(Plan(shards=2, node_timeout=3000, cuts=True, append_only=True)) as cluster:
        moves = Moves(cluster, tmp_path, chance)
        with moves.first.client() as client:
            ballast = client.pipeline(transaction=False)
            for key in keys:
                ballast.set(f"{key}:ballast", "b" * 50)
            ballast.execute()
        connect = functools.partial(cluster.connect, PATIENT)
        with ThreadLoad(connect, workers=2, keys=keys[::7], seed=SEED) as load:
            load.wait_for(200)
            order = chance.sample(HARMS, len(HARMS))
            for number in range(ROUNDS):
                harm = order[number % len(order)]
                moves.one_round(harm)
                told = f"round {number}, {harm}"
                assert not load.broken, (told, load.broken)
                moves.check(told)
                assert load.losses == [], told
        assert load.losses == []
        with moves.owner().client() as client:
            found = client.exists(*(f"{{{tag_of(0).decode()}}}{i}:ballast" for i in range(KEYS_OF_A_SLOT)))
        assert found == KEYS_OF_A_SLOT
