"""What a declaration row says about a command, and what follows from it.

A row gives only what cannot be derived: name, first version, arity, flags, where the keys are. Derived here:

* ACL categories. `write`, `readonly`, `admin`, `pubsub`, `fast` and `blocking` imply theirs, what is not
  fast is slow, and the group adds its own (`GROUPS`); `acl=` replaces the group's where a command is an
  exception.
* the old `first_key, last_key, step` triple and the flag `movablekeys`, from the key specs.

A key spec tells how to find keys in two steps, in the terms of
https://redis.io/docs/latest/develop/reference/key-specs/: where to begin (a fixed index, or after a
keyword), and which arguments from there on are keys (a range, or as many as a count says). A few commands
escape that grammar, or change what they do with a key by their options; for these a function in
`node/commands/key_finders.py` decides, as in Redis.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from node.commands.key_finders import FINDERS, Finder, KeyUse

FLAGS = (
    "write", "readonly", "denyoom", "admin", "pubsub", "noscript", "blocking", "loading", "stale",
    "skip_monitor", "skip_slowlog", "asking", "fast", "no_auth", "no_mandatory_keys", "no_async_loading",
    "no_multi", "movablekeys", "allow_busy",
)  # fmt: skip
"""Every command flag, in the order COMMAND prints them."""

CATEGORIES = (
    "keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo",
    "stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction",
    "scripting",
)  # fmt: skip
"""Every ACL category, in the order ACL CAT prints them."""

GROUPS = {
    "string": "string", "list": "list", "hash": "hash", "set": "set", "sorted-set": "sortedset",
    "stream": "stream", "bitmap": "bitmap", "hyperloglog": "hyperloglog", "geo": "geo", "generic": "keyspace",
    "connection": "connection", "transactions": "transaction", "scripting": "scripting",
    "pubsub": "", "server": "", "cluster": "",
}  # fmt: skip
"""Command groups, and the ACL category that membership brings."""

_IMPLIED = {
    "write": ("write",),
    "readonly": ("read",),
    "admin": ("admin", "dangerous"),
    "pubsub": ("pubsub",),
    "fast": ("fast",),
    "blocking": ("blocking",),
}


_VARIES = {"output": "nondeterministic_output", "order": "nondeterministic_output_order"}


class KeySpec(NamedTuple):
    """One way to find keys in a request.

    `keyword` empty: begin at argument `begin`. Otherwise begin after that keyword, searched from argument
    `begin` (negative: from the end). `counted`: the argument there counts the keys that follow it, every
    `step`-th. Otherwise a range to `last`: relative to the first key, or when negative to the end of the
    request, of which a `limit` above 1 takes only the first 1/limit. `begin` 0: nothing but reading the
    whole request finds the keys.
    """

    flags: tuple[str, ...]
    begin: int = 1
    keyword: str = ""
    counted: bool = False
    last: int = 0
    step: int = 1
    limit: int = 0

    def find(self, argv: Sequence[bytes]) -> list[int] | None:
        """Positions of the keys in `argv`; None if this spec cannot tell or the arguments do not fit it."""
        first = self._first(argv)
        if first is None:
            return [] if self.keyword else None
        if self.counted:
            count = _count(argv[first]) if first < len(argv) else 0
            first += 1
            last = first + (count - 1) * self.step
        elif self.last >= 0:
            last = first + self.last
        elif self.limit:
            last = first + (len(argv) - first) // self.limit + self.last
        else:
            last = len(argv) + self.last
        if last < first and not self.counted:
            return []  # an optional range that is not there: PFMERGE without sources
        if not first <= last < len(argv):
            return None
        return list(range(first, last + 1, self.step))

    def _first(self, argv: Sequence[bytes]) -> int | None:
        if not self.keyword:
            return self.begin or None
        wanted = self.keyword.encode()
        if self.begin > 0:
            places: Iterable[int] = range(self.begin, len(argv))
        else:
            places = range(len(argv) + self.begin, 0, -1)
        return next((i + 1 for i in places if i + 1 < len(argv) and argv[i].upper() == wanted), None)


def key(flags: str, at: int = 1, *, last: int = 0, step: int = 1) -> KeySpec:
    """The key at argument `at`, or keys from there to `last`."""
    return _spec(flags, at, last=last, step=step)


def keys(flags: str, at: int = 1, *, last: int = -1, step: int = 1) -> KeySpec:
    """All arguments from `at` to the end."""
    return _spec(flags, at, last=last, step=step)


def counted(flags: str, at: int = 1, *, step: int = 1) -> KeySpec:
    """`numkeys key [key ...]`, the count being argument `at`."""
    return _spec(flags, at, counted=True, step=step)


def after(keyword: str, flags: str, at: int, *, last: int = 0, limit: int = 0) -> KeySpec:
    """The key, or keys, after a keyword that stands at argument `at` or later."""
    return _spec(flags, at, keyword=keyword, last=last, limit=limit)


def unknown(flags: str) -> KeySpec:
    """A key whose place no rule gives: it hangs on options in any order, or on data."""
    return _spec(flags, 0)


_MAY_REPLICATE = frozenset(("eval", "evalsha", "fcall", "pfcount", "publish", "spublish"))


class Command:
    """One command or subcommand. Immutable by convention; the table holds exactly one of each.

    `name` is lower case, a subcommand's is `container|sub`. `arity` counts the name(s); negative means at
    least. `varies`: what may differ between two equal requests, the reply's "order" or all of its "output".
    `route`: how a proxy sends it to more than one worker and joins the replies, "request_policy
    response_policy", in the terms of https://redis.io/docs/latest/develop/reference/command-tips/.
    """

    __slots__ = (
        "acl", "arity", "categories", "finder", "first_key", "flags", "group", "key_specs", "last_key",
        "name", "request_policy", "response_policy", "since", "step", "subcommands", "varies",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        since: str,
        arity: int,
        flags: str = "",
        *specs: KeySpec,
        acl: str | None = None,
        varies: str = "",
        route: str = "",
        subcommands: Sequence[Command] = (),
    ) -> None:
        self.name = name
        self.since = since
        self.arity = arity
        self.acl = acl
        self.key_specs = specs
        self.finder: Finder | None = FINDERS.get(name)
        self.first_key, self.last_key, self.step, movable = _legacy_range(specs)
        self.flags = _flag_set(flags + " movablekeys" if movable else flags)
        self.varies = varies
        self.request_policy, _, self.response_policy = route.partition(" ")
        self.subcommands = {sub.name: sub for sub in subcommands}
        self.group = ""
        self.categories: frozenset[str] = frozenset()
        for sub in subcommands:
            sub.name = f"{name}|{sub.name}"
            sub.finder = FINDERS.get(sub.name)

    def join(self, group: str) -> None:
        """Become a member of `group`: the last fact needed for the categories."""
        self.group = group
        own = self.acl if self.acl is not None else "" if self.subcommands else GROUPS[group]
        self.categories = _categories(self.flags, own)
        for sub in self.subcommands.values():
            sub.join(group)

    @property
    def tips(self) -> tuple[str, ...]:
        """Hints for proxies and clients, as COMMAND prints them."""
        tips = []
        if self.varies:
            tips.append(_VARIES[self.varies])
        if self.request_policy:
            tips.append(f"request_policy:{self.request_policy}")
        if self.response_policy:
            tips.append(f"response_policy:{self.response_policy}")
        return tuple(tips)

    @property
    def is_write(self) -> bool:
        return "write" in self.flags

    @property
    def may_replicate(self) -> bool:
        """No write by its flags, but it may leave a trail, or what it calls may: it waits where writes do."""
        return self.name in _MAY_REPLICATE

    def accepts(self, argc: int) -> bool:
        """Does a request of `argc` arguments, name included, have the right number?"""
        return argc == self.arity if self.arity >= 0 else argc >= -self.arity

    def key_positions(self, argv: Sequence[bytes]) -> list[int]:
        """Indexes into `argv` of what decides the slot: keys, and channels of sharded pub/sub.

        Empty when there are none or the arguments make no sense (the command itself will then say so).
        Repeated keys are reported as often as they occur.
        """
        specs = self.key_specs
        if len(specs) == 1 and not specs[0].keyword and not specs[0].counted and specs[0].begin:
            return specs[0].find(argv) or []
        uses = self.key_uses(argv, channels=True)
        return [use.position for use in uses or ()]

    def key_uses(self, argv: Sequence[bytes], *, channels: bool = False) -> list[KeyUse] | None:
        """Keys of the request with what happens to each; None if the arguments do not fit the command.

        `channels` includes arguments that are routed like keys without being keys (`not_key`).
        """
        if self.finder is not None:
            return self.finder(argv)
        uses: list[KeyUse] = []
        for spec in self.key_specs:
            if "not_key" in spec.flags and not channels:
                continue
            found = spec.find(argv)
            if found is None:
                return None
            uses.extend(KeyUse(position, spec.flags) for position in found)
        return uses

    def __repr__(self) -> str:
        return f"Command({self.name!r})"


def group(name: str, *commands: Command) -> tuple[Command, ...]:
    """The commands of one group: what each declaration file ends up as."""
    for command in commands:
        command.join(name)
    return commands


_words: dict[str, tuple[str, ...]] = {}
_specs: dict[KeySpec, KeySpec] = {}
_sets: dict[frozenset[str], frozenset[str]] = {}


def _spec(flags: str, begin: int, **fields: int | str) -> KeySpec:
    """Equal specs and flag lists are shared: the table has some 400 rows and few distinct ones."""
    words = _words.setdefault(flags, tuple(flags.split()))
    spec = KeySpec(words, begin, **fields)  # type: ignore[arg-type]
    return _specs.setdefault(spec, spec)


def _share(members: Iterable[str]) -> frozenset[str]:
    made = frozenset(members)
    return _sets.setdefault(made, made)


def _flag_set(flags: str) -> frozenset[str]:
    made = _share(flags.split())
    stray = made.difference(FLAGS)
    if stray:
        raise ValueError(f"unknown command flags {sorted(stray)}")
    return made


def _categories(flags: frozenset[str], own: str) -> frozenset[str]:
    made = set(own.split())
    for flag in flags:
        made.update(_IMPLIED.get(flag, ()))
    if "fast" not in flags:
        made.add("slow")
    if "scripting" in made:
        made.discard("read")  # a read-only script is still a script: Redis keeps it out of @read
    return _share(made)


def _legacy_range(specs: Sequence[KeySpec]) -> tuple[int, int, int, bool]:
    """(first, last, step, movable): the triple that clients older than key specs read.

    It covers the specs that are plain ranges following each other without a gap; anything else makes the keys
    "movable", so that such a client asks COMMAND GETKEYS.
    """
    plain = [spec for spec in specs if not spec.keyword and not spec.counted and spec.begin]
    movable = len(plain) < len(specs)
    if not plain:
        return 0, 0, 0, movable
    first = plain[0]
    if len(specs) == 1:
        return first.begin, first.begin + first.last if first.last >= 0 else first.last, first.step, False
    last = first.begin + first.last if first.last >= 0 else first.last
    for spec in plain[1:]:
        if spec.begin != last + 1 or spec.step != 1:
            movable = True
            continue
        last = spec.begin + spec.last if spec.last >= 0 else spec.last
    return first.begin, last, 1, movable


def _count(argument: bytes) -> int:
    """A numkeys argument; 0 (which fits no spec) for what is not a positive decimal number."""
    return int(argument) if argument.isdigit() and len(argument) <= 18 else 0
