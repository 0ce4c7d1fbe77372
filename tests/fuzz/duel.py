"""Two servers that get the same stories, each in one pipeline, and the shortest story that tells them apart.

`Duel.fight` sends a story to both and compares the replies. A story that fails is shortened (`shorten`):
parts of it are left out, in ever smaller pieces, then commands inside its transactions, as long as what is
left still ends in such a difference. What remains is printed as a script for tests/compat
(`differential.py`).
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from tests.fuzz.explained import explained
from tests.fuzz.stories import DEFAULTS, Story, Unit, questions
from tests.fuzz.verdict import Judge, differing_counters
from tests.harness.resp import Resp, encode
from tests.harness.servers import Server

T = TypeVar("T")

Explained = Callable[[Sequence[bytes], bytes, bytes], bool]
"""Whether there is a reason for these replies, ours and theirs, to a command."""

CHANGES = re.compile(rb"(rdb_changes_since_last_save:)(\d+)")

END = b"the story ends here"
START = (*DEFAULTS, [b"FLUSHALL"], [b"CONFIG", b"RESETSTAT"], [b"DEBUG", b"SET-ACTIVE-EXPIRE", b"0"])
PATIENCE = 30.0
TRIAL_PATIENCE = 3.0
TRIALS = 600


class Difference(NamedTuple):
    """A command that was answered differently; `units` is the story up to there, its questions included."""

    argv: Sequence[bytes]
    ours: bytes
    theirs: bytes
    units: list[Unit]


def shared_commands(*servers: Server) -> frozenset[str]:
    """The names, with those of subcommands, that all the servers know and give the same number of arguments;
    without what ends a connection."""
    known = []
    for server in servers:
        told = server.run("COMMAND")
        known.append({(each[0], each[1]) for row in told for each in (row, *row[9])})
    return frozenset(name.decode() for name, _ in set.intersection(*known)) - {"quit", "reset"}


class Silence(AssertionError):
    """A server closed the connection or did not answer in time."""


class Duel:
    def __init__(self, ours: Server, theirs: Server) -> None:
        self.ours, self.theirs = ours, theirs
        self.explained: Explained = functools.partial(explained, theirs.kind)

    def fight(self, story: Story, patience: float = PATIENCE) -> Difference | None:
        """The first unexplained difference, if there is one."""
        units = [*story.units, *([argv] for argv in questions())]
        commands = [argv for unit in units for argv in unit]
        request = b"".join(encode(*argv) for argv in commands) + encode("ECHO", END)
        with (
            Resp(self.ours.port, timeout=patience, protocol=story.protocol) as mine,
            Resp(self.theirs.port, timeout=patience, protocol=story.protocol) as other,
        ):
            changes = [begin(connection, request) for connection in (mine, other)]
            theirs = count_from(changes[1], receive(other, self.theirs))
            ours = count_from(changes[0], receive(mine, self.ours))
        return self._unexplained(units, commands, ours, theirs)

    def _unexplained(
        self, units: list[Unit], commands: list[list[bytes]], ours: bytes, theirs: bytes
    ) -> Difference | None:
        found = Judge(self.explained).first_difference(commands, ours, theirs)
        if found is None:
            return None
        index, mine, other = found
        ends = list(itertools.accumulate(len(unit) for unit in units))
        last = next(number for number, end in enumerate(ends) if end > index)
        return Difference(commands[index], mine, other, units[: last + 1])

    # shortening

    def shorten(self, story: Story, found: Difference) -> Difference:
        """The same kind of difference from as few commands as can be found in TRIALS attempts."""
        told = found.units[: len(story.units)]
        best = found
        trials = iter(range(TRIALS))

        def fails(units: list[Unit]) -> bool:
            nonlocal best
            if next(trials, None) is None:
                return False
            try:
                made = self.fight(Story(story.protocol, units), TRIAL_PATIENCE)
            except Silence:
                return False
            if made is None or kind_of(made) != kind_of(found):
                return False
            best = made
            return True

        told = drop_parts(told, fails)
        for number, unit in enumerate(told):
            if len(unit) > 1:
                told[number] = drop_parts(
                    unit, lambda kept, n=number: fails([*told[:n], kept, *told[n + 1 :]])
                )  # type: ignore[misc]
        return best._replace(units=told)


def kind_of(found: Difference) -> tuple[bytes, ...]:
    """What makes it the same difference after commands were left out before it."""
    return (found.argv[0].upper() if found.argv else b"", found.ours[:1], found.theirs[:1])


def drop_parts(parts: list[T], fails: Callable[[list[T]], bool]) -> list[T]:
    """`parts` without those that `fails` does not need: halves first, single ones last."""
    size = max(1, len(parts) // 2)
    while True:
        at = 0
        while at < len(parts):
            kept = parts[:at] + parts[at + size :]
            if kept != parts and fails(kept):
                parts = kept
            else:
                at += size
        if size == 1:
            return parts
        size = max(1, size // 2)


def begin(connection: Resp, request: bytes) -> int:
    """Send `request` to an empty server. The changes that it had counted before."""
    for argv in START:
        connection.command(*argv)
    told = connection.command("INFO", "persistence")
    connection.send(request)
    found = CHANGES.search(told if isinstance(told, bytes) else told.text)
    assert found is not None
    return int(found[2])


def count_from(before: int, replies: bytes) -> bytes:
    """The replies as if the server had counted no changes before; their lengths stay."""
    return CHANGES.sub(lambda found: b"%b%0*d" % (found[1], len(found[2]), int(found[2]) - before), replies)


def receive(connection: Resp, server: Server) -> bytes:
    """All replies up to the one that ends the story."""
    mark = b"$%d\r\n%b\r\n" % (len(END), END)
    received = bytearray()
    while not received.endswith(mark):
        try:
            chunk = connection.socket.recv(1 << 18)
        except (TimeoutError, ConnectionError) as broken:
            raise Silence(f"{server!r} does not answer: {broken}") from broken
        if not chunk:
            raise Silence(f"{server!r} closed the connection")
        received += chunk
    return bytes(received[: -len(mark)])


def tell(story: Story, found: Difference, note: str) -> str:
    """The difference, and the script that shows it, in the notation of tests/compat."""
    lines = [f"{note}, RESP{story.protocol}:"]
    lines += [quoted(argv) for unit in found.units for argv in unit]
    if [list(found.argv)] not in found.units[-1:]:
        lines.append(quoted(found.argv))
    if found.argv[:1] == [b"INFO"]:
        return "\n".join(
            [*lines, f"  counters, ours and theirs: {differing_counters(found.ours, found.theirs)}"]
        )
    return "\n".join([*lines, f"  ours:   {found.ours[:600]!r}", f"  theirs: {found.theirs[:600]!r}"])


def quoted(argv: Sequence[bytes]) -> str:
    return " ".join(word.decode() if word.isalnum() and word.isascii() else _quoted(word) for word in argv)


def _quoted(word: bytes) -> str:
    inside = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in word
    )
    return f'"{inside}"'
