"""The values of all directives, and the one place that changes them.

Values are plain attributes under the directive's name with underscores (`config.cluster_node_timeout`),
typed as its kind says; times keep the unit of redis.conf. They are read everywhere and often, so reading
one is nothing but an attribute access. Changing them at run time goes through `set`, which is all or
nothing, and calls back whoever acts on a change (`on_change`); a callback may refuse, and then everything
is as before.
"""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from node import errors
from node.config import rewrite, sources
from node.config.directives import BY_NAME, DEPRECATED, TABLE, Directive
from node.config.sources import ConfigError
from node.config.text import to_bytes, to_text
from node.keyspace.glob import Glob
from node.words import UnbalancedQuotes, split_words

MAX_INCLUDE_DEPTH = 64

_PATTERN_CHARACTERS = set("*?[")
_BAD_DIRECTIVE = "Bad directive or wrong number of arguments"
_NOT_HERE = {
    "loadmodule": "modules are not available in this server",
    "sentinel": "sentinel directive while not in sentinel mode",
}

ChangeCallback = Callable[[Any], None]
"""Called with the new value, after all values of one `set` are in place. Raises ValueError(reason) to
refuse."""


class Config:
    file: str | None
    """Absolute path of the configuration file, None when there is none (then `rewrite` is refused)."""
    renamed_commands: dict[str, str]
    """`rename-command`: name → new name, both lower case; an empty new name removes the command."""

    users: list[tuple[bytes, list[bytes]]]
    """`user` lines: name and rules, in the order in which they stand."""
    user_lines: Callable[[], list[str]]
    """What follows `user` in a rewritten file; whoever keeps the users sets it."""

    def __init__(self) -> None:
        """All directives at their defaults; `dir` is the current directory."""
        for directive in TABLE.values():
            self._store(directive, copy.copy(directive.default))
        self.dir = os.getcwd()
        self.file = None
        self.renamed_commands = {}
        self.users = []
        self.user_lines = self._declared_users
        self._callbacks: dict[str, list[ChangeCallback]] = {}

    def __getattr__(self, name: str) -> Any:
        """Only reached for names that no directive has: values are ordinary attributes."""
        raise AttributeError(f"no directive {name.replace('_', '-')!r}")

    @classmethod
    def from_args(cls, argv: Sequence[str]) -> Config:
        """Settings of a worker started with these arguments (see `sources`). Raises ConfigError."""
        config = cls()
        command_line = sources.parse_command_line(list(argv))
        if command_line.file is not None:
            config.file = os.path.abspath(command_line.file)
        loader = _Loader(config)
        loader.load(sources.read_all(command_line, config.file))
        if config.storage_engine == "disk" and not loader.save_seen:
            config.__dict__["save"] = []  # the store is on the disk already
        config._check_whole()
        return config

    def path(self, name: str) -> str:
        """Where a file named in a setting lives: relative names are inside `dir`."""
        return os.path.join(self.dir, name)

    def inert_settings(self) -> list[str]:
        """Directives that were set although nothing here depends on them; worth a line in the log."""
        return [
            directive.name
            for directive in TABLE.values()
            if directive.inert and getattr(self, directive.attribute) != directive.default
        ]

    def get(self, *patterns: str) -> dict[str, str]:
        """CONFIG GET: names and values of the directives that match any of the glob patterns."""
        found: dict[str, str] = {}
        for pattern in patterns:
            if not _PATTERN_CHARACTERS & set(pattern):
                if pattern.lower() in BY_NAME:
                    found[pattern] = self._shown(BY_NAME[pattern.lower()])
                continue
            glob = Glob(to_bytes(pattern), ignore_case=True)
            for name, directive in BY_NAME.items():
                by_name_only = directive.hidden or name == directive.valkey_name
                if not by_name_only and glob.matches(name.encode()):
                    found[name] = self._shown(directive)
        return found

    def set(self, changes: Mapping[str, str] | Iterable[tuple[str, str]], *, local: bool = False) -> None:
        """CONFIG SET: all of the changes, or none and a ReplyError. `local`: the client is on this
        machine."""
        pairs = list(changes.items() if isinstance(changes, Mapping) else changes)
        directives = self._changeable([name for name, _ in pairs], local)
        old = [getattr(self, directive.attribute) for directive in directives]
        new = []
        for (name, text), directive, before in zip(pairs, directives, old, strict=True):
            words = _words_of(text) if directive.kind.words else [text]
            try:
                new.append(directive.kind.merge(before, directive.kind.parse(words)))
            except ValueError as error:
                raise errors.config_set_failed(name.lower(), str(error)) from None
        for directive, value in zip(directives, new, strict=True):
            self._store(directive, value)
        self._call_back(directives, old, new)

    def on_change(self, name: str, callback: ChangeCallback) -> None:
        """Call `callback(new_value)` whenever `set` gives the directive another value."""
        self._callbacks.setdefault(BY_NAME[name.replace("_", "-")].name, []).append(callback)

    def rewrite(self) -> None:
        """CONFIG REWRITE: bring the configuration file up to date. Raises ReplyError, and OSError from
        writing."""
        if self.file is None:
            raise errors.NO_CONFIG_FILE
        rewrite.rewrite_file(self.file, self._lines_of, self.user_lines())

    def _declared_users(self) -> list[str]:
        return [to_text(b" ".join((name, *rules))) for name, rules in self.users]

    def _lines_of(self, directive: Directive) -> tuple[list[str], bool]:
        value = getattr(self, directive.attribute)
        if directive.name == "replicaof" and self.cluster_enabled:
            return [], False  # in a cluster nodes.conf says who follows whom
        return directive.kind.lines(value, directive.default), value != directive.default

    def _shown(self, directive: Directive) -> str:
        return directive.kind.show(getattr(self, directive.attribute))

    def _store(self, directive: Directive, value: Any) -> None:
        self.__dict__[directive.attribute] = value

    def _changeable(self, names: list[str], local: bool) -> list[Directive]:
        """The directives of these names, if CONFIG SET may change them all together."""
        for name in names:
            if name.lower() not in BY_NAME:
                raise errors.config_set_unknown(name)
        directives: list[Directive] = []
        for name in names:
            directive = BY_NAME[name.lower()]
            if directive.immutable:
                raise errors.config_set_failed(name, "can't set immutable config")
            allowed = ("yes", "local") if local else ("yes",)
            if directive.protected and self.enable_protected_configs not in allowed:
                raise errors.config_set_failed(name, "can't set protected config")
            if directive in directives:
                raise errors.config_set_failed(name, "duplicate parameter")
            directives.append(directive)
        return directives

    def _call_back(self, directives: list[Directive], old: list[Any], new: list[Any]) -> None:
        changes = list(zip(directives, old, new, strict=True))
        for position, (directive, before, after) in enumerate(changes):
            if before == after and not directive.volatile:
                continue
            try:
                for callback in self._callbacks.get(directive.name, ()):
                    callback(after)
            except ValueError as error:
                self._take_back(changes, position)
                raise errors.config_set_failed(directive.name, str(error)) from None

    def _take_back(self, changes: list[tuple[Directive, Any, Any]], refused: int) -> None:
        """Restore all old values, and tell those who had already acted, up to the one that refused."""
        for directive, before, _ in changes:
            self._store(directive, before)
        for directive, before, after in changes[: refused + 1]:
            if before != after:
                for callback in self._callbacks.get(directive.name, ()):
                    with contextlib.suppress(ValueError):  # a file that was good has changed since
                        callback(before)

    def _check_whole(self) -> None:
        """Checks that need all settings together."""
        if self.logfile:
            try:
                with open(self.path(self.logfile), "ab"):
                    pass
            except OSError as error:
                raise sources.fatal(f"Can't open the log file: {error.strerror}") from None
        if self.cluster_enabled and self.replicaof:
            raise sources.fatal("replicaof directive not allowed in cluster mode")


