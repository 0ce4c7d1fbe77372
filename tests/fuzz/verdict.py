"""When two replies to one command are equal: byte for byte, except where no server promises as much.

* Members of hashed collections come in any order (`UNORDERED`): compared as multisets.
* What is left to chance (`BY_CHANCE`) must have the same shape: kinds of values and lengths of arrays.
* Moments and times left (`BY_CLOCK`) may lie a few seconds apart.
* A reply inside EXEC or of a script is judged as the command that gave it.

What is different although it could be equal is a declared row of `explained.py`, with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.fuzz.replies import Value, cut, value_of

Argv = Sequence[bytes]

UNORDERED = set(
    b"KEYS SMEMBERS SUNION SINTER SDIFF HGETALL HKEYS HVALS SSCAN HSCAN ZSCAN SCAN SORT SORT_RO".split()
)
BY_CHANCE = set(b"SPOP SRANDMEMBER HRANDFIELD ZRANDMEMBER RANDOMKEY DUMP".split())
BY_CLOCK = set(
    b"TTL PTTL EXPIRETIME PEXPIRETIME HTTL HPTTL HEXPIRETIME HPEXPIRETIME XINFO XPENDING OBJECT".split()
)
COUNTED_FIELDS = (
    b"keyspace_hits",
    b"keyspace_misses",
    b"rdb_changes_since_last_save",
    b"total_commands_processed",
    b"total_error_replies",
)
"""Of INFO: counters that the same commands move alike."""

AS_MAPS = {b"XINFO", b"XREAD", b"XREADGROUP", b"LCS", b"HGETALL"}
"""In RESP3 these are maps; a script gets them as Lua tables, which have no order."""

TOLERANCE_MS = 8000
LONG_AGO = 1 << 30
IDLE = {b"idle", b"inactive"}
NUMBERS = (b":", b",")


def alike(argv: Argv, ours: bytes, theirs: bytes) -> bool:
    """Whether both replies to `argv` say the same."""
    if ours[:1] in b"-+" and ours[:1] == theirs[:1]:
        return ours == theirs
    return ours == theirs or same(argv, value_of(ours), value_of(theirs))


def same(argv: Argv, ours: Value, theirs: Value) -> bool:
    if ours == theirs:
        return True
    name = argv[0].upper() if argv else b""
    if name in (b"EVAL", b"EVAL_RO") and len(argv) > 3:
        return _same_through_script(argv, ours, theirs)
    if name == b"INFO":
        return _counters(ours) == _counters(theirs)
    if name in UNORDERED:
        return _same_unordered(argv, ours, theirs)
    if name in BY_CHANCE or (name == b"XADD" and b"*" in argv):
        return shape(ours) == shape(theirs)
    return name in BY_CLOCK and _close(name, ours, theirs)


def _same_through_script(argv: Argv, ours: Value, theirs: Value) -> bool:
    inner = argv[3:]
    if b"{made, made" in argv[1] and ours[0] == theirs[0] == b"*" and len(ours[1]) == len(theirs[1]):
        return all(same(inner, mine, other) for mine, other in zip(ours[1], theirs[1], strict=True))
    if same(inner, ours, theirs):
        return True
    if inner[0].upper().startswith(b"SORT") and any(word.upper() == b"GET" for word in inner):
        return ours[0] == theirs[0]  # a table ends at the first nil, wherever equal weights have put it
    has_tables = b"setresp(3)" in argv[1] and inner[:1] and inner[0].upper() in AS_MAPS
    return bool(has_tables) and same(inner, _in_order(ours), _in_order(theirs))


def _same_unordered(argv: Argv, ours: Value, theirs: Value) -> bool:
    name = argv[0].upper()
    if name.startswith(b"SORT") and not any(word.lower() in (b"by", b"get") for word in argv):
        return _same_collated(argv, ours, theirs)
    if name.endswith(b"SCAN") and (_cursor(ours) != b"0" or _cursor(theirs) != b"0" or _goes_on(argv)):
        return ours[0] == theirs[0]
    if name.startswith(b"SORT") and _is_limited(argv):
        return ours[0] == theirs[0] and len(ours[1]) == len(
            theirs[1]
        )  # of equal weights, any may be left out
    return multiset(ours) == multiset(theirs)


def _same_collated(argv: Argv, ours: Value, theirs: Value) -> bool:
    """SORT ALPHA compares C strings: what differs only behind a NUL is in no order, and a limit may leave out
    any of them."""
    if ours[0] != b"*" or theirs[0] != b"*":
        return False
    if multiset(ours) != multiset(theirs) and not _is_limited(argv):
        return False
    mine, other = ([(word or b"").partition(b"\0")[0] for _, word in side[1]] for side in (ours, theirs))
    return bool(mine == other)


def _is_limited(argv: Argv) -> bool:
    return any(word.lower() == b"limit" for word in argv)


def _goes_on(argv: Argv) -> bool:
    """Whether a SCAN begins at a cursor, which means nothing to another server."""
    return argv[1 if argv[0].upper() == b"SCAN" else 2].strip(b"0") != b""


def _cursor(value: Value) -> bytes | None:
    return value[1][0][1] if value[0] == b"*" and value[1] else None


def multiset(value: Value) -> object:
    """The value with the members of its arrays in an order of ours; pairs of a map stay together."""
    kind, inside = value
    if not isinstance(inside, list):
        return value
    parts = [repr(multiset(each)) for each in inside]
    if kind == b"%":
        parts = [f"{name} {held}" for name, held in zip(parts[::2], parts[1::2], strict=True)]
    return kind, sorted(parts)


def _in_order(value: Value) -> Value:
    """The value with the pairs of its maps in an order of ours, also of maps that RESP2 made flat."""
    kind, inside = value
    if not isinstance(inside, list):
        return value
    parts = [_in_order(each) for each in inside]
    names = parts[::2]
    if parts and len(parts) % 2 == 0 and all(name[0] == b"$" for name in names):
        pairs = sorted(zip(names, parts[1::2], strict=True), key=repr)
        parts = [part for pair in pairs for part in pair]
    return kind, parts


def shape(value: Value) -> tuple[object, ...]:
    kind, inside = value
    if isinstance(inside, list):
        return kind, tuple(shape(each) for each in inside)
    return (kind, inside is None)


def _close(name: bytes, ours: Value, theirs: Value) -> bool:
    if name == b"XPENDING":
        return _masked(ours) == _masked(theirs)
    return _near(ours, theirs)


def _near(ours: Value, theirs: Value) -> bool:
    (kind, mine), (other_kind, other) = ours, theirs
    if kind != other_kind or (mine is None) != (other is None):
        return False
    if isinstance(mine, list):
        if len(mine) != len(other):
            return False
        idle = [at for at, each in enumerate(mine) if isinstance(each[1], bytes) and each[1] in IDLE]
        return all(at - 1 in idle or _near(a, b) for at, (a, b) in enumerate(zip(mine, other, strict=True)))
    if kind in NUMBERS and mine != other:
        near = abs(int(mine) - int(other)) <= TOLERANCE_MS
        return near and min(int(mine), int(other)) >= 0
    return bool(mine == other)


def _masked(value: Value) -> object:
    """XPENDING without the idle times: the third of each entry's four parts."""
    kind, inside = value
    if not isinstance(inside, list):
        return value
    if len(inside) == 4 and inside[2][0] == b":":
        return kind, [inside[0], inside[1], inside[3]]
    return kind, [_masked(each) for each in inside]


