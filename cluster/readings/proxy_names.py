"""How a proxy tells workers what it is and at which port it listens: by the name of its connections, which
CLIENT LIST of any Redis, Valkey or shoal worker shows.

    id=7 addr=10.0.0.9:41234 laddr=10.0.0.1:7001 … name=shoal-proxy:6379 …

Whoever may log in may call himself so: believe no more than that something may listen where he comes from.
"""

from __future__ import annotations

import re

from cluster.addresses import is_loopback, is_unix

PREFIX = "shoal-proxy"


def name_of_proxy(port: int, tls_port: int) -> str:
    """Of one that listens there; 0: not. Of both ports the plain one counts, which lets in more."""
    return f"{PREFIX}:{port or tls_port}" if port or tls_port else PREFIX


def proxies_among(client_list: str, worker_host: str) -> set[tuple[str, int]]:
    """Those that have connections to a worker, by its CLIENT LIST. `worker_host`: where we reach the worker,
    which is where those are that come from its own host."""
    found = set()
    for line in client_list.splitlines():
        fields = dict(word.partition("=")[::2] for word in line.split(" "))
        prefix, _, port = fields.get("name", "").partition(":")
        if prefix != PREFIX or not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65536:
            continue
        host = fields.get("addr", "").rpartition(":")[0].strip("[]")
        if not host or is_unix(host) or is_loopback(host):
            host = worker_host
        found.add((host, int(port)))
    return found