def _words_of(text: str) -> list[str]:
    """The words of a CONFIG SET value: split at each single space, without quotes; "" has none."""
    return text.split(" ") if text else []


class _Loader:
    """Applies the lines of one start-up to a Config."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.depth = 0
        self.save_seen = False

    def load(self, text: bytes) -> None:
        for number, line in sources.numbered_lines(text):
            try:
                words = split_words(line)
            except UnbalancedQuotes:
                raise sources.fatal("Unbalanced quotes in configuration line", number, line) from None
            try:
                self.apply(words[0].lower().decode("latin-1"), [to_text(word) for word in words[1:]])
            except ValueError as error:
                raise sources.fatal(str(error), number, line) from None

    def apply(self, name: str, words: list[str]) -> None:
        """Carry out one directive. Raises ValueError(reason)."""
        directive = BY_NAME.get(name)
        if directive:
            self.assign(directive, words)
        elif name == "include" and len(words) == 1:
            self.include(words[0])
        elif name == "rename-command" and len(words) == 2:
            self.config.renamed_commands[words[0].lower()] = words[1].lower()
        elif name == "user" and words:
            self.declare_user([to_bytes(word) for word in words])
        elif name in _NOT_HERE and words:
            raise ValueError(_NOT_HERE[name])
        elif not (name in DEPRECATED and len(words) == 1):
            raise ValueError(_BAD_DIRECTIVE)

    def assign(self, directive: Directive, words: list[str]) -> None:
        if not directive.kind.words and len(words) != 1:
            raise ValueError("wrong number of arguments")
        before = getattr(self.config, directive.attribute)
        value = directive.kind.merge(before, directive.kind.parse(words))
        if directive.name == "save":
            # Files list save points one per line: the first line replaces the defaults, the others add to it.
            value = before + value if self.save_seen and value else value
            self.save_seen = True
        self.config.__dict__[directive.attribute] = value

    def declare_user(self, words: list[bytes]) -> None:
        """`user <name> <rule> ...`. Raises ValueError(reason)."""
        # Only here: most who read settings have no users to declare, and the rules need the command table.
        from node.acl.rules import DUPLICATE_USER, RuleError, joined_selectors
        from node.acl.users import checked_declaration

        name, *rules = words
        try:
            if any(name == known for known, _ in self.config.users):
                raise RuleError(DUPLICATE_USER)
            rules = joined_selectors(rules)
            checked_declaration(name, rules)
        except RuleError as error:
            raise ValueError(f"Error in user declaration '{to_text(name)}': {error}") from None
        self.config.users.append((name, rules))

    def include(self, path: str) -> None:
        if self.depth == MAX_INCLUDE_DEPTH:
            raise ConfigError(f"Fatal error, config file '{path}' is included too deeply")
        self.depth += 1
        self.load(sources.read_included(self.config.path(path)))
        self.depth -= 1
