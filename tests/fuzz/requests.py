"""Single commands at random, made from the syntax that COMMAND DOCS tells of.

`Requests(names, words)` knows each command as the tree of its arguments (`node/commands/docs`): every option,
every branch of a choice, every repetition is taken with some probability, so that all tokens of all commands
come up, in any order that fits, and a count such as numkeys mostly says how many follow. Then, now and then,
a word is lost, added, replaced or moved, or the number of arguments is wrong.

What a command does to its server or connection, or what no two servers answer alike, is not executed:
those commands appear with a wrong number of arguments only (`Row.executable`).
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable
from typing import NamedTuple

from node.commands import every
from node.commands.docs import find as find_texts
from node.commands.docs.syntax import Argument
from tests.fuzz.words import Words, by_member

DATA_GROUPS = {
    "string", "bitmap", "hash", "list", "set", "sorted-set", "stream", "geo", "hyperloglog", "generic",
}  # fmt: skip
NOT_EXECUTED = {"migrate", "wait", "waitaof", "pfselftest", "object|help", "xgroup|help", "xinfo|help"}
ALSO_EXECUTED = {"echo", "ping", "dbsize", "publish", "spublish", "unwatch"}
MAKERS = (
    "set", "mset", "append", "setrange", "setbit", "hset", "hset", "rpush", "lpush", "sadd", "sadd", "zadd",
    "zadd", "xadd", "xadd", "xgroup|create", "xreadgroup", "pfadd", "geoadd", "linsert", "incrby", "expire",
)  # fmt: skip
"""Commands that make data for the others to work on; they come often, and often with many members."""

SOON_MS = 60_000

NOT_IN_REDIS = {"BYPOLYGON", "IFEQ", "NOSCORES", "key-condition"}
"""Options of Valkey that Redis 8.2 has not; the last is NX or XX of HSETEX."""

NOT_IN_VALKEY = {
    "KEEPREF",
    "DELREF",
    "ACKED",
    "DIFF",
    "DIFF1",
    "ANDOR",
    "ONE",
    "0x10",
    "0x1p4",
    "-0x.8p1",
    "WEIGHTS",
    "-0",
    "ENTRIESREAD",
    "STORE",
}
"""Options and spellings of numbers that Valkey has not, or understands differently: zeros with a sign,
groups that claim to have read more than there is, SORT of empty strings."""

NOT_SPOILT = {"srandmember", "hrandfield", "zrandmember", "lset"}
"""Commands in which a stray number could ask for billions of members, or be cut to 32 bits by Redis."""

SLIPS = 0.07
FEW = (1, 1, 2, 2, 3)
COUNTS = {"numkeys": FEW, "numfields": FEW, "numids": FEW, "num-vertices": (2, 3, 3, 4, 6)}
"""Arguments that say how many others follow."""

LONELY = ("nosuchcommand", "ge\x00t", "", "object nosuch", "xinfo nosuch x", "xgroup nosuch", "config nosuch")


class Row(NamedTuple):
    """A command as the generator sees it: its words (with the subcommand's), group, arity, argument tree."""

    name: str
    group: str
    arity: int
    arguments: list[Argument]
    executable: bool

    @property
    def words(self) -> list[bytes]:
        return self.name.encode().split(b"|")


@functools.cache
def rows() -> dict[str, Row]:
    made = {}
    for command in every():
        executable = command.group in DATA_GROUPS or command.name in ALSO_EXECUTED
        executable = executable and command.name not in NOT_EXECUTED and not command.subcommands
        try:
            arguments = find_texts(command.name).arguments
        except KeyError:
            arguments, executable = [], False
        made[command.name] = Row(command.name, command.group, command.arity, arguments, executable)
    return made


def expires_soon(argv: list[bytes]) -> bool:
    """Whether it may give something a few milliseconds, so that two servers need not see the same."""
    name = argv[0].lower()
    at = [2] if name in (b"psetex", b"pexpire", b"hpexpire") else []
    at += [place + 1 for place, word in enumerate(argv) if word.upper() == b"PX"]
    return any(argv[place].isdigit() and 0 < int(argv[place]) < SOON_MS for place in at if place < len(argv))


class Blank(NamedTuple):
    """A word still to be drawn, when all options are known."""

    name: str
    kind: str


Part = bytes | Blank


class Requests:
    """Random requests out of the commands `names` (in lower case, subcommands as `container|sub`).

    `without` are tokens, and names of arguments, that the servers do not both know.
    """

    def __init__(self, names: Collection[str], words: Words, without: Collection[str] = ()) -> None:
        self.words = words
        self.chance = words.chance
        self.without = without
        known = [row for row in rows().values() if row.name in names]
        self.executable = [row for row in known if row.executable]
        self.others = [row for row in known if not row.executable]
        self.makers = [rows()[name] for name in MAKERS]
        self.count: int | None = None
        self.tokens: set[bytes] = set()
        self.many = False

    def next(self) -> list[bytes]:
        pick = self.chance.random()
        if pick < 0.30:
            return self.request(self.chance.choice(self.makers), many=self.chance.random() < 0.05)
        if pick < 0.98:
            return self.request(self.chance.choice(self.executable))
        return self.wrong_number()

    def request(self, row: Row, many: bool = False) -> list[bytes]:
        self.many = many
        self.count = None
        self.tokens = set()
        planned = self._sequence(row.arguments)
        tokens = frozenset(self.tokens)
        argv = row.words
        for word in planned:
            filled = isinstance(word, Blank)
            argv.append(
                self.words.draw(row.name, row.group, word.name, word.kind, tokens) if filled else word
            )
        spoilt = (
            self.chance.random() < SLIPS and row.name not in NOT_SPOILT and not by_member(row.name, tokens)
        )
        if not spoilt:
            return argv
        slipped = self._slip([*argv], len(row.words))
        return argv if expires_soon(slipped) else slipped

    def wrong_number(self) -> list[bytes]:
        """Too few arguments, or too many for a command with a fixed number, or no command at all."""
        if self.chance.random() < 0.05:
            return [word.encode() for word in self.chance.choice(LONELY).split(" ")]
        row = self.chance.choice(self.others if self.chance.random() < 0.5 else self.executable)
        fewest = abs(row.arity)
        short = len(row.words) < fewest and (row.arity < 0 or self.chance.random() < 0.7)
        if not short and row.arity < 0:
            return [b"nosuchcommand", row.words[0]]
        argc = (
            self.chance.randrange(len(row.words), fewest) if short else fewest + self.chance.randrange(1, 3)
        )
        return [*row.words, *(self.words.member() for _ in range(argc - len(row.words)))]

    # the tree of arguments

    def _sequence(self, arguments: Iterable[Argument]) -> list[Part]:
        """Arguments in their order, but for neighbouring options, which may come in any."""
        made: list[Part] = []
        options: list[list[Part]] = []
        for argument in arguments:
            if "optional" in argument.get("flags", ()):
                if self._wanted(argument):
                    options.append(self._repeated(argument))
                continue
            made += self._shuffled(options)
            options = []
            made += self._repeated(argument)
        return made + self._shuffled(options)

    def _wanted(self, argument: Argument) -> bool:
        if self.chance.random() >= 0.4 or argument["name"] in self.without:
            return False
        arms = argument.get("arguments") if argument["type"] == "oneof" else None
        return any(map(self._is_known, arms)) if arms else self._is_known(argument)

    def _is_known(self, argument: Argument) -> bool:
        """To both servers; a block is known by the word that begins it."""
        begin = argument["arguments"][0] if argument["type"] == "block" else argument
        return begin.get("token") not in self.without

    def _shuffled(self, options: list[list[Part]]) -> list[Part]:
        if len(options) > 1 and self.chance.random() < 0.5:
            self.chance.shuffle(options)
        return [word for option in options for word in option]

    def _repeated(self, argument: Argument) -> list[Part]:
        flags = argument.get("flags", ())
        if "multiple" not in flags:
            return [*self._token(argument), *self._once(argument)]
        each_token = "multiple_token" in flags
        made: list[Part] = [] if each_token else self._token(argument)
        for _ in range(self._times()):
            made += [*(self._token(argument) if each_token else ()), *self._once(argument)]
        return made

    def _times(self) -> int:
        if self.count is not None:
            return self.count
        if self.many:
            return self.chance.choice((20, 40, 140))
        return self.chance.choice((1, 1, 1, 2, 2, 3, 5))

    def _token(self, argument: Argument) -> list[Part]:
        token = argument.get("token")
        if token is None or argument["type"] == "pure-token":
            return []
        return [self._spelled(token.encode())]

    def _spelled(self, token: bytes) -> bytes:
        self.tokens.add(token)
        return token.lower() if self.chance.random() < 0.3 else token

    def _once(self, argument: Argument) -> list[Part]:
        kind, name = argument["type"], argument["name"]
        if kind == "pure-token":
            token = argument["token"].encode()
            return [self._spelled(token)] if token else [b""]
        if kind == "oneof":
            return self._repeated(
                self.chance.choice([arm for arm in argument["arguments"] if self._is_known(arm)])
            )
        if kind == "block":
            if name == "streams":
                self.count = self.chance.choice((1, 1, 2))
            return self._sequence(argument["arguments"])
        if name in COUNTS:
            self.count = self.chance.choice(COUNTS[name])
            return [b"%d" % self.count if self.chance.random() < 0.95 else self.words.integer()]
        return [Blank(name, kind)]

    # what a careless client does

    def _slip(self, argv: list[bytes], first: int) -> list[bytes]:
        place = self.chance.randrange(first, len(argv) + 1)
        kind = self.chance.randrange(5)
        if kind == 0 and place < len(argv):
            del argv[place]
        elif kind == 1:
            argv.insert(place, self.words.anything())
        elif kind == 2 and place < len(argv):
            argv[place] = self.words.anything()
        elif kind == 3 and place < len(argv):
            argv.append(argv.pop(place))
        elif place < len(argv):
            argv.append(argv[place])
        return argv
