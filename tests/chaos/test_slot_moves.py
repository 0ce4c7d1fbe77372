"""kill -9 at random moments of a move of whole slots, while clients write.

Hundreds of slots go to and fro between two workers, and in each round one of the two dies somewhere along the
way and starts again from its append-only file. Afterwards every slot has one owner, its keys are there and
nowhere else, and every acknowledged write is among them.

SHOAL_MOVE_ROUNDS=50 is the long form. The seed is printed, and SHOAL_MOVE_SEED repeats it.
"""

from __future__ import annotations

import functools
import os
import random
import time

import pytest

from cluster.slot_tags import tag_of
from tests.chaos.load import ThreadLoad
from tests.harness.servers import Server
from tests.harness.slot_moves import ENDED, OK, Pair, jobs, moving_pair
from tests.harness.wait import eventually

ROUNDS = int(os.environ.get("SHOAL_MOVE_ROUNDS", "6"))
SEED = int(os.environ.get("SHOAL_MOVE_SEED", str(random.randrange(1 << 32))))
SLOTS = range(300)
KEYS_OF_A_SLOT = 20
LONGEST = 0.2
"""Seconds within which the kill comes: a move takes about half of that here."""


@pytest.mark.timeout(120 + 20 * ROUNDS)
def test_a_death_on_the_way_loses_and_doubles_nothing() -> None:
    print(f"SHOAL_MOVE_SEED={SEED}")
    chance = random.Random(SEED)
    keys = [f"{{{tag_of(slot).decode()}}}{i}" for slot in SLOTS for i in range(KEYS_OF_A_SLOT)]
    with moving_pair("shoal", "shoal", appendonly="yes", node_timeout=1500) as pair:
        with pair.source.client() as client:
            ballast = client.pipeline(transaction=False)
            for key in keys:
                ballast.set(f"{key}:ballast", "b" * 50)
            ballast.execute()
        connect = functools.partial(pair.cluster.client, socket_timeout=3)
        with ThreadLoad(connect, workers=2, keys=keys[::7], seed=SEED) as load:
            load.wait_for(200)
            for number in range(ROUNDS):
                died = one_round(pair, chance)
                told = f"round {number}, {died!r} died"
                assert not load.broken, (told, load.broken)
                check_slots(pair, told)
        assert load.losses == []
        owner = owner_of_all(pair)
        with owner.client() as client:
            found = client.exists(*(f"{{{tag_of(0).decode()}}}{i}:ballast" for i in range(KEYS_OF_A_SLOT)))
        assert found == KEYS_OF_A_SLOT


def owner_of_all(pair: Pair) -> Server:
    """Who owns the slots that move; they must be one's."""
    owners = [
        node
        for node in (pair.source, pair.target)
        if any(first <= SLOTS[0] and SLOTS[-1] <= last for first, last in pair.cluster.line_of(node).slots)
    ]
    assert len(owners) == 1, owners
    return owners[0]


def one_round(pair: Pair, chance: random.Random) -> Server:
    """Begin a move and kill one of the two; returns whom, once both are at peace again."""
    owner = owner_of_all(pair)
    other = pair.target if owner is pair.source else pair.source
    target = pair.cluster.id_of(other)
    assert owner.run("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", SLOTS[0], SLOTS[-1], "NODE", target) == OK
    victim = chance.choice((owner, other))
    time.sleep(LONGEST * chance.random() ** 2)  # the moment is what chance decides
    victim.kill()
    victim.start()
    pair.cluster.wait_settled()
    for node in (owner, other):
        eventually(
            lambda node=node: all(job[b"state"] in ENDED for job in jobs(node)),
            lambda node=node: f"all moves end at {node!r}: {jobs(node)}",
            timeout=20,
        )
    return victim


def check_slots(pair: Pair, told: str) -> None:
    """Each slot's keys are at its owner's, and nowhere else."""
    owner = owner_of_all(pair)
    other = pair.target if owner is pair.source else pair.source

    def left_over() -> list[int]:
        with other.client() as client:
            pipe = client.pipeline(transaction=False)
            for slot in SLOTS:
                pipe.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot)
            return [slot for slot, keys in zip(SLOTS, pipe.execute(), strict=True) if keys]

    eventually(lambda: not left_over(), lambda: f"{told}: nothing is left at {other!r}: {left_over()}")
    for node in (owner, other):
        assert pair.cluster.line_of(node).open_slots == [], told
    with owner.client() as client:
        pipe = client.pipeline(transaction=False)
        for slot in SLOTS:
            pipe.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot)
        assert min(pipe.execute()) >= KEYS_OF_A_SLOT, told
