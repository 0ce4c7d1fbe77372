"""What the coordinator wants done: values that its shell performs, in order, after each call.

The coordinator decides and never acts. Every entry point returns a list of these; the shell
(`cluster/member.py`, or the simulation in tests) carries them out from first to last. One order is a
matter of safety: `SaveConfig` comes first in the list, and what stands behind it must not leave the
process before the file is on disk, because a vote or an epoch that was sent must survive a crash.

Links are numbers. The coordinator numbers the ones it opens (`Connect.link`, from 1 upwards, never
reused); the shell gives accepted ones negative numbers of its own. A node in handshake changes its id
when it answers, its link's number stays.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.coordinator.messages import Message, Published

LinkId = int


@dataclass(frozen=True, slots=True)
class SaveConfig:
    """Replace nodes.conf by `text` (atomically). `sync`: on disk, by fsync, before going on."""

    text: str
    sync: bool


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a bus link; report with `link_up` or `link_down`. `ip` is an address, never a name."""

    link: LinkId
    ip: str
    bus_port: int


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close this link, ours or accepted. No `link_down` follows."""

    link: LinkId


@dataclass(frozen=True, slots=True)
class Send:
    """Send this over each of `links`: encode once. A link that is gone or not yet up drops it."""

    links: tuple[LinkId, ...]
    message: Message | Published


@dataclass(frozen=True, slots=True)
class BecomeReplicaOf:
    """Follow this primary: replicate from ip:port, and keep doing so. `id` for logs."""

    id: str
    ip: str
    port: int


@dataclass(frozen=True, slots=True)
class LeavePrimary:
    """Take nothing from our primary any more, at least for `ms`: what we have is what another needs to know.
    `BecomeReplicaOf` ends it."""

    ms: int


@dataclass(frozen=True, slots=True)
class BecomePrimary:
    """Stop replicating and keep the data; WAIT, expiry and writes are now this worker's own."""


@dataclass(frozen=True, slots=True)
class SlotsChanged:
    """These slots (bitmap) may be served differently now: owner, importing, migrating, or own role changed.

    The shell asks `Coordinator.topology` again for each of them, and drops sharded subscriptions of
    slots that are no longer this shard's.
    """

    slots: int


@dataclass(frozen=True, slots=True)
class DeleteKeys:
    """Another primary won these slots (bitmap): delete the keys that are still here."""

    slots: int


@dataclass(frozen=True, slots=True)
class EmptyDatabase:
    """Delete all keys: a replica was reset."""


@dataclass(frozen=True, slots=True)
class PauseWrites:
    """Manual failover: hold back writes, expiry and eviction until Unix ms `until` or `ResumeWrites`.

    Once nothing is added to the replication stream any more: call `Coordinator.writes_paused`.
    """

    until: int


@dataclass(frozen=True, slots=True)
class ResumeWrites:
    """The manual failover ended or was given up."""


@dataclass(frozen=True, slots=True)
class ClusterStateChanged:
    """CLUSTER INFO's cluster_state is now ok, or fail; requests are answered accordingly."""

    ok: bool


@dataclass(frozen=True, slots=True)
class Deliver:
    """Give a message from another member to this worker's subscribers."""

    channel: bytes
    message: bytes
    sharded: bool


@dataclass(frozen=True, slots=True)
class Lapse:
    """Another may have our place: tell clients nothing of the data until a `Lease`."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Clients may be told of the data until then, by the clock of `now`; without limit where that is None:
    then what was held back is void, as it is not ours to tell. `renewed`: it had lapsed, and what was held
    back holds."""

    until: int | None
    renewed: bool = False


@dataclass(frozen=True, slots=True)
class Wake:
    """Call `Coordinator.wake` at this time: the next tick may be too late."""

    at: int


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the log. `level`: "debug", "verbose", "notice" or "warning"; the words are Redis' own."""

    level: str
    text: str


Effect = (
    SaveConfig
    | Connect
    | Disconnect
    | Send
    | BecomeReplicaOf
    | LeavePrimary
    | BecomePrimary
    | SlotsChanged
    | DeleteKeys
    | EmptyDatabase
    | PauseWrites
    | ResumeWrites
    | ClusterStateChanged
    | Deliver
    | Lapse
    | Lease
    | Wake
    | Log
)
