"""Sequences of commands: what fuzzing sends to two servers, and can send again from its seed.

A story is a list of units, each a few commands that stay together when a story is shortened: a command, a
transaction, a command inside a script, a command with an outcome left to chance and the DEL that makes both
servers agree again. Before the units stand settings, so that small collections change their encoding early;
after them questions about the state that the story led to (`questions`).
"""

from __future__ import annotations

import random
from collections.abc import Collection
from typing import NamedTuple

from node.commands import find
from tests.fuzz.requests import Requests
from tests.fuzz.words import KEYS, LEX_KEYS, Words

Argv = list[bytes]
Unit = list[Argv]

UNITS = 400
"""Units of one story; about as many commands."""

SETTINGS = {
    b"hash-max-listpack-entries": b"128",
    b"hash-max-listpack-value": b"64",
    b"list-max-listpack-size": b"-2",
    b"set-max-intset-entries": b"512",
    b"set-max-listpack-entries": b"128",
    b"set-max-listpack-value": b"64",
    b"zset-max-listpack-entries": b"128",
    b"zset-max-listpack-value": b"64",
    b"stream-node-max-entries": b"100",
    b"hll-sparse-max-bytes": b"3000",
}
"""What stories change, and its defaults."""

DEFAULTS = [[b"CONFIG", b"SET", *(word for setting in SETTINGS.items() for word in setting)]]
CHOICES = {
    b"list-max-listpack-size": (b"-2", b"4", b"-1", b"1"),
    b"stream-node-max-entries": (b"100", b"3", b"0"),
    b"hll-sparse-max-bytes": (b"3000", b"100", b"0"),
}
USUAL = (b"8", b"64", b"128", b"3", b"0")

SET_STORES = {"sunionstore", "sinterstore", "sdiffstore"}
"""Not for stories in which a full intset is smaller than a full listpack: it becomes a hashtable by a number,
a listpack by a text, so that the encoding depends on what came first out of a set."""

MEETING = [b"SCAN", b"0", b"COUNT", b"1000000"]
"""Drops every key that has expired: until one is met it counts, and servers differ in what meets it."""

HUGE = 1 << 24

SCRIPTS = (
    b"return redis.call(unpack(ARGV))",
    b"return redis.pcall(unpack(ARGV))",
    b"redis.setresp(3); return redis.call(unpack(ARGV))",
    b"redis.setresp(3); return redis.pcall(unpack(ARGV))",
    b"local made = redis.pcall(unpack(ARGV)); return {made, made, {ok=type(made)}}",
)


class Story(NamedTuple):
    protocol: int
    units: list[Unit]

    @property
    def commands(self) -> list[Argv]:
        return [argv for unit in self.units for argv in unit]


def story(seed: int, names: Collection[str], without: Collection[str] = (), units: int = UNITS) -> Story:
    """The story of a seed, out of the commands `names`, without the words `without`."""
    chance = random.Random(seed)
    words = Words(chance, {token.encode() for token in without})
    made = settings(chance)
    chosen = {argv[2]: argv[3] for (argv,) in made}
    if int(chosen[b"set-max-intset-entries"]) < int(chosen[b"set-max-listpack-entries"]):
        names = set(names) - SET_STORES
    requests = Requests(names, words, without)
    made += [unit(requests, chance) for _ in range(units)]
    return Story(chance.choice((2, 3)), made)


def settings(chance: random.Random) -> list[Unit]:
    made = [[[b"CONFIG", b"SET", b"proto-max-bulk-len", b"1mb"]]]
    for name in SETTINGS:
        made.append([[b"CONFIG", b"SET", name, chance.choice(CHOICES.get(name, USUAL))]])
    return made


def unit(requests: Requests, chance: random.Random) -> Unit:
    pick = chance.random()
    if pick < 0.05:
        return transaction(requests, chance)
    if pick < 0.06:
        return [evenly_scored(requests.words)]
    argv = drawn(requests)
    if pick < 0.12 or (pick < 0.6 and blocks(argv)):
        return settled(in_script(argv, chance), argv)
    if blocks(argv):
        return [[b"MULTI"], argv, [b"EXEC"]]
    return settled(argv, argv)


