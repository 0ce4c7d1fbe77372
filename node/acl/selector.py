"""One set of permissions: commands, keys and channels, all of which must allow a request.

Commands are an integer of bits (`commands`). A command without subcommands may also be allowed with certain
first arguments only (`+select|0`), which holds as long as the command as a whole is not allowed or denied
anew. What is described is not the bits but the rules that led to them, in their order: a rule takes the place
of earlier ones about the same command (or its subcommands) or category, so that the list stays short and
commands that a later version brings fall under the categories that were meant.

Keys are patterns, each for reading, writing or both. What a request wants of each of its keys is found by
`demands`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from node.acl.commands import ALL_COMMANDS, BIT, CATEGORY_MASKS, mask_of, named
from node.acl.demands import BOTH, READ, WRITE, Demand
from node.acl.denial import COMMAND_DENIED, Denial, Reason
from node.acl.rules import (
    AFTER_ALL_CHANNELS,
    AFTER_ALL_KEYS,
    FIRST_ARGUMENT_OF_SUBCOMMAND,
    SYNTAX,
    RuleError,
    UnknownName,
    has_spaces,
)
from node.commands.model import Command
from node.keyspace.glob import Glob

_PERMISSIONS = {ord("R"): READ, ord("r"): READ, ord("W"): WRITE, ord("w"): WRITE}
_PREFIXES = {READ: b"%R~", WRITE: b"%W~", BOTH: b"~"}

CHANNEL_ARGUMENTS: dict[str, tuple[slice, bool]] = {
    "publish": (slice(1, 2), False),
    "spublish": (slice(1, 2), False),
    "subscribe": (slice(1, None), False),
    "ssubscribe": (slice(1, None), False),
    "psubscribe": (slice(1, None), True),
}
"""Command → which arguments are channels, and whether they are patterns. Unsubscribing is always allowed."""

Matcher = Callable[[bytes], object]


class KeyPattern:
    __slots__ = ("matches", "permission")

    def __init__(self, matches: Matcher, permission: int) -> None:
        self.matches = matches
        self.permission = permission


class Selector:
    __slots__ = (
        "all_channels",
        "all_keys",
        "allowed",
        "channels",
        "first_arguments",
        "keys",
        "rules",
        "starts_full",
    )

    def __init__(self, *, all_channels: bool = False) -> None:
        """Nothing is allowed, but for `all_channels`: the setting acl-pubsub-default."""
        self.allowed = 0
        """Bits of the allowed commands."""
        self.starts_full = False
        """`+@all` came after the last `-@all`: what the description begins with."""
        self.rules: list[bytes] = []
        """Rules about commands since then, in lower case."""
        self.first_arguments: dict[str, list[bytes]] = {}
        """Command → first arguments with which it is allowed; lower case."""
        self.all_keys = False
        self.keys: dict[bytes, KeyPattern] = {}
        self.all_channels = all_channels
        self.channels: dict[bytes, Matcher] = {}
        """Pattern → its matcher."""

    def copy(self) -> Selector:
        made = Selector(all_channels=self.all_channels)
        made.allowed = self.allowed
        made.starts_full = self.starts_full
        made.rules = list(self.rules)
        made.first_arguments = {name: list(words) for name, words in self.first_arguments.items()}
        made.all_keys = self.all_keys
        made.keys = {
            pattern: KeyPattern(each.matches, each.permission) for pattern, each in self.keys.items()
        }
        made.channels = dict(self.channels)
        return made

    @property
    def allows_everything(self) -> bool:
        return self.all_keys and self.all_channels and self.allowed == ALL_COMMANDS

    # --- rules ---------------------------------------------------------------------------------------

    def apply(self, rule: bytes) -> None:
        """Carry out one rule. Raises RuleError."""
        act = _WORDS.get(rule.lower())
        if act is not None:
            act(self)
        elif rule[:1] in (b"~", b"%"):
            self._add_key_pattern(rule)
        elif rule[:1] == b"&":
            self._add_channel(rule[1:])
        elif rule[:2] in (b"+@", b"-@"):
            self._change_category(rule)
        elif rule[:1] == b"+" and b"|" in rule:
            self._allow_below(rule[1:])
        elif rule[:1] in (b"+", b"-"):
            self._change_command(rule)
        else:
            raise RuleError(SYNTAX)

    def _allow_all_keys(self) -> None:
        self.all_keys = True
        self.keys.clear()

    def _reset_keys(self) -> None:
        self.all_keys = False
        self.keys.clear()

    def _allow_all_channels(self) -> None:
        self.all_channels = True
        self.channels.clear()

    def _reset_channels(self) -> None:
        self.all_channels = False
        self.channels.clear()

    def _allow_all_commands(self) -> None:
        self._begin_commands(ALL_COMMANDS)

    def _deny_all_commands(self) -> None:
        self._begin_commands(0)

    def _begin_commands(self, mask: int) -> None:
        self.allowed = mask
        self.starts_full = mask != 0
        self.rules.clear()
        self.first_arguments.clear()

    def _add_key_pattern(self, rule: bytes) -> None:
        if self.all_keys:
            raise RuleError(AFTER_ALL_KEYS)
        permission, pattern = _split_key_rule(rule)
        if has_spaces(pattern):
            raise RuleError(SYNTAX)
        known = self.keys.get(pattern)
        if known is None:
            self.keys[pattern] = KeyPattern(Glob(pattern).matches, permission)
        else:
            known.permission |= permission

    def _add_channel(self, pattern: bytes) -> None:
        if self.all_channels:
            raise RuleError(AFTER_ALL_CHANNELS)
        if has_spaces(pattern):
            raise RuleError(SYNTAX)
        self.channels.setdefault(pattern, Glob(pattern).matches)

    def _change_category(self, rule: bytes) -> None:
        mask = CATEGORY_MASKS.get(rule[2:].decode("latin-1").lower())
        if mask is None:
            raise UnknownName
        self._note(rule[:1], rule[1:])
        self._change(rule[:1], mask)

    def _change_command(self, rule: bytes) -> None:
        row = named(rule[1:])
        if row is None:
            raise UnknownName
        self._change(rule[:1], mask_of(row))
        self._note(rule[:1], row.name.encode())

    def _allow_below(self, name: bytes) -> None:
        """`+container|subcommand`, or `+command|argument`: allowed with this first argument only."""
        command, _, below = name.rpartition(b"|")
        row = named(command)
        if row is None:
            raise UnknownName
        if "|" in row.name:
            raise RuleError(FIRST_ARGUMENT_OF_SUBCOMMAND)
        if not below:
            raise RuleError(SYNTAX)
        if row.subcommands:
            sub = named(name)
            if sub is None:
                raise UnknownName
            self._change(b"+", mask_of(sub))
        else:
            words = self.first_arguments.setdefault(row.name, [])
            if below.lower() not in words:
                words.append(below.lower())
        self._note(b"+", name)

    def _change(self, sign: bytes, mask: int) -> None:
        """Allow or deny the commands of `mask`, whatever their first argument."""
        self.allowed = self.allowed | mask if sign == b"+" else self.allowed & ~mask
        for name in [name for name in self.first_arguments if mask >> BIT[name] & 1]:
            del self.first_arguments[name]

    def _note(self, sign: bytes, name: bytes) -> None:
        """Remember a rule in place of those it makes pointless."""
        name = name.lower()
        below = name + b"|"
        self.rules = [rule for rule in self.rules if rule[1:] != name and not rule.startswith(below, 1)]
        self.rules.append(sign + name)

    # --- descriptions --------------------------------------------------------------------------------

    def describe_commands(self) -> bytes:
        return b" ".join((b"+@all" if self.starts_full else b"-@all", *self.rules))

    def describe_keys(self) -> bytes:
        if self.all_keys:
            return b"~*"
        return b" ".join(_PREFIXES[each.permission] + pattern for pattern, each in self.keys.items())

    def describe_channels(self) -> bytes:
        return b"&*" if self.all_channels else b" ".join(b"&" + pattern for pattern in self.channels)

    def describe(self) -> bytes:
        """The rules that make an empty selector into this one, on one line."""
        parts = [self.describe_keys(), b"" if self.all_channels else b"resetchannels"]
        parts += [self.describe_channels(), self.describe_commands()]
        return b" ".join(filter(None, parts))

    # --- judging -------------------------------------------------------------------------------------

    def allows_command(self, command: Command, argv: Sequence[bytes]) -> bool:
        name = command.name
        if self.allowed >> BIT[name] & 1 or "no_auth" in command.flags:
            return True
        words = self.first_arguments.get(name)
        return words is not None and len(argv) > 1 and argv[1].lower() in words

    def denied_key(self, argv: Sequence[bytes], demanded: Sequence[Demand]) -> Denial | None:
        for position, permission in demanded:
            if not self.allows_key(argv[position], permission):
                return Denial(Reason.KEY, position)
        return None

    def allows_key(self, key: bytes, permission: int) -> bool:
        for each in self.keys.values():
            if each.permission & permission == permission and each.matches(key):
                return True
        return False

    def allows_all_keys_for(self, permission: int) -> bool:
        """Whatever their names: for commands that find keys in data."""
        whole = self.keys.get(b"*")
        return self.all_keys or (whole is not None and whole.permission & permission == permission)

    def denied_channel(self, command: Command, argv: Sequence[bytes]) -> Denial | None:
        where, are_patterns = CHANNEL_ARGUMENTS[command.name]
        for position in range(*where.indices(len(argv))):
            if not self.allows_channel(argv[position], is_pattern=are_patterns):
                return Denial(Reason.CHANNEL, position)
        return None

    def allows_channel(self, channel: bytes, *, is_pattern: bool) -> bool:
        """A pattern must be listed as it is: what it could match is not looked at."""
        if is_pattern:
            return channel in self.channels
        return any(matches(channel) for matches in self.channels.values())

    def judge(self, command: Command, argv: Sequence[bytes], demanded: Sequence[Demand]) -> Denial | None:
        """None if this selector alone allows the request, which demands this of its keys."""
        if not self.allows_command(command, argv):
            return COMMAND_DENIED
        denial = None if self.all_keys else self.denied_key(argv, demanded)
        if denial is None and not self.all_channels and command.name in CHANNEL_ARGUMENTS:
            denial = self.denied_channel(command, argv)
        return denial


def _split_key_rule(rule: bytes) -> tuple[int, bytes]:
    """(permission, pattern) of `~pattern`, or of `%R~`, `%W~`, `%RW~` before a pattern."""
    if rule.startswith(b"~"):
        return BOTH, rule[1:]
    letters, _, pattern = rule[1:].partition(b"~")
    permission = 0
    for letter in letters:
        added = _PERMISSIONS.get(letter, 0)
        if not added or permission & added:
            raise RuleError(SYNTAX)
        permission |= added
    if not permission:
        raise RuleError(SYNTAX)
    return permission, pattern


_WORDS: dict[bytes, Callable[[Selector], None]] = {
    b"allkeys": Selector._allow_all_keys,
    b"~*": Selector._allow_all_keys,
    b"resetkeys": Selector._reset_keys,
    b"allchannels": Selector._allow_all_channels,
    b"&*": Selector._allow_all_channels,
    b"resetchannels": Selector._reset_channels,
    b"allcommands": Selector._allow_all_commands,
    b"+@all": Selector._allow_all_commands,
    b"nocommands": Selector._deny_all_commands,
    b"-@all": Selector._deny_all_commands,
}
"""Rules that are one fixed word, in any case."""
