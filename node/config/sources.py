"""Where directives come from at start-up: a file, standard input, and flags, in this order.

All of them become one text, as in Redis: the file's lines, then those of stdin, then one line per flag. The
last setting of a directive wins, and an error names the line of that text. `include` reads another file (or
all that a pattern matches) in place, with line numbers of its own.

The forms of a command line:

    [file | -] [--name value ...] ... [-]

A flag takes all arguments up to the next one that begins with `--`; `"--name value"` in a single argument
works too; `--save` without a value means `save ""`. An argument right after a flag's name is its
value even if it begins with `--`.
"""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterator
from typing import NamedTuple

from node.config.directives import BY_NAME
from node.config.text import to_bytes
from node.version import REDIS_VERSION
from node.words import quote, split_words


class ConfigError(Exception):
    """The settings cannot be used. The text is for stderr as it stands; the process then exits with 1."""


class CommandLine(NamedTuple):
    file: str | None
    """Path of the configuration file, as given."""
    stdin: bool
    """Whether more lines are to be read from standard input."""
    lines: list[bytes]
    """One configuration line per flag."""


def fatal(reason: str, number: int = 0, line: bytes = b"") -> ConfigError:
    """The error Redis prints for a bad line; without a line, for settings that do not fit together."""
    where = ""
    if number:
        shown = _without_secrets(line).decode("utf-8", "replace")
        where = f"Reading the configuration file, at line {number}\n>>> '{shown}'\n"
    return ConfigError(f"\n*** FATAL CONFIG FILE ERROR (Redis {REDIS_VERSION}) ***\n{where}{reason}")


def _without_secrets(line: bytes) -> bytes:
    """Of a user's rules, those that are passwords are left out, or the hashes of some."""
    name, _, value = line.partition(b" ")
    if name.lower() == b"user":
        words = (b"(redacted)" if word[:1] in b"><#!" else word for word in value.split(b" "))
        return b" ".join((name, *words))
    directive = BY_NAME.get(name.lower().decode("latin-1"))
    is_secret = directive is not None and directive.secret
    return name + b" (redacted)" if is_secret and value else line


def parse_command_line(argv: list[str]) -> CommandLine:
    """Split the arguments of a worker, its program name not included. Reads no file."""
    file = None
    rest = list(argv)
    if rest and not rest[0].startswith("-"):
        file = rest.pop(0)
    stdin = False
    lines: list[bytes] = []
    name_is_last = False  # a flag's name was just read, so what follows is its value, whatever it looks like
    for position, argument in enumerate(rest):
        following = rest[position + 1] if position + 1 < len(rest) else None
        if argument == "-" and (following is None or (position == 0 and file is None)):
            stdin = True
        elif argument.startswith("--") and not name_is_last:
            raw = to_bytes(argument[2:])
            lines.append(raw)
            name_is_last = len(split_words(raw)) == 1
            if raw.lower() == b"save" and (following is None or following.startswith("--")):
                lines[-1] += b' ""'
                name_is_last = False
        else:
            word = to_bytes(quote(to_bytes(argument)))
            lines[-1:] = [lines[-1] + b" " + word if lines else word]
            name_is_last = False
    return CommandLine(file, stdin, lines)


def numbered_lines(text: bytes) -> Iterator[tuple[int, bytes]]:
    """(number, line) of every line that is neither blank nor a comment; numbers start at 1."""
    for number, line in enumerate(text.split(b"\n"), 1):
        line = line.strip(b" \t\r\n")
        if line and not line.startswith(b"#"):
            yield number, line


def read_file(path: str) -> bytes:
    """The bytes of a configuration file. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ConfigError(f"Fatal error, can't open config file '{path}': {error.strerror}") from None


def read_included(path: str) -> bytes:
    """All files a path or pattern names, joined. A pattern may match nothing; a plain path must exist."""
    if glob.has_magic(path):
        return b"".join(read_file(match) for match in sorted(glob.glob(path)))
    return read_file(path)


def read_all(command_line: CommandLine, file: str | None) -> bytes:
    """The one text of all sources; `file` is the absolute path of the configuration file."""
    text = read_file(file) if file else b""
    if command_line.stdin:
        text += sys.stdin.buffer.read()
    return text + b"".join(b"\n" + line for line in command_line.lines)