def drawn(requests: Requests) -> Argv:
    """A request; SORT gets no LIMIT where it GETs: nobody promises which of equal weights a limit leaves out,
    and counters tell which keys were looked up."""
    argv = requests.next()
    upper = [word.upper() for word in argv]
    if upper[:1] in ([b"SORT"], [b"SORT_RO"]) and b"GET" in upper and b"LIMIT" in upper:
        at = upper.index(b"LIMIT")
        del argv[at : at + 3]
    return argv


def evenly_scored(words: Words) -> Argv:
    """A sorted set for ranges of members; sometimes something else in its place."""
    key = words.chance.choice(LEX_KEYS)
    if words.chance.random() < 0.1:
        return [b"SET", key, b"a string"]
    pairs = [word for _ in range(words.chance.choice((1, 5, 30))) for word in (b"0", words.member())]
    return [b"ZADD", key, *pairs]


def transaction(requests: Requests, chance: random.Random) -> Unit:
    watched = [[b"WATCH", requests.words.key("")]] if chance.random() < 0.3 else []
    inside: Unit = []
    for _ in range(chance.randrange(1, 7)):
        argv = drawn(requests)
        if argv[:1] != [b"exec"]:  # with arguments it ends the transaction, and XREAD would wait
            inside += settled(argv, argv)
    return [*watched, [b"MULTI"], *inside, [b"DISCARD"] if chance.random() < 0.1 else [b"EXEC"]]


def in_script(argv: Argv, chance: random.Random) -> Argv:
    name = b"EVAL_RO" if chance.random() < 0.2 else b"EVAL"
    return [name, chance.choice(SCRIPTS), b"0", *argv]


def blocks(argv: Argv) -> bool:
    """Whether it could wait for data; then it is put where nothing waits."""
    command = find(argv)
    if command is None or "blocking" not in command.flags:
        return False
    return command.name not in ("xread", "xreadgroup") or any(word.upper() == b"BLOCK" for word in argv)


def settled(sent: Argv, argv: Argv) -> Unit:
    """`sent` (which is or holds `argv`), and what makes the servers equal again if it was left to chance."""
    name = argv[0].upper() if argv else b""
    if name == b"SPOP" and len(argv) > 1:
        return [sent, [b"DEL", argv[1]]]
    if name == b"SORT" and (store := value_after(argv, b"STORE")) is not None and sorts_by_numbers(argv):
        return [sent, [b"SET", store, b""], [b"DEL", store]]
    if name == b"XADD" and len(argv) > 1 and b"*" in argv:
        return [sent, [b"DEL", argv[1]]]
    if name == b"ZRANGESTORE" and len(argv) > 1 and (value_after(argv, b"LIMIT") or b"").startswith(b"-"):
        return [sent, [b"SET", argv[1], b""], [b"DEL", argv[1]]]  # which Valkey takes for 0
    if name == b"XAUTOCLAIM" and len(argv) > 1 and any(word.isdigit() and int(word) > HUGE for word in argv):
        return [sent, [b"DEL", argv[1]]]  # the machine may not have the memory: then no consumer is made
    if name == b"DBSIZE":
        return [MEETING, sent]
    return [sent]


def sorts_by_numbers(argv: Argv) -> bool:
    """Or by other keys: equal weights leave the order open, and Redis may see an error of a number before."""
    return value_after(argv, b"BY") is not None or all(word.upper() != b"ALPHA" for word in argv)


def value_after(argv: Argv, word: bytes) -> bytes | None:
    upper = [each.upper() for each in argv[:-1]]
    return argv[len(upper) - upper[::-1].index(word)] if word in upper else None


def questions() -> Unit:
    """What tells the whole state apart: every key's type, encoding, expiry, digest; counters of INFO."""
    made: Unit = [[b"INFO", b"stats", b"persistence", b"errorstats"]]
    for db in (b"1", b"2", b"15", b"0"):
        made += [[b"SELECT", db], MEETING, [b"DBSIZE"]]
    for key in KEYS:
        made += [
            [b"TYPE", key],
            [b"OBJECT", b"ENCODING", key],
            [b"PEXPIRETIME", key],
            [b"DEBUG", b"DIGEST-VALUE", key],
        ]
    made += [[b"XINFO", b"STREAM", key, b"FULL"] for key in (b"x1", b"x2")]
    return [*made, [b"DEBUG", b"DIGEST"]]
