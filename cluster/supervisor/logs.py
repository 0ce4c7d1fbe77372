"""The children's output as lines that a person can follow.

A worker's line in Redis' format is shortened to what matters where seven processes speak at once: the time,
who, the level's mark and the words. Anything else is shown as it is, behind the same prefix.

    75341:M 22 Nov 2026 17:38:38.914 * Ready to accept connections tcp
    17:38:38 7001  │ * Ready to accept connections tcp
"""

from __future__ import annotations

import json
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

LONGEST_LINE = 4096
"""A child that never ends its line must not fill our memory; what is longer is shown in pieces."""
REMEMBERED_LINES = 20

_REDIS_LINE = re.compile(r"^\d+:[A-Z] \d\d [A-Z][a-z]{2} \d{4} (\d\d:\d\d:\d\d)\.\d{3} ([.\-*#A-Z]) (.*)$")
_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
_RESET = "\x1b[0m"


class LineSplitter:
    """Bytes in any pieces in, whole lines out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[str]:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        while len(self._rest) > LONGEST_LINE:
            lines.append(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]
        for line in lines:
            yield line.rstrip(b"\r").decode(errors="replace")

    def end(self) -> Iterator[str]:
        if self._rest:
            yield self._rest.decode(errors="replace")
        self._rest = b""


class Speaker:
    """Prints one child's lines with its prefix, and remembers the last ones for an error message.

    `loud` is asked for each line: while a cluster starts, every worker has much to say about every other.
    """

    def __init__(
        self, name: str, width: int, number: int, write: Callable[[str], None], loud: Callable[[], bool]
    ) -> None:
        self._write = write
        self._loud = loud
        self.last: deque[str] = deque(maxlen=REMEMBERED_LINES)
        prefix = name.ljust(width) + " │"
        if sys.stdout.isatty():
            prefix = f"\x1b[{_COLOURS[number % len(_COLOURS)]}m{prefix}{_RESET}"
        self._prefix = prefix

    def say(self, line: str) -> None:
        if not line.strip():
            return
        self.last.append(line)
        if self._loud():
            self._write(shorten(line, self._prefix))


class JsonSpeaker(Speaker):
    """The same for programs: each line an object, that of the child with its name as `process`; what is none
    (the words of Python before its end) becomes the message of one."""

    def __init__(self, name: str, write: Callable[[str], None], loud: Callable[[], bool]) -> None:
        super().__init__(name, 0, 0, write, loud)
        self._name = name

    def say(self, line: str) -> None:
        if not line.strip():
            return
        self.last.append(message_of(line))
        if self._loud():
            fields = _fields(line) or {"level": "warning", "message": line}
            self._write(json.dumps({"process": self._name, **fields}))


def message_of(line: str) -> str:
    """The words of a line of JSON; of any other, all of it."""
    fields = _fields(line)
    return str(fields.get("message", line)) if fields else line


def _fields(line: str) -> dict[str, Any]:
    try:
        fields = json.loads(line) if line.startswith("{") else {}
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def shorten(line: str, prefix: str) -> str:
    match = _REDIS_LINE.match(line)
    if match is None:
        return f"         {prefix} {line}"
    time, mark, words = match.groups()
    return f"{time} {prefix} {mark} {words}"


def cause_of_end(lines: deque[str]) -> str:
    """The words of the last line that looks like a reason; empty when there is none."""
    for line in reversed(lines):
        match = _REDIS_LINE.match(line)
        words = match.group(3) if match else message_of(line)
        if words.strip():
            return words.strip()
    return ""
