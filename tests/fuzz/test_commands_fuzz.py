"""Random stories of commands to our worker and to the real servers: every reply must be the same.

A story is some 400 commands of all types on few keys, with wrong types, wrong numbers of arguments, numbers
at every boundary, inside MULTI and scripts, in both protocols (`stories.py`). `verdict.py` says what "the
same" is where no order is promised, `explained.py` which differences have a reason. A story that fails is
shortened and printed as a script for tests/compat, with its seed.

A run is so many commands from a random seed. Longer, and again from the same:

    SHOAL_FUZZ_COMMANDS=1000000 SHOAL_FUZZ_SEED=1 pytest tests/fuzz/test_commands_fuzz.py
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest

from node.commands.docs.syntax import Argument
from tests.fuzz.duel import Duel, Silence, shared_commands, tell
from tests.fuzz.requests import NOT_IN_REDIS, NOT_IN_VALKEY, Requests, rows
from tests.fuzz.stories import story
from tests.fuzz.words import Words
from tests.harness.servers import Oracle, ShoalNode

OTHERWISE_IN_VALKEY = {
    "getex",
    "hexpire", "hexpireat", "hexpiretime", "hgetdel", "hgetex", "hpersist", "hpexpire", "hpexpireat",
    "hpexpiretime", "hpttl", "hsetex", "httl",
}  # fmt: skip
"""Valkey has its own ideas of fields that expire, and GETEX judges its options before it looks for the key;
ours are those of Redis."""

COMMANDS = int(os.environ.get("SHOAL_FUZZ_COMMANDS", 12_000))
SEED = int(os.environ.get("SHOAL_FUZZ_SEED", random.randrange(1 << 40)))


@pytest.mark.timeout(120 + COMMANDS // 500)
@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_every_reply_is_that_of_the_oracle(kind: str, report: Callable[[str], None]) -> None:
    without = NOT_IN_VALKEY if kind == "valkey" else NOT_IN_REDIS
    sent, seed = 0, SEED
    with ShoalNode() as ours, Oracle(kind) as theirs:
        names = shared_commands(ours, theirs)
        if kind == "valkey":
            names -= OTHERWISE_IN_VALKEY
        duel = Duel(ours, theirs)
        while sent < COMMANDS:
            told = story(seed, names, without)
            try:
                found = duel.fight(told)
            except Silence as silence:
                pytest.fail(f"seed {seed}: {silence}")
            if found is not None:
                found = duel.shorten(told, found)
                pytest.fail(tell(told, found, f"seed {seed}, {sent} commands were answered alike before"))
            sent += len(told.commands)
            seed += 1
    report(f"{sent} commands answered as {kind} does, seeds {SEED}..{seed - 1}")


def tokens_of(arguments: list[Argument]) -> set[str]:
    found = {argument["token"] for argument in arguments if argument.get("token")}
    return found.union(*(tokens_of(argument.get("arguments", [])) for argument in arguments))


def test_every_option_of_every_command_comes_up() -> None:
    """Of all that are executed, as COMMAND DOCS tells them."""
    requests = Requests(frozenset(rows()), Words(random.Random(1)))
    for row in requests.executable:
        wanted = tokens_of(row.arguments)
        for _ in range(800):
            if not wanted:
                break
            wanted -= {word.decode("latin-1").upper() for word in requests.request(row)}
        assert not wanted, f"{row.name}: {wanted} never came up"


def test_the_same_seed_tells_the_same_story() -> None:
    names = frozenset(rows())
    assert story(7, names) == story(7, names)
    assert story(7, names) != story(8, names)
