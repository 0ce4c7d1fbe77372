"""The proxy poses as a cluster, for clients that can talk to nothing else (`--as-cluster`).

Its nodes are proxies, each a primary of some slots. Since every proxy serves every slot, what a client
believes of them never makes a difference: nobody is ever redirected, and a map that is out of date does no
harm. So the members of this cluster need not agree on anything. Each gives the same list the same shares, by
the order of addresses, and looks for itself which of the others answer; the share of one that does not goes
to those that do.

Without a list there is one node, at the address by which the client came; behind a load balancer that is
not where others find us, which `--announce` then says.

Shapes and words of replies are those of Redis 7.2; a node's id is made of its address, so that all proxies
call each other by the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster.slots import SLOT_COUNT
from node.core.key_slot import key_slot
from node.errors import CLUSTER_DISABLED, NOT_AN_INTEGER, ReplyError, one_line
from node.replies import OK, Verbatim
from proxy.local.local_commands import local
from proxy.workers.dialogue import Address, Line, open_socket, raw_replies

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.requests.commands import Commands

log = logging.getLogger("shoal.proxy")

PROBE_INTERVAL = 0.5
"""Seconds in the mean between two looks at the others"""
PROBE_TIMEOUT = 1.0
MISSES = 2
"""So many probes in a row without an answer, and a proxy counts as failed."""
BUS_OFFSET = 10000
"""Between a port and that of the bus, which tools expect to see; nobody listens there."""


@dataclass(frozen=True)
class Pose:
    """One proxy as a node of the cluster."""

    address: Address
    ranges: tuple[tuple[int, int], ...]
    """(first, last) slots"""
    alive: bool
    myself: bool
    epoch: int

    @property
    def id(self) -> str:
        return hashlib.sha1(b"node %b" % self._name).hexdigest()

    @property
    def shard_id(self) -> str:
        return hashlib.sha1(b"shard %b" % self._name).hexdigest()

    @property
    def _name(self) -> bytes:
        return b"%b:%d" % (self.address[0].encode(), self.address[1])

    @property
    def bus_port(self) -> int:
        port = self.address[1] + BUS_OFFSET
        return port if port < 65536 else 0

    @property
    def line(self) -> str:
        """Of CLUSTER NODES, without line end."""
        flags = ("myself," if self.myself else "") + "master" + ("" if self.alive else ",fail")
        link = "connected" if self.alive else "disconnected"
        slots = [f"{first}-{last}" for first, last in self.ranges]
        where = f"{self.address[0]}:{self.address[1]}@{self.bus_port}"
        return " ".join([f"{self.id} {where} {flags} - 0 0 {self.epoch} {link}", *slots])


class Facade:
    def __init__(self, members: Sequence[Address], myself: Address | None) -> None:
        """`members`: all proxies, `myself` among them; or none, and perhaps the address of this one."""
        self.members = sorted(set(members)) or ([myself] if myself else [])
        self.myself = myself
        self._misses = dict.fromkeys(self.members, 0)

    def nodes(self, client: Client) -> list[Pose]:
        """All proxies, in order of addresses."""
        members = self.members or [_came_to(client)]
        myself = self.myself or members[0]
        alive = [self._misses.get(member, 0) < MISSES for member in members]
        return [
            Pose(member, tuple(ranges), alive[index], member == myself, index + 1)
            for index, (member, ranges) in enumerate(zip(members, shares(alive), strict=True))
        ]

    async def watch(self) -> None:
        """Look for ever which of the others answer. Cancelled by whoever started it."""
        others = [member for member in self.members if member != self.myself]
        while others:
            answers = await asyncio.gather(*map(_answers, others))
            for member, answered in zip(others, answers, strict=True):
                self._note(member, answered)
            await asyncio.sleep(PROBE_INTERVAL * random.uniform(0.75, 1.25))

    def _note(self, member: Address, answered: bool) -> None:
        before = self._misses[member]
        self._misses[member] = 0 if answered else before + 1
        if answered and before >= MISSES:
            log.info("the proxy %s:%d answers again", *member)
        elif not answered and before + 1 == MISSES:
            log.warning("the proxy %s:%d does not answer; its slots are shown as others'", *member)


def shares(alive: Sequence[bool]) -> list[list[tuple[int, int]]]:
    """Ranges of slots for each member: equal shares, and of those who are not alive an equal part for the
    others. Whoever is alive keeps the share it has when all are. Ranges that touch are one."""
    count = len(alive)
    edges = [index * SLOT_COUNT // count for index in range(count + 1)]
    heirs = [index for index in range(count) if alive[index]]
    owned: list[list[tuple[int, int]]] = [[] for _ in alive]
    for index in range(count):
        first, behind = edges[index], edges[index + 1]
        if alive[index]:
            _add(owned[index], first, behind)
            continue
        cuts = [first + part * (behind - first) // len(heirs) for part in range(len(heirs) + 1)]
        for heir, start, end in zip(heirs, cuts, cuts[1:], strict=False):
            _add(owned[heir], start, end)
    return owned


def _add(ranges: list[tuple[int, int]], first: int, behind: int) -> None:
    if first == behind:
        return
    if ranges and ranges[-1][1] == first - 1:
        first = ranges.pop()[0]
    ranges.append((first, behind - 1))


def _came_to(client: Client) -> Address:
    """The address by which this client reached us; one that came by a unix socket is told of the TCP port."""
    host, _, port = client.facts.local_address.rpartition(":")
    if port == "0":
        return "127.0.0.1", client.service.port
    return host.strip("[]"), int(port)


async def _answers(address: Address) -> bool:
    """Whatever it says to PING (perhaps that a password is wanted): it is there."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            connection = await open_socket(address)
            try:
                return bool(await raw_replies(Line(connection), (b"PING",)))
            finally:
                connection.close()
    except (OSError, TimeoutError, EOFError, ValueError):
        return False


