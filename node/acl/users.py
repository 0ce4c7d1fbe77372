"""All users by name. `default` is always there: it is whom a connection is before it says otherwise.

A user changes in two steps: a draft of what it will be, to which all rules must apply, and only then the user
itself. Names are listed in the order of their bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from node.acl.rules import SYNTAX, RuleError, UnknownName, has_spaces
from node.acl.user import User

DEFAULT = b"default"
ALL_RIGHTS = (b"on", b"nopass", b"allkeys", b"allchannels", b"+@all")


class Users:
    def __init__(self, all_channels: Callable[[], bool] = lambda: False) -> None:
        """`all_channels`: whether new users may hear all channels (acl-pubsub-default)."""
        self._all_channels = all_channels
        self.default = self.new(DEFAULT)
        self.default.apply_all(ALL_RIGHTS)
        self._by_name = {DEFAULT: self.default}

    def __iter__(self) -> Iterator[User]:
        return iter(sorted(self._by_name.values(), key=lambda user: user.name))

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: bytes) -> User | None:
        return self._by_name.get(name)

    def new(self, name: bytes) -> User:
        """A user that is not one of these yet."""
        return User(name, all_channels=self._all_channels())

    def draft(self, name: bytes, rules: Sequence[bytes]) -> User:
        """What the user, or a new one, becomes by these rules. Raises RuleError."""
        known = self._by_name.get(name)
        made = self.new(name) if known is None else known.copy(all_channels=self._all_channels())
        made.apply_all(rules)
        return made

    def put(self, made: User) -> User:
        """Let the user of that name be as `made`; returns the user."""
        known = self._by_name.setdefault(made.name, made)
        if known is not made:
            known.become(made)
        return known

    def remove(self, name: bytes) -> User | None:
        """The user of that name, who is none of these any more. Not for the default user."""
        return self._by_name.pop(name, None)

    def set_default_password(self, password: bytes) -> None:
        """The setting `requirepass`: the one password of the default user, or no need of any."""
        self.default.apply(b"resetpass")
        self.default.apply(b">" + password if password else b"nopass")

    def lines(self) -> list[bytes]:
        """A line `user <name> <rules>` for each: ACL LIST, and what is written to files."""
        return [b"user " + user.name + b" " + user.describe() for user in self]


def checked_declaration(name: bytes, rules: Sequence[bytes]) -> None:
    """Raise RuleError if a `user` line of redis.conf cannot be meant so. Commands that are not known are no
    reason yet: Redis looks for them when its modules are loaded."""
    user = User(name)
    for rule in rules:
        try:
            user.apply(rule)
        except UnknownName:
            continue


def is_name(name: bytes) -> bool:
    return not has_spaces(name)


def declared(name: bytes, rules: Sequence[bytes], users: Users) -> User:
    """The user a line of redis.conf declares, from nothing. Raises RuleError."""
    if not is_name(name):
        raise RuleError(SYNTAX)
    made = users.new(name)
    made.apply_all(rules)
    return made
