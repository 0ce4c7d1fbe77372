"""One member of the cluster, as another member knows it.

Most fields are the other's own words, received with its heartbeats; `ping_sent`, `pong_received` and
`data_received` are this node's observations, from which failure detection draws its conclusions. Nodes are
changed only by `Topology` (relations between nodes, slots) and by the coordinator (everything
else). Times are Unix ms, 0 for never.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cluster.slots import NO_SLOTS, format_ranges
from cluster.topology import flags as flag

ID_LENGTH = 40
_HEX = frozenset("0123456789abcdef")


def is_node_id(text: str) -> bool:
    """40 lower-case hex characters: also the form of a shard id."""
    return len(text) == ID_LENGTH and _HEX.issuperset(text)


@dataclass(frozen=True, slots=True)
class Outside:
    """Where clients from outside find a member. A port is 0 where there is none."""

    host: str
    port: int
    tls_port: int


class Node:
    """A member. Compared by identity; `id` changes once, at the end of a handshake."""

    __slots__ = (
        "_ranges",
        "_ranges_of",
        "abdicates",
        "assured_at",
        "availability_zone",
        "bus_port",
        "config_epoch",
        "data_received",
        "fail_reports",
        "fail_time",
        "flags",
        "hostname",
        "human_nodename",
        "id",
        "inbound_link",
        "ip",
        "is_shoal",
        "is_valkey",
        "link",
        "link_created_at",
        "met_at",
        "orphaned_since",
        "outside",
        "ping_sent",
        "pong_received",
        "primary",
        "repl_offset",
        "replicas",
        "shard_id",
        "slots",
        "tcp_port",
        "tls_port",
        "told",
        "voted_at",
        "voted_for",
        "vouched_until",
        "witnessed",
    )

    def __init__(self, id: str, flags: int, shard_id: str, met_at: int = 0) -> None:
        self.id = id
        self.flags = flags
        self.shard_id = shard_id
        self.met_at = met_at
        """When somebody introduced it by MEET; 0 if it became known otherwise."""
        self.ip = ""
        """"" if unknown."""
        self.tcp_port = 0
        self.tls_port = 0
        self.bus_port = 0
        self.hostname = ""
        self.human_nodename = ""
        self.availability_zone = ""
        """Where it says it is. Not in nodes.conf, because a Redis refuses such a file; heartbeats tell it."""
        self.outside: Outside | None = None
        """Where clients from outside find it; None: as others do."""
        self.config_epoch = 0
        """Of its claim to its slots: unique among primaries, the greater wins. Unused for a replica."""
        self.slots = NO_SLOTS
        """Bitmap of the slots it owns; empty for a replica."""
        self.primary: Node | None = None
        """Whom it replicates; None for a primary, and for a replica whose primary is not known yet."""
        self.replicas: list[Node] = []
        self.link: int | None = None
        """The bus link we opened to it; there while connecting, too."""
        self.link_created_at = 0
        self.inbound_link: int | None = None
        """The bus link it opened to us."""
        self.ping_sent = 0
        """Time of the ping that still waits for its pong."""
        self.pong_received = 0
        """Last pong, or what others gossiped about theirs while all is well."""
        self.data_received = 0
        """Last message of any kind."""
        self.fail_time = 0
        """When FAIL was set."""
        self.fail_reports: dict[str, int] = {}
        """Primaries that say it does not answer: id → time of the last such gossip."""
        self.voted_at = 0
        """When we last voted for one of its replicas."""
        self.voted_for = ""
        """The id of that replica."""
        self.assured_at = 0
        """When we last answered its ping without a doubt of its place."""
        self.repl_offset = 0
        """Replication offset it announced."""
        self.is_valkey = False
        """It is a Valkey, of 8.0 or later, going by what it can read."""
        self.is_shoal = False
        """It reads what only shoal workers say to each other."""
        self.witnessed = False
        """Its process was seen to end, and it has not answered since."""
        self.abdicates = False
        """It says that a replica should take its place."""
        self.vouched_until = 0
        """Until then its silence only means that it is busy: a witness said so."""
        self.orphaned_since = 0
        """Since when it has no working replica; kept by replica migration."""

        self.told: Any = None
        """The entry of gossip that was last made of it; the coordinator's own."""
        self._ranges = ""
        self._ranges_of = NO_SLOTS

    def __repr__(self) -> str:
        return f"<Node {self.id[:8]} {self.ip}:{self.tcp_port} {flag.format_flags(self.flags)}>"

    @property
    def is_primary(self) -> bool:
        return bool(self.flags & flag.PRIMARY)

    @property
    def is_replica(self) -> bool:
        return bool(self.flags & flag.REPLICA)

    @property
    def is_myself(self) -> bool:
        return bool(self.flags & flag.MYSELF)

    @property
    def in_handshake(self) -> bool:
        return bool(self.flags & flag.HANDSHAKE)

    @property
    def timed_out(self) -> bool:
        return bool(self.flags & flag.PFAIL)

    @property
    def failed(self) -> bool:
        return bool(self.flags & flag.FAIL)

    @property
    def heirs(self) -> list[Node]:
        """The replicas that may take its place, failed or not."""
        return [replica for replica in self.replicas if replica.may_fail_over]

    @property
    def may_fail_over(self) -> bool:
        return not self.flags & flag.NOFAILOVER

    @property
    def slot_count(self) -> int:
        return self.slots.bit_count()

    @property
    def slot_ranges(self) -> str:
        """`0-5460 6000`; worked out once for as long as the slots stay the same."""
        if self._ranges_of is not self.slots:
            self._ranges = format_ranges(self.slots)
            self._ranges_of = self.slots
        return self._ranges

    @property
    def owner(self) -> Node:
        """The primary at the head of its shard: itself, or the end of its chain of primaries."""
        node = self
        for _ in range(
            8
        ):  # A chain is one link long; two while a failover spreads. A cycle can exist after TAKEOVER.
            if node.primary is None:
                break
            node = node.primary
        return node

    def client_port(self, tls: bool) -> int:
        return self.tls_port if tls else self.tcp_port

    def outside_address(self, tls: bool) -> tuple[str, int] | None:
        """Where clients from outside find it, if it has said so."""
        port = self.outside and (self.outside.tls_port if tls else self.outside.port)
        return (self.outside.host, port) if self.outside and port else None

    def named(self) -> str:
        """`id (name)`, as Redis' log lines have it."""
        return f"{self.id} ({self.human_nodename})"