# The commands


def facade_of(commands: Commands) -> Facade:
    """Raises what a server without cluster says."""
    if commands.facade is None:
        raise CLUSTER_DISABLED
    return commands.facade


@local("asking")
def asking(client: Client, argv: list[bytes], commands: Commands) -> Any:
    """Of no effect: each proxy serves all slots."""
    facade_of(commands)
    return OK


@local("readonly", "readwrite")
def read_from_replicas(client: Client, argv: list[bytes], commands: Commands) -> Any:
    """Whether this client's reads may go to replicas, where the proxy reads these at all."""
    if commands.replica_reads is None:
        facade_of(commands)
        return OK
    client.facts.reads_replicas = argv[0].lower() == b"readonly"
    commands.replica_reads.choose_for(client)
    return OK


@local("cluster")
def refused(client: Client, argv: list[bytes], commands: Commands) -> Any:
    """What changes a cluster, or is about its bus, is no matter of the proxies."""
    facade_of(commands)
    name = one_line(argv[1].decode("latin-1")).upper()
    raise ReplyError(f"ERR CLUSTER {name} is not supported through the proxy: send it to a worker")


@local("cluster|slots")
def slots(client: Client, argv: list[bytes], commands: Commands) -> Any:
    rows = [
        [first, last, [pose.address[0].encode(), pose.address[1], pose.id.encode(), {}]]
        for pose in facade_of(commands).nodes(client)
        for first, last in pose.ranges
    ]
    return sorted(rows, key=lambda row: row[0])


@local("cluster|shards")
def shards(client: Client, argv: list[bytes], commands: Commands) -> Any:
    return [
        {
            b"slots": [edge for run in pose.ranges for edge in run],
            b"nodes": [
                {
                    b"id": pose.id.encode(),
                    b"port": pose.address[1],
                    b"ip": pose.address[0].encode(),
                    b"endpoint": pose.address[0].encode(),
                    b"role": b"master",
                    b"replication-offset": 0,
                    b"health": b"online" if pose.alive else b"fail",
                }
            ],
        }
        for pose in facade_of(commands).nodes(client)
    ]


@local("cluster|nodes")
def nodes(client: Client, argv: list[bytes], commands: Commands) -> Any:
    return Verbatim("".join(f"{pose.line}\n" for pose in facade_of(commands).nodes(client)))


@local("cluster|info")
def info(client: Client, argv: list[bytes], commands: Commands) -> Any:
    """Whether slots are served is what the proxy knows of its workers."""
    poses = facade_of(commands).nodes(client)
    served = commands.topology.slots_served
    epoch = max(pose.epoch for pose in poses)
    fields = {
        "cluster_state": "ok" if served == SLOT_COUNT else "fail",
        "cluster_slots_assigned": SLOT_COUNT,
        "cluster_slots_ok": served,
        "cluster_slots_pfail": 0,
        "cluster_slots_fail": SLOT_COUNT - served,
        "cluster_known_nodes": len(poses),
        "cluster_size": sum(pose.alive for pose in poses),
        "cluster_current_epoch": epoch,
        "cluster_my_epoch": _myself(poses).epoch,
        "cluster_stats_messages_sent": 0,
        "cluster_stats_messages_received": 0,
        "total_cluster_links_buffer_limit_exceeded": 0,
    }
    return Verbatim("".join(f"{name}:{value}\r\n" for name, value in fields.items()))


def _myself(poses: Iterable[Pose]) -> Pose:
    return next(pose for pose in poses if pose.myself)


@local("cluster|myid")
def myid(client: Client, argv: list[bytes], commands: Commands) -> Any:
    return _myself(facade_of(commands).nodes(client)).id.encode()


@local("cluster|myshardid")
def myshardid(client: Client, argv: list[bytes], commands: Commands) -> Any:
    return _myself(facade_of(commands).nodes(client)).shard_id.encode()


@local("cluster|replicas", "cluster|slaves", "cluster|count-failure-reports")
def about_node(client: Client, argv: list[bytes], commands: Commands) -> Any:
    """The proxies have no replicas, and nobody reports about them."""
    name = argv[2].decode("latin-1")
    if name not in (pose.id for pose in facade_of(commands).nodes(client)):
        raise ReplyError(f"ERR Unknown node {one_line(name)}")
    return 0 if argv[1].lower() == b"count-failure-reports" else []


@local("cluster|links")
def links(client: Client, argv: list[bytes], commands: Commands) -> Any:
    facade_of(commands)
    return []


@local("cluster|keyslot")
def keyslot(client: Client, argv: list[bytes], commands: Commands) -> Any:
    facade_of(commands)
    return key_slot(argv[2])


ASKED_OF_WORKERS = frozenset(("cluster|countkeysinslot", "cluster|getkeysinslot"))


def slot_asked_about(commands: Commands, argv: list[bytes]) -> int:
    """The slot of CLUSTER COUNTKEYSINSLOT or GETKEYSINSLOT, which the slot's worker answers.
    Raises ReplyError."""
    facade_of(commands)
    for word in argv[2:]:
        if not word.removeprefix(b"-").isdigit():
            raise NOT_AN_INTEGER
    if 0 <= int(argv[2]) < SLOT_COUNT and int(argv[-1]) >= 0:
        return int(argv[2])
    keys = argv[1].lower() == b"getkeysinslot"
    raise ReplyError("ERR Invalid slot or number of keys" if keys else "ERR Invalid slot")
