"""CLUSTER NODES as a view of the cluster (format: cluster/topology/nodes_conf.py)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cluster.plans.model import NodeInfo, View
from cluster.slots import NO_SLOTS, from_range, parse_range


def view_of(lines: Iterable[str], own_host: str) -> View:
    """A member that has not yet learned its address leaves it empty; it is `own_host` then, where we reached
    it. Raises ValueError for lines that are none of these."""
    nodes: dict[str, NodeInfo] = {}
    observer: NodeInfo | None = None
    open_words: list[str] = []
    for line in lines:
        node, words = _parse_node(line)
        if "myself" in node.flags:
            node = replace(node, host=node.host or own_host, linked=True)
            observer, open_words = node, words
        nodes[node.id] = node
    if observer is None:
        raise ValueError("it does not list itself")
    migrating: dict[int, str] = {}
    importing: dict[int, str] = {}
    for word in open_words:
        slot, _, rest = word.strip("[]").partition("-")
        (migrating if rest.startswith(">-") else importing)[int(slot)] = rest[2:]
    return View(observer, nodes, migrating, importing)


def _parse_node(line: str) -> tuple[NodeInfo, list[str]]:
    node_id, address, flags, primary_id, _ping, _pong, epoch, link, *words = line.split()
    host, _, ports = address.partition(",")[0].rpartition(":")
    port, _, bus_port = ports.partition("@")
    slots = NO_SLOTS
    for word in words:
        if not word.startswith("["):
            slots |= from_range(*parse_range(word))
    node = NodeInfo(
        id=node_id,
        host=host,
        port=int(port),
        slots=slots,
        primary_id=None if primary_id == "-" else primary_id,
        flags=frozenset(flags.split(",")),
        epoch=int(epoch),
        bus_port=int(bus_port or 0),
        linked=link == "connected",
    )
    return node, [word for word in words if word.startswith("[")]
