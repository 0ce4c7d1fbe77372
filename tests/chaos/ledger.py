"""What is known of every key, so that any value read can be judged.

A key has one writer, which gives it the versions 1, 2, 3 ... in turn, so its value says which write made it.
A write is *acknowledged* when the server said so, and *doubtful* when the client got an error instead: it
may have happened all the same. The value found is then one of

    the last acknowledged version            as it should be
    a doubtful version                       as it may be; if acknowledged ones are newer, those are lost
    an older acknowledged version, or none   all newer acknowledged ones are lost
    anything else                            `Impossible`: nobody wrote that

A loss is counted once: after it, what was found is the base for what comes. Asynchronous replication loses
what the dead primary had acknowledged and not yet sent, so losses are a figure to report; the time of the
acknowledgement tells whether a loss can be one of those.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

NONE = 0
"""The version of a key that does not exist."""


class Impossible(AssertionError):
    """A value was read that nobody wrote, or that was not yet written."""


@dataclass(frozen=True)
class Loss:
    """An acknowledged write that was gone when its key was looked at."""

    key: str
    version: int
    acknowledged_at: float


@dataclass(slots=True)
class _History:
    last: int = NONE
    """The last version given out."""
    base: int = NONE
    """The key's version before the first of `acknowledged`."""
    acknowledged: dict[int, float] = field(default_factory=dict)
    """version -> when, in order."""
    doubtful: set[int] = field(default_factory=set)


class Ledger:
    """All keys of one writer. Times are those of any one clock."""

    def __init__(self) -> None:
        self._histories: dict[str, _History] = {}
        self.losses: list[Loss] = []

    def __iter__(self) -> Iterator[str]:
        return iter(self._histories)

    def adopt(self, key: str, version: int) -> None:
        """The key has this version already."""
        self._histories[key] = _History(last=version, base=version)

    def next_version(self, key: str) -> int:
        history = self._histories.setdefault(key, _History())
        history.last += 1
        return history.last

    def acknowledged(self, key: str, version: int, now: float) -> None:
        self._histories[key].acknowledged[version] = now

    def doubtful(self, key: str, version: int) -> None:
        self._histories[key].doubtful.add(version)

    def expected(self, key: str) -> int:
        """The last acknowledged version."""
        history = self._histories.setdefault(key, _History())
        return next(reversed(history.acknowledged), history.base)

    def found(self, key: str, version: int) -> None:
        """The key has this version now; raises Impossible, and counts what was lost."""
        if version == self.expected(key):
            return
        history = self._histories[key]
        if (
            version not in history.doubtful
            and version not in history.acknowledged
            and version != history.base
        ):
            raise Impossible(f"{key} has version {version}, which is none of {history}")
        for lost in [each for each in history.acknowledged if each > version]:
            self.losses.append(Loss(key, lost, history.acknowledged.pop(lost)))
        if version != self.expected(key):
            history.base = version
            history.acknowledged.clear()
