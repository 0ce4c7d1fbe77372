"""What the two ends of a migration want done: values that their driver performs, in order, after each input.

The machines (export_job.py, import_job.py) decide and touch nothing, so that every way a migration can end is
tested without a socket. Sockets, children and data are the driver's (migrations.py, exporter.py,
importer.py).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Connect:
    """Open the connection to the target; report with `connected` or `failed_to_connect`."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Log in at the target, as at a primary."""


@dataclass(frozen=True, slots=True)
class Send:
    """One command for the other end."""

    argv: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Hangup:
    """Close the connection, and end a snapshot under way."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Send the keys of the slots, and keep what is written to them from now on. Report with `snapshot_began`,
    or with nothing if it cannot begin yet; then with `snapshot_sent` or `snapshot_failed`."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Send what was kept, and from now on everything that is written to the slots."""


@dataclass(frozen=True, slots=True)
class HoldWrites:
    """Writes to the slots wait until Unix ms `until`."""

    until: int


@dataclass(frozen=True, slots=True)
class ResumeWrites:
    """They wait no longer."""


@dataclass(frozen=True, slots=True)
class TakeSlots:
    """The slots are ours, by a new config epoch: their keys become visible, and everybody is told."""


@dataclass(frozen=True, slots=True)
class Outbid:
    """The slots are ours, under a config epoch that beats one which the dead target may have taken."""


@dataclass(frozen=True, slots=True)
class Admit:
    """Our primary has taken the slots: their keys become visible here, too."""


@dataclass(frozen=True, slots=True)
class Dismiss:
    """The slots do not come. `told`: replicas and log hear of each key that goes."""

    told: bool


@dataclass(frozen=True, slots=True)
class Propagate:
    """A command for our replicas and our log."""

    argv: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Log:
    level: str
    text: str


Effect = (
    Connect
    | Authenticate
    | Send
    | Hangup
    | Snapshot
    | Stream
    | HoldWrites
    | ResumeWrites
    | TakeSlots
    | Outbid
    | Admit
    | Dismiss
    | Propagate
    | Log
)
