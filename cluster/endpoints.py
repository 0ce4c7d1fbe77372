"""Under which address clients are told to reach a node.

`cluster-preferred-endpoint-type` says it as in Redis. `ip` is the default. `hostname` serves clients that
must check TLS certificates or come from another network; a node that announced none is shown as `?`.
`unknown-endpoint` tells clients to go on using the address they came by, with the node's port. Who came by
TLS is told the ports for TLS.

One address is not enough where the clients of one cluster are in several networks, as containers and the
machine that runs them. So a worker may listen on one port more, `cluster-outside-port`, and whoever comes by
that is told the addresses that the members announce for outside, `cluster-announce-outside`. The port tells
better than the address of the client: through a port that a container engine or a load balancer publishes,
everybody comes from the same one. Members that announce nothing for outside are shown as ever.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from cluster.topology.node import Node

NO_HOSTNAME = "?"


class Way(NamedTuple):
    """How a client came."""

    tls: bool
    outside: bool


def way_of(session: Any) -> Way:
    """Where nobody came, as for a script of our own, members' way counts."""
    link, config = session.link, session.config
    if link is None:
        return Way(bool(config.tls_cluster), False)
    tls = link.transport.get_extra_info("sslcontext") is not None
    port = config.cluster_outside_tls_port if tls else config.cluster_outside_port
    local = link.transport.get_extra_info("sockname") if port else None
    return Way(tls, isinstance(local, tuple) and local[1] == port)


def preferred_endpoint(node: Node, endpoint_type: str, way: Way) -> tuple[str | None, int]:
    """Address and port for CLUSTER SLOTS; None for "unknown" (a null in the reply)."""
    if way.outside and (outside := node.outside_address(way.tls)):
        return outside
    port = node.client_port(way.tls)
    if endpoint_type == "ip":
        return node.ip, port
    if endpoint_type == "hostname":
        return node.hostname or NO_HOSTNAME, port
    return None, port


def redirect_address(node: Node, endpoint_type: str, way: Way) -> tuple[str, int]:
    """Address and port for MOVED, ASK and CLUSTER SHARDS; an empty address for "unknown"."""
    host, port = preferred_endpoint(node, endpoint_type, way)
    return host or "", port
