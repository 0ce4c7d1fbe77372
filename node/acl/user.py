"""A user: a name, flags, passwords and selectors.

The first selector is the *root*, which rules outside of parentheses change; `(...)` adds another one. A
request is allowed if any of them allows it. Sessions hold on to their user, so a change of rights (`become`)
is a change of that object, which all of them notice.

Passwords are kept as SHA-256 digests only.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

from node.acl.demands import demands
from node.acl.denial import COMMAND_DENIED, Denial
from node.acl.rules import BAD_HASH, NO_SUCH_PASSWORD, RuleError
from node.acl.selector import Selector
from node.commands.model import Command
from node.words import UnbalancedQuotes, split_words

_DIGEST = re.compile(rb"[0-9a-f]{64}")


class User:
    __slots__ = (
        "all_channels_by_default",
        "is_on",
        "name",
        "needs_password",
        "passwords",
        "sanitizes",
        "selectors",
    )

    def __init__(self, name: bytes, *, all_channels: bool = False) -> None:
        """Off, without passwords or permissions; `all_channels` as the setting acl-pubsub-default says."""
        self.name = name
        self.all_channels_by_default = all_channels
        self.is_on = False
        self.needs_password = True
        """False for `nopass`: whatever the client sends is right."""
        self.sanitizes = True
        """Flag sanitize-payload. It is kept and shown; payloads are checked whole for everybody."""
        self.passwords: list[bytes] = []
        """SHA-256 digests in hexadecimal."""
        self.selectors = [Selector(all_channels=all_channels)]

    @property
    def root(self) -> Selector:
        return self.selectors[0]

    def copy(self, *, all_channels: bool) -> User:
        """The same user, with the setting's current value for selectors to come."""
        made = User(self.name, all_channels=all_channels)
        made.become(self)
        return made

    def become(self, other: User) -> None:
        """Take over flags, passwords and permissions; nothing is shared."""
        self.is_on = other.is_on
        self.needs_password = other.needs_password
        self.sanitizes = other.sanitizes
        self.passwords = list(other.passwords)
        self.selectors = [selector.copy() for selector in other.selectors]

    # --- rules ---------------------------------------------------------------------------------------

    def apply(self, rule: bytes) -> None:
        """Carry out one rule; an empty one does nothing. Raises RuleError, which names it; it has no effect
        then."""
        if not rule:
            return
        try:
            if not self._apply_word(rule.lower()) and not self._apply_password(rule):
                if rule.startswith(b"(") and rule.endswith(b")"):
                    self._add_selector(rule[1:-1])
                else:
                    self.root.apply(rule)
        except RuleError as error:
            error.rule = rule
            raise

    def apply_all(self, rules: Sequence[bytes]) -> None:
        for rule in rules:
            self.apply(rule)

    def _apply_word(self, word: bytes) -> bool:
        match word:
            case b"on" | b"off":
                self.is_on = word == b"on"
            case b"nopass" | b"resetpass":
                self.needs_password = word == b"resetpass"
                self.passwords.clear()
            case b"sanitize-payload" | b"skip-sanitize-payload":
                self.sanitizes = word == b"sanitize-payload"
            case b"clearselectors":
                del self.selectors[1:]
            case b"reset":
                self.become(User(self.name, all_channels=self.all_channels_by_default))
            case _:
                return False
        return True

    def _apply_password(self, rule: bytes) -> bool:
        """`>password` and `#digest` add one, `<password` and `!digest` take it away."""
        sign = rule[:1]
        if sign in (b">", b"<"):
            digest = digest_of(rule[1:])
        elif sign in (b"#", b"!"):
            digest = rule[1:]
            if not _DIGEST.fullmatch(digest):
                raise RuleError(BAD_HASH)
        else:
            return False
        if sign in (b">", b"#"):
            self.needs_password = True
            if digest not in self.passwords:
                self.passwords.append(digest)
        elif digest in self.passwords:
            self.passwords.remove(digest)
        else:
            raise RuleError(NO_SUCH_PASSWORD)
        return True

    def _add_selector(self, rules: bytes) -> None:
        """`rules` is split as a line of redis.conf. With unbalanced quotes there are none, and the selector
        allows nothing, as in Redis."""
        selector = Selector(all_channels=self.all_channels_by_default)
        try:
            words = split_words(rules)
        except UnbalancedQuotes:
            words = []
        for rule in words:
            selector.apply(rule)
        self.selectors.append(selector)

    # --- descriptions --------------------------------------------------------------------------------

    @property
    def flags(self) -> list[bytes]:
        flags = [b"on" if self.is_on else b"off"]
        if not self.needs_password:
            flags.append(b"nopass")
        flags.append(b"sanitize-payload" if self.sanitizes else b"skip-sanitize-payload")
        return flags

    def describe(self) -> bytes:
        """The rules that make a new user into this one, on one line."""
        parts = [*self.flags, *(b"#" + digest for digest in self.passwords), self.root.describe()]
        parts += [b"(" + selector.describe() + b")" for selector in self.selectors[1:]]
        return b" ".join(parts)

    # --- judging -------------------------------------------------------------------------------------

    def accepts(self, password: bytes) -> bool:
        """May this user log in with `password`? The time taken tells nothing of it."""
        if not self.is_on:
            return False
        digest = digest_of(password)
        fits = [hmac.compare_digest(digest, known) for known in self.passwords]
        return not self.needs_password or any(fits)

    @property
    def is_unrestricted(self) -> bool:
        """Nothing that can be asked would be refused."""
        return any(selector.allows_everything for selector in self.selectors)

    def judge(self, command: Command, argv: Sequence[bytes]) -> Denial | None:
        """None if the request is allowed; otherwise what comes closest to having been allowed."""
        demanded = demands(command, argv)
        worst = COMMAND_DENIED
        for selector in self.selectors:
            denial = selector.judge(command, argv, demanded)
            if denial is None:
                return None
            worst = max(worst, denial)
        return worst

    def may_use_all_keys(self, command: Command, argv: Sequence[bytes], permission: int) -> bool:
        """Whether one selector allows the request, and `permission` (READ, WRITE) of every key there is."""
        demanded = demands(command, argv)
        return any(
            selector.allows_all_keys_for(permission) and selector.judge(command, argv, demanded) is None
            for selector in self.selectors
        )

    # --- channels ------------------------------------------------------------------------------------

    def allows_channel(self, channel: bytes, *, is_pattern: bool) -> bool:
        return any(
            selector.all_channels or selector.allows_channel(channel, is_pattern=is_pattern)
            for selector in self.selectors
        )


def digest_of(password: bytes) -> bytes:
    return hashlib.sha256(password).hexdigest().encode()
