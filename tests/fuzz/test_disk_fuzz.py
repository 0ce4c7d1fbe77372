"""The stories of test_commands_fuzz.py to a worker whose keys leave memory whenever they can.

With a memory limit that nothing meets, every key is in the store only as soon as that has committed it, and
comes back for the next command that names it. So it is in every state that a key can be in, at any point of
a story. What a value is held in is not compared: one that comes back is held as one that was loaded, as
small as it can be.

    SHOAL_FUZZ_DISK_COMMANDS=100000 SHOAL_FUZZ_SEED=1 pytest tests/fuzz/test_disk_fuzz.py
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence

import pytest

from tests.fuzz.duel import Duel, shared_commands, tell
from tests.fuzz.requests import NOT_IN_REDIS
from tests.fuzz.stories import story
from tests.harness.servers import Oracle, ShoalNode

COMMANDS = int(os.environ.get("SHOAL_FUZZ_DISK_COMMANDS", 1_200))
SEED = int(os.environ.get("SHOAL_FUZZ_SEED", random.randrange(1 << 40)))

ASKS_FOR_FORM = {(b"OBJECT", b"ENCODING"), (b"DEBUG", b"OBJECT"), (b"MEMORY", b"USAGE")}


class DiskDuel(Duel):
    def __init__(self, ours: ShoalNode, theirs: Oracle) -> None:
        super().__init__(ours, theirs)
        usual = self.explained

        def explained(argv: Sequence[bytes], mine: bytes, other: bytes) -> bool:
            words = [word.upper() for word in argv]
            asked = any(name in words and part in words for name, part in ASKS_FOR_FORM)
            return asked or usual(argv, mine, other)

        self.explained = explained


@pytest.mark.timeout(120 + COMMANDS // 20)
def test_every_reply_is_that_of_the_oracle(report: Callable[[str], None]) -> None:
    sent, seed = 0, SEED
    with ShoalNode(storage_engine="disk", maxmemory=1) as ours, Oracle("redis") as theirs:
        names = shared_commands(ours, theirs)
        duel = DiskDuel(ours, theirs)
        while sent < COMMANDS:
            told = story(seed, names, NOT_IN_REDIS)
            found = duel.fight(told)
            if found is not None:
                found = duel.shorten(told, found)
                pytest.fail(tell(told, found, f"seed {seed}, {sent} commands were answered alike before"))
            sent += len(told.commands)
            seed += 1
    report(f"{sent} commands answered alike, seeds {SEED}..{seed - 1}")
