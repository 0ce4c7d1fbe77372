"""Asking every member for its view of the cluster.

Starts from any one member, asks it whom it knows, and asks each of those in turn; what is true of an
open slot or of a claim is only known to the member itself, so one view is never enough to judge by.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType

from cluster.addresses import is_unix
from cluster.operations.link import (
    ANONYMOUS,
    DEFAULT_TIMEOUT,
    Credentials,
    ErrorReply,
    NodeLink,
    OperationError,
    Unreachable,
)
from cluster.plans.check import agreed_nodes
from cluster.plans.model import NodeInfo, PlanError, View
from cluster.readings.info import fields_of
from cluster.readings.nodes_text import view_of
from cluster.slots import SLOT_COUNT

AT_ONCE = 32
"""Members that are asked at the same time."""
_NODES = ("CLUSTER", "NODES")
LOOPBACK = "127.0.0.1"
"""Where a member is that we reached by a unix socket, as long as it does not know its address."""


class Survey:
    """A cluster and links to all its members. A context manager: leaving it closes the links.

    `views` are of those that answered, in the order of the seed's list, the seed first; `unreachable` says
    why the others gave none (address -> reason).
    """

    def __init__(
        self, seed: NodeLink, credentials: Credentials = ANONYMOUS, timeout: float = DEFAULT_TIMEOUT
    ) -> None:
        self.seed = seed
        self.credentials = credentials
        self.timeout = timeout
        self.views: list[View] = []
        self.unreachable: dict[str, str] = {}
        self._links: dict[tuple[str, int], NodeLink] = {(seed.host, seed.port): seed}
        self._by_id: dict[str, NodeLink] = {}

    @classmethod
    def of(
        cls, host: str, port: int, credentials: Credentials = ANONYMOUS, timeout: float = DEFAULT_TIMEOUT
    ) -> Survey:
        """Survey the cluster of which host:port is a member. Raises OperationError when that one gives no
        view."""
        survey = cls(NodeLink(host, port, credentials, timeout), credentials, timeout)
        try:
            survey.refresh()
        except BaseException:
            survey.close()
            raise
        return survey

    def __enter__(self) -> Survey:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for link in self._links.values():
            link.close()

    def twin(self) -> Survey:
        """Another one of the same cluster, which has asked nobody yet, with links of its own: for a thread
        of its own."""
        twin = Survey(
            NodeLink(self.seed.host, self.seed.port, self.credentials, self.timeout),
            self.credentials,
            self.timeout,
        )
        for host, port in self._links:
            if (host, port) not in twin._links:
                twin._links[host, port] = NodeLink(host, port, self.credentials, self.timeout)
        return twin

    def refresh(self) -> None:
        """Ask everyone again."""
        first = read_view(self.seed)
        self.views = [first]
        self.unreachable = {}
        self._by_id = {first.observer.id: self.seed}
        asked: dict[NodeLink, str] = {}
        for node in first.nodes.values():
            if node.id == first.observer.id or {"noaddr", "handshake"} & node.flags:
                continue
            link = self._links.get((node.host, node.port))
            if link is None:
                link = NodeLink(node.host, node.port, self.credentials, self.timeout)
                self._links[node.host, node.port] = link
            self._by_id[node.id] = link
            asked[link] = node.address  # of two nodes at one address, one is a memory only
        # Side by side, so that those who are gone cost one wait and not one each.
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for address, view in zip(asked.values(), pool.map(_view_or_reason, asked), strict=True):
                if isinstance(view, View):
                    self.views.append(view)
                else:
                    self.unreachable[address] = view

    def refresh_from_any(self) -> None:
        """Ask everyone again, beginning with whichever member answers. Raises Unreachable if none does."""
        try:
            self.refresh()
            return
        except Unreachable as error:
            gone = error
        for link in list(self._links.values()):
            self.seed = link
            with contextlib.suppress(Unreachable):
                self.refresh()
                return
        raise gone

    @property
    def nodes(self) -> dict[str, NodeInfo]:
        """The members by id, each by its own account where it gave one."""
        return agreed_nodes(self.views)

    @property
    def primaries(self) -> list[NodeInfo]:
        """Those that answered, by their first slot; without slots last."""
        answering = [view.observer for view in self.views if view.observer.is_primary]
        return sorted(answering, key=lambda node: (first_slot(node), node.address))

    def link(self, node_id: str) -> NodeLink:
        return self._by_id[node_id]

    def find(self, name: str) -> NodeInfo:
        """The member called `name`: its address, its port where only one has it, or the start of its id.

        Raises PlanError when that is nobody, or more than one.
        """
        nodes = list(self.nodes.values())
        found = [node for node in nodes if name in (node.address, node.id)]
        if not found and name.lstrip(":").isdecimal():
            found = [node for node in nodes if node.port == int(name.lstrip(":"))]
        if not found and len(name) >= 4:
            found = [node for node in nodes if node.id.startswith(name)]
        if len(found) == 1:
            return found[0]
        problem = f"no node is called {name}"
        if found:
            problem = f"{name} names {len(found)} nodes ({', '.join(node.id for node in found)})"
        raise PlanError(f"{problem}; `shoal nodes` lists addresses and ids")


def _view_or_reason(link: NodeLink) -> View | str:
    """Its view, or why there is none."""
    try:
        return read_view(link)
    except Unreachable as error:
        return error.reason


def first_slot(node: NodeInfo) -> int:
    return (node.slots & -node.slots).bit_length() - 1 if node.slots else SLOT_COUNT


def read_view(link: NodeLink) -> View:
    """CLUSTER NODES of one member, with its own zone, which that does not tell. Raises OperationError when it
    does not answer, or runs without a cluster."""
    own_host = LOOPBACK if is_unix(link.host) else link.host
    lines, server = link.pipeline([_NODES, ("INFO", "server")])
    if isinstance(lines, ErrorReply):
        error = link.refused(_NODES, lines)
        if "cluster support disabled" in error.reply:
            error.next_step = "it runs alone, or is a proxy: give the address of a cluster's member"
        raise error
    view = parse_view(lines.decode("utf-8", "replace").splitlines(), own_host, link.address)
    fields = {} if isinstance(server, ErrorReply) else fields_of(server.decode("utf-8", "replace"))
    observer = replace(view.observer, zone=fields.get("availability_zone", ""))
    return replace(view, observer=observer, nodes={**view.nodes, observer.id: observer})


def parse_view(lines: Iterable[str], own_host: str, source: str) -> View:
    """The view in the lines of CLUSTER NODES, whoever printed them."""
    try:
        return view_of(lines, own_host)
    except ValueError as error:
        raise OperationError(f"{source} printed what is no CLUSTER NODES: {error}") from error
