"""What can be wrong with a rule. The words are Redis'."""

from __future__ import annotations

from collections.abc import Iterable


class RuleError(ValueError):
    """A rule that cannot be applied, with the reason."""

    rule = b""
    """The word it is about, once known."""


class UnknownName(RuleError):
    """It names no command or category: to be told with the rule itself, which holds no secret then."""

    def __init__(self) -> None:
        super().__init__("Unknown command or category name in ACL")


class Unmatched(RuleError):
    """A selector's parenthesis is not closed."""

    def __init__(self, position: int, rule: bytes) -> None:
        super().__init__("Unmatched parenthesis in selector definition")
        self.position = position
        """Index of the rule among those given."""
        self.rule = rule


SYNTAX = "Syntax error"
AFTER_ALL_KEYS = (
    "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. "
    "Try 'resetkeys' to start with an empty list of patterns"
)
AFTER_ALL_CHANNELS = (
    "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any "
    "effect. Try 'resetchannels' to start with an empty list of channels"
)
NO_SUCH_PASSWORD = "The password you are trying to remove from the user does not exist"
BAD_HASH = "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
FIRST_ARGUMENT_OF_SUBCOMMAND = "Allowing first-arg of a subcommand is not supported"
DUPLICATE_USER = "Duplicate user found. A user can only be defined once in config files"


def joined_selectors(rules: Iterable[bytes]) -> list[bytes]:
    """The rules with each selector, `(+get ~a)`, as one word, however many it was split into.

    Raises Unmatched.
    """
    joined: list[bytes] = []
    opened = -1
    for position, rule in enumerate(rules):
        if opened >= 0:
            joined[-1] += b" " + rule
            if rule.endswith(b")"):
                opened = -1
            continue
        joined.append(rule)
        if rule.startswith(b"(") and not rule.endswith(b")"):
            opened = position
    if opened >= 0:
        raise Unmatched(opened, joined[-1].partition(b" ")[0])
    return joined


def has_spaces(text: bytes) -> bool:
    """White space or NUL, which may stand neither in names nor in patterns, since files are split at it."""
    return any(byte in b" \t\n\r\v\f\0" for byte in text)
