"""The ACL file: one line `user <name> <rules>` for each user, and nothing else; blank lines are skipped.

Loading is all or nothing. Every line is read, so that all that is wrong can be told at once. Of a line, all
unknown commands and categories are named, and of other errors only the first, since the next may follow from
it; that one's rule is not shown, because it may hold a password.

Saving replaces the file in one step, once what was written is on the disk.
"""

from __future__ import annotations

import os

from node.acl.rules import RuleError, UnknownName, Unmatched, joined_selectors
from node.acl.user import User
from node.acl.users import DEFAULT, Users, is_name

NOTHING_CHANGED = "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"


class AclFileError(Exception):
    """The file cannot be used. The text is complete."""


def load(path: str, shown_path: str, users: Users) -> list[User]:
    """The users of a file; the default user is among them in any case. `users` makes them.

    Raises AclFileError.
    """
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        raise AclFileError(f"Error loading ACLs, opening file '{shown_path}': {error.strerror}") from None
    return parse(text, shown_path, users)


def parse(text: bytes, shown_path: str, users: Users) -> list[User]:
    reader = _Reader(shown_path, users)
    for number, line in enumerate(text.split(b"\n"), 1):
        reader.read_line(number, line.strip(b" \t\r\n"))
    if reader.complaints:
        raise AclFileError(" ".join([*reader.complaints, NOTHING_CHANGED]))
    return list(reader.found.values())


class _Reader:
    def __init__(self, shown_path: str, users: Users) -> None:
        self.found: dict[bytes, User] = {DEFAULT: Users().default}
        self.complaints: list[str] = []
        self._path = shown_path
        self._users = users
        self._seen: set[bytes] = set()

    def read_line(self, number: int, line: bytes) -> None:
        if not line:
            return None
        words = line.split(b" ")
        if words[0] != b"user" or len(words) < 2:
            return self._complain(
                f"{self._path}:{number} should start with user keyword followed by the username."
            )
        name = words[1]
        if name in self._seen:
            return self._complain(f"WARNING: Duplicate user '{_text(name)}' found on line {number}.")
        self._seen.add(name)
        if not is_name(name):
            # The lone quote is Redis' own.
            return self._complain(
                f"'{self._path}:{number}: username '{_text(name)}' contains invalid characters."
            )
        user = self._users.new(name)
        self.found[name] = user
        try:
            self._apply(number, user, joined_selectors(words[2:]))
        except Unmatched as error:
            self._complain(f"{self._path}:{number}: {error}.")

    def _apply(self, number: int, user: User, rules: list[bytes]) -> None:
        told = False
        for rule in rules:
            try:
                user.apply(rule)
            except UnknownName as error:
                self._complain(
                    f"{self._path}:{number}: Error in applying operation '{_text(rule)}': {error}."
                )
            except RuleError as error:
                if not told:
                    self._complain(f"{self._path}:{number}: {error}.")
                told = True

    def _complain(self, text: str) -> None:
        self.complaints.append(text)


def save(path: str, users: Users) -> None:
    """Raises OSError; the old file is then as it was."""
    temporary = f"{path}.tmp-{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            file.write(b"".join(line + b"\n" for line in users.lines()))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
