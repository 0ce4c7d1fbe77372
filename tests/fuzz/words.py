"""The words of generated commands: few keys and members, so that commands meet, and numbers at every edge.

`Words(chance)` draws a word for an argument by the names that COMMAND DOCS gives it: its own, its type and
its command's, the most special first (`SPECIAL`, `BY_NAME`, `BY_TYPE`). Keys go by type: `h1` is mostly a
hash, now and then what a foreign command made of it.

Two limits keep a run short: offsets reach `proto-max-bulk-len` (which stories set to 1 MB) or lie absurdly
far beyond it, and what asks for random members is never asked for billions. Moments lie far off or in the
past, so that nothing expires while two servers are compared.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Collection

KEYS_OF_GROUP = {
    "string": (b"s1", b"s2", b"n1", b"n2", b"\x00\xff\r\n", b"w_1"),
    "bitmap": (b"b1", b"b2", b"s1", b"n1"),
    "hash": (b"h1", b"h2"),
    "list": (b"l1", b"l2"),
    "set": (b"t1", b"t2", b"t3"),
    "sorted-set": (b"z1", b"z2", b"z3"),
    "geo": (b"g1", b"g2"),
    "hyperloglog": (b"p1", b"p2", b"p3"),
    "stream": (b"x1", b"x2"),
}
LEX_KEYS = (b"y1", b"y2", b"y3")
"""Sorted sets whose scores are all 0, or nothing: of others, ranges of members have no defined outcome."""

STRANGE_KEYS = (b"", b"none", b"w_2", b"\xc3\xa9 key")
KEYS = tuple(sorted({key for keys in KEYS_OF_GROUP.values() for key in keys}.union(STRANGE_KEYS, LEX_KEYS)))
"""Every key that a story can touch."""

COMMON_KEYS = tuple(key for key in KEYS if key not in LEX_KEYS)

MEMBERS = (
    b"1", b"2", b"3", b"10", b"-7", b"a", b"b", b"c", b"f1", b"f2", b"", b"\x00\xff", b"3.5", b"1e3",
    b"abcdefghij" * 7,
)  # fmt: skip
EDGES = (
    b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"-9223372036854775809",
    b"2147483647", b"-2147483648", b"4294967296", b"18446744073709551615", b"18446744073709551616", b"01",
    b"+1", b" 1", b"1 ", b"", b"-", b"-0", b"0x10", b"1.5", b"1e3", b"x", b"1\x00", b"-1", b"0",
)  # fmt: skip
DOUBLE_EDGES = (
    b"inf", b"-inf", b"+inf", b"Infinity", b"nan", b"-nan", b"-0", b"0", b"0x1p4", b"-0x.8p1", b"1e5000",
    b"-1e5000", b"5e-324", b"2.2250738585072014e-308", b"1.7976931348623157e308", b"-1.7976931348623157e308",
    b".5", b"5.", b"1e", b"", b" 1", b"1 ", b"1_0", b"1e-7", b"1e21", b"123456789012345678", b"0.1", b"3.0e3",
    b"x", b"1,5", b"1\x00",
)  # fmt: skip
IDS = (
    b"0", b"0-0", b"0-1", b"5", b"5-*", b"-", b"+", b"$", b">", b"*", b"abc", b"1-1-1", b"1-", b"-1",
    b"(1-1", b"(5", b"(-", b"18446744073709551615", b"18446744073709551615-18446744073709551615",
    b"18446744073709551616-0", b"", b" 7-1", b"+8", b"9-1\x00",
)  # fmt: skip
PATTERNS = (
    b"*",
    b"?1",
    b"[a-h]1",
    b"h[12]",
    b"[^hs]*",
    b"\\*",
    b"s*",
    b"",
    b"*\xff*",
    b"[",
    b"w_*",
    b"1*",
    b"nothing",
)
SORT_PATTERNS = (b"w_*", b"#", b"nosort", b"h1->*", b"h*->f1", b"*", b"w_*->f1", b"s1", b"h1->", b"")
ENCODINGS = (
    b"u8",
    b"i8",
    b"u1",
    b"i1",
    b"u63",
    b"i64",
    b"u64",
    b"i65",
    b"u0",
    b"x8",
    b"",
    b"u",
    b"i16",
    b"u33",
    b"U8",
)
GROUPS = (b"G", b"H", b"nobody")
CONSUMERS = (b"C", b"D", b"\x00")
LEX_EDGES = (b"-", b"+", b"[a", b"(a", b"[", b"(", b"[c", b"(f1", b"[\x00", b"a", b"", b"[1")


class Words:
    """Draws words, none of `without`; `chance` alone decides them. `tick` numbers stream ids."""

    def __init__(self, chance: random.Random, without: Collection[bytes] = ()) -> None:
        self.chance = chance
        self.tick = 0
        self.doubles = [word for word in DOUBLE_EDGES if word not in without]
        self.edges = [word for word in EDGES if word not in without]

    def draw(self, command: str, group: str, name: str, kind: str, tokens: frozenset[bytes]) -> bytes:
        """One word for the argument `name` of type `kind` of a command that has these tokens so far."""
        if kind == "key":
            return self.chance.choice(LEX_KEYS) if by_member(command, tokens) else self.key(group)
        pool = SPECIAL.get((command, name)) or BY_NAME.get(name) or BY_TYPE[kind]
        if name in ("start", "stop", "min", "max") and group == "sorted-set" and kind == "string":
            pool = Words.lex if by_member(command, tokens) else pool
            pool = Words.range_score if b"BYSCORE" in tokens else pool
        return pool(self)

    def key(self, group: str) -> bytes:
        pick = self.chance.random()
        if pick < 0.85 and group in KEYS_OF_GROUP:
            return self.chance.choice(KEYS_OF_GROUP[group])
        return self.chance.choice(COMMON_KEYS)

    def anything(self) -> bytes:
        """A word that probably makes no sense where it is put."""
        pools = (
            self.edges,
            self.doubles,
            MEMBERS,
            IDS,
            PATTERNS,
            COMMON_KEYS,
            (b"NX", b"COUNT", b"limit", b"STORE", b"GET"),
        )
        return self.chance.choice(self.chance.choice(pools))

    # numbers

    def small(self) -> bytes:
        return b"%d" % self.chance.randrange(-12, 40)

    def integer(self) -> bytes:
        return self.small() if self.chance.random() < 0.8 else self.chance.choice(self.edges)

    def random_count(self) -> bytes:
        """How many random members: negative ones mean so many, with repetitions."""
        return self.chance.choice(
            (b"0", b"1", b"-1", b"2", b"-5", b"20", b"-20", b"9223372036854775807", b"x", b"1.5", b"")
        )

    def double(self) -> bytes:
        pick = self.chance.random()
        if pick < 0.4:
            return b"%d" % self.chance.randrange(-1000, 1000)
        if pick < 0.6:
            return b"%.3f" % self.chance.uniform(-1000, 1000)
        if pick < 0.75:
            return repr(struct.unpack("<d", self.chance.randbytes(8))[0]).encode()
        return self.chance.choice(self.doubles)

    def degrees(self) -> bytes:
        if self.chance.random() < 0.1:
            return self.chance.choice(
                (*self.doubles, b"180", b"-180", b"85.05112878", b"-85.05112878", b"90")
            )
        return b"%.7g" % self.chance.uniform(-80, 80)

    def distance(self) -> bytes:
        return b"%.4g" % (10 ** self.chance.uniform(-1, 8)) if self.chance.random() < 0.85 else self.double()

    def weight(self) -> bytes:
        return self.chance.choice(
            (b"1", b"2", b"0.5", b"1e10", b"0", b"-0", b"-1", b"inf", b"nan", b"x", b"", b"1e5000")
        )

    def range_score(self) -> bytes:
        exclusive = b"(" if self.chance.random() < 0.2 else b""
        return (
            exclusive
            + self.chance.choice((self.double, self.small, lambda: self.chance.choice((b"-inf", b"+inf"))))()
        )

    def offset(self) -> bytes:
        """Of bytes: near the beginning, or about where a string may not be longer."""
        if self.chance.random() < 0.85:
            return b"%d" % self.chance.randrange(0, 60)
        return self.chance.choice((*self.edges, b"1048570", b"1048576", b"1048575", b"536870912"))

    def bit_offset(self) -> bytes:
        if self.chance.random() < 0.9:
            return b"%d" % self.chance.randrange(0, 300)
        return self.chance.choice((*self.edges, b"8388607", b"8388608", b"4294967295", b"#9", b"#-1"))

    def field_offset(self) -> bytes:
        if self.chance.random() < 0.1:
            return self.chance.choice(
                (*self.edges, b"8388607", b"8388601", b"#1048575", b"#9223372036854775807", b"#", b"#x")
            )
        return self.chance.choice((b"", b"#")) + b"%d" % self.chance.randrange(0, 40)

    # time

    def relative(self) -> bytes:
        if self.chance.random() < 0.75:
            return b"%d" % self.chance.randrange(100_000, 9_000_000_000)  # no two alike, for GT and LT
        edges = (
            b"0",
            b"-1",
            b"9223372036854775807",
            b"-9223372036854775808",
            b"9223372036854775",
            b"x",
            b"",
            b"1.5",
            b"01",
        )
        return self.chance.choice(edges)

    def moment(self, *far: bytes) -> bytes:
        if self.chance.random() < 0.85:
            return self.chance.choice(far)
        return self.chance.choice(
            (b"1", b"0", b"-1", b"9223372036854775807", b"9223372036854775", b"x", b"", b"1e3")
        )

    def idle(self) -> bytes:
        return self.chance.choice((b"0", b"0", b"0", b"900000000", b"-1", b"x", b"", b"9223372036854775807"))

    def patience(self) -> bytes:
        """For commands that block, which stories put where nothing waits."""
        return self.chance.choice((b"0", b"0.001", b"1", b"2", *self.doubles))

    # texts

    def member(self) -> bytes:
        pick = self.chance.random()
        if pick < 0.75:
            return self.chance.choice(MEMBERS)
        if pick < 0.9:
            return b"%d" % self.chance.randrange(-20, 70)
        return self.chance.choice((*self.edges, self.chance.randbytes(self.chance.randrange(1, 90))))

    def value(self) -> bytes:
        pick = self.chance.random()
        if pick < 0.5:
            return self.member()
        if pick < 0.75:
            return self.integer()
        return self.double() if pick < 0.9 else self.chance.randbytes(self.chance.choice((3, 44, 45, 200)))

    def lex(self) -> bytes:
        if self.chance.random() < 0.7:
            return self.chance.choice(LEX_EDGES)
        return self.chance.choice((b"[", b"(")) + self.member()

    def stream_id(self) -> bytes:
        if self.chance.random() < 0.8:
            return b"%d-%d" % (self.chance.randrange(0, self.tick + 3), self.chance.randrange(0, 3))
        return self.chance.choice(IDS)

    def next_id(self) -> bytes:
        """For XADD: mostly later than all before."""
        if self.chance.random() < 0.85:
            self.tick += 1
            return b"%d-%b" % (self.tick, self.chance.choice((b"0", b"1", b"*", b"5")))
        return self.chance.choice(IDS)

    def read_id(self) -> bytes:
        return b">" if self.chance.random() < 0.7 else self.stream_id()

    def read_after(self) -> bytes:
        return b"0" if self.chance.random() < 0.4 else self.stream_id()

    def threshold(self) -> bytes:
        return b"%d" % self.chance.randrange(0, 30) if self.chance.random() < 0.8 else self.stream_id()

    def edge(self) -> bytes:
        return self.integer() if self.chance.random() < 0.7 else self.range_score()


def by_member(command: str, tokens: frozenset[bytes]) -> bool:
    """Whether a command is about a range of members."""
    return b"BYLEX" in tokens or (command.startswith("z") and "lex" in command)


Pool = Callable[[Words], bytes]


def one_of(*words: bytes) -> Pool:
    return lambda draw: draw.chance.choice(words)


SPECIAL: dict[tuple[str, str], Pool] = {
    ("setbit", "value"): one_of(b"0", b"1", b"0", b"1", b"2", b"x", b""),
    ("setbit", "offset"): Words.bit_offset,
    ("getbit", "offset"): Words.bit_offset,
    ("bitfield", "offset"): Words.field_offset,
    ("bitfield_ro", "offset"): Words.field_offset,
    ("setrange", "offset"): Words.offset,
    ("lset", "index"): Words.small,  # Redis cuts it to 32 bits
    ("bitpos", "bit"): one_of(b"0", b"1", b"0", b"1", b"2", b"x"),
    ("zrange", "start"): Words.edge,
    ("zrange", "stop"): Words.edge,
    ("zrangestore", "min"): Words.edge,
    ("zrangestore", "max"): Words.edge,
    ("srandmember", "count"): Words.random_count,
    ("hrandfield", "count"): Words.random_count,
    ("zrandmember", "count"): Words.random_count,
    ("xadd", "id"): Words.next_id,
    ("xreadgroup", "id"): Words.read_id,
    ("xread", "id"): Words.read_after,
    ("xrange", "start"): Words.stream_id,
    ("xrange", "end"): Words.stream_id,
    ("xrevrange", "start"): Words.stream_id,
    ("xrevrange", "end"): Words.stream_id,
    ("xpending", "start"): one_of(b"-", b"-", b"0", b"(1-1", b"3-1", b"x"),
    ("xpending", "end"): one_of(b"+", b"+", b"9", b"(9-1", b"2-1", b"x"),
    ("xautoclaim", "start"): Words.stream_id,
    ("restore", "serialized-value"): one_of(b"", b"x", b"\x00\x01a\x0b\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
    ("pfdebug", "subcommand"): one_of(b"getreg", b"decode", b"encoding", b"todense", b"ENCODING", b"x"),
    ("echo", "message"): Words.value,
}
BY_NAME: dict[str, Pool] = {
    "by-pattern": one_of(*SORT_PATTERNS),
    "get-pattern": one_of(*SORT_PATTERNS),
    "consumer": one_of(*CONSUMERS),
    "cursor": one_of(b"0", b"0", b"0", b"0", b"1", b"x", b"18446744073709551615", b"-1", b""),
    "db": one_of(b"0", b"1", b"2", b"15", b"16", b"-1", b"x"),
    "destination-db": one_of(b"0", b"1", b"2", b"15", b"16", b"-1", b"x"),
    "index": Words.integer,
    "element": Words.member,
    "pivot": Words.member,
    "member": Words.member,
    "member1": Words.member,
    "member2": Words.member,
    "field": Words.member,
    "value": Words.value,
    "encoding": one_of(*ENCODINGS),
    "group": one_of(*GROUPS),
    "height": Words.distance,
    "width": Words.distance,
    "radius": Words.distance,
    "latitude": Words.degrees,
    "longitude": Words.degrees,
    "id": Words.stream_id,
    "last-id": Words.stream_id,
    "lastid": Words.stream_id,
    "max-deleted-id": Words.stream_id,
    "max": Words.range_score,
    "min": Words.range_score,
    "min-idle-time": Words.idle,
    "ms": Words.idle,
    "milliseconds": Words.relative,
    "seconds": Words.relative,
    "unix-time-seconds": lambda words: words.moment(b"99999999999", b"88888888888"),
    "unix-time-milliseconds": lambda words: words.moment(b"99999999999999", b"88888888888888"),
    "ttl": one_of(b"0", b"0", b"99999999999999", b"-1", b"x"),
    "threshold": Words.threshold,
    "timeout": Words.patience,
    "type": one_of(b"string", b"HASH", b"list", b"set", b"zset", b"stream", b"nothing"),
    "weight": Words.weight,
}
BY_TYPE: dict[str, Pool] = {
    "integer": Words.integer,
    "double": Words.double,
    "pattern": one_of(*PATTERNS),
    "string": Words.value,
}
