"""Under which address clients are told to reach a node: `cluster-preferred-endpoint-type`.

`ip` is the default. `hostname` serves clients that must check TLS certificates or come from another
network; a node that announced none is shown as `?`. `unknown-endpoint` tells clients to go on using the
address they came by, with the node's port. Who came by TLS is told the ports for TLS.
"""

from __future__ import annotations

from typing import Any

from cluster.topology.node import Node

NO_HOSTNAME = "?"


def preferred_endpoint(node: Node, endpoint_type: str) -> str | None:
    """Address for CLUSTER SLOTS; None for "unknown" (a null in the reply)."""
    if endpoint_type == "ip":
        return node.ip
    if endpoint_type == "hostname":
        return node.hostname or NO_HOSTNAME
    return None


def redirect_host(node: Node, endpoint_type: str) -> str:
    """Address for MOVED, ASK and CLUSTER SHARDS; empty for "unknown"."""
    return preferred_endpoint(node, endpoint_type) or ""


def came_by_tls(session: Any) -> bool:
    """Where nobody came, as for a script of our own, members' way counts."""
    link = session.link
    if link is None:
        return bool(session.config.tls_cluster)
    return link.transport.get_extra_info("sslcontext") is not None