def _counters(value: Value) -> dict[bytes, int]:
    lines = (value[1] or b"").split(b"\r\n")
    fields = dict(line.split(b":", 1) for line in lines if b":" in line)
    return {name: int(held) for name, held in fields.items() if name in COUNTED_FIELDS}


def differing_counters(ours: bytes, theirs: bytes) -> str:
    mine, other = _counters(value_of(ours)), _counters(value_of(theirs))
    return ", ".join(f"{k.decode()} {mine.get(k)} {other[k]!r}" for k in other if mine.get(k) != other[k])


Excuse = Callable[[Argv, bytes, bytes], bool]


class Judge:
    """Goes through two streams of replies. `excused` tells whether two that differ have a reason to."""

    def __init__(self, excused: Excuse) -> None:
        self._excused = excused
        self._parted = False
        """One has refused, with a reason, what the other has done: from there on INFO counts apart."""

    def first_difference(
        self, commands: Sequence[Argv], ours: bytes, theirs: bytes
    ) -> tuple[int, bytes, bytes] | None:
        """(index of the command, our reply, their reply) of the first that differ."""
        if ours == theirs:
            return None
        queue: list[Argv] = []
        for index, (argv, mine, other) in enumerate(zip(commands, cut(ours), cut(theirs), strict=True)):
            name = argv[0].upper() if argv else b""
            if mine == other == b"+QUEUED\r\n":
                queue.append(argv)
            elif mine != other and not self._agree(argv, mine, other, queue if name == b"EXEC" else []):
                return index, mine, other
            if name in (b"EXEC", b"DISCARD"):
                queue = []
        return None

    def _agree(self, argv: Argv, ours: bytes, theirs: bytes, queue: list[Argv]) -> bool:
        """`queue`: the commands whose replies EXEC gives as an array."""
        if queue and ours[:1] == theirs[:1] == b"*":
            mine, other = _items(ours), _items(theirs)
            if len(mine) == len(other) == len(queue):
                return all(self._agree(*each, []) for each in zip(queue, mine, other, strict=True))
        if alike(argv, ours, theirs):
            return True
        if self._parted and argv[:1] == [b"INFO"]:
            return True
        excused = self._excused(argv, ours, theirs)
        self._parted = self._parted or (excused and (b"-ERR" in ours) != (b"-ERR" in theirs))
        return excused


def _items(array: bytes) -> list[bytes]:
    return cut(array[array.index(b"\r\n") + 2 :])
