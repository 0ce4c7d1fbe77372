"""Keeping the workers' secrets out of what `ps` shows to everybody on the machine.

Settings that are secret go to workers by their standard input, which redis-server and valkey-server read as
ours do, and not by their command line. The supervisor's own command line is overwritten where it holds such
settings, as soon as it has been read: a moment late, so `--password-file` is the better way.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from pathlib import Path

from node.config.directives import BY_NAME
from node.config.sources import parse_command_line

_ARG_START, _ARG_END = 45, 46
"""Of /proc/self/stat, counted from what follows the program's name: proc(5), fields 48 and 49."""


def divide(settings: Sequence[str]) -> tuple[list[str], bytes]:
    """`--name value ...` as (those that anybody may see, the others as lines of a configuration)."""
    public: list[str] = []
    secret: list[str] = []
    for flag in _flags(settings):
        (secret if _is_secret(flag[0]) else public).extend(flag)
    return public, b"".join(line + b"\n" for line in parse_command_line(secret).lines)


def hide_own() -> None:
    """Overwrite the secret settings behind `--` in this process' command line; where the system has no such
    thing nothing happens."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        shown = Path("/proc/self/cmdline").read_bytes()
    except OSError:
        return
    start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
    hidden = without_secrets(shown)
    if start and end - start == len(shown) == len(hidden):
        ctypes.memmove(start, hidden, len(hidden))


def without_secrets(command_line: bytes) -> bytes:
    """The same arguments, each ended by a zero, and equally long, with stars in place of secrets."""
    words = command_line.split(b"\0")
    if b"--" not in words:
        return command_line
    at = words.index(b"--") + 1
    for flag in _flags([word.decode("utf-8", "surrogateescape") for word in words[at:-1]]):
        if _is_secret(flag[0]):
            name = len(flag[0].split(" ")[0].encode("utf-8", "surrogateescape"))
            words[at] = words[at][:name] + b"*" * (len(words[at]) - name)
            words[at + 1 : at + len(flag)] = [b"*" * len(word) for word in words[at + 1 : at + len(flag)]]
        at += len(flag)
    return b"\0".join(words)


def _flags(settings: Iterable[str]) -> list[list[str]]:
    """Each with its values. What follows a name at once is its value, whatever it looks like."""
    flags: list[list[str]] = []
    name_is_last = False
    for word in settings:
        if not flags or (word.startswith("--") and not name_is_last):
            flags.append([word])
            name_is_last = " " not in word and word.lower() != "--save"
        else:
            flags[-1].append(word)
            name_is_last = False
    return flags


def _is_secret(flag: str) -> bool:
    name = flag.removeprefix("--").split(" ")[0].lower()
    return name == "user" or (name in BY_NAME and BY_NAME[name].secret)
