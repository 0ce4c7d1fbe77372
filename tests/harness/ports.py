"""Ports that stay ours while we use them, however many test runs share the machine.

A server takes two ports: its own, and its cluster bus 10,000 above. Asking the kernel for "port 0"
cannot give such a pair, and a port merely seen free may be taken by the neighbour before the server
binds it. So a port is leased: whoever holds the lock on its file in the shared directory owns the pair,
and the kernel drops the lock when the holder ends, however it ends. After the lock comes a trial bind,
because other programs know nothing of our locks.

Client ports are 11000..20999, so that bus ports are 21000..30999: both below the range (32768 and up) from
which Linux picks local ports for outgoing connections.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

FIRST, LAST = 11000, 20999
TRIES = 10_000
"""Ports drawn before there is said to be none: few are taken, so the first will mostly do."""
BUS_OFFSET = 10000

_leases: dict[int, int] = {}
"""port -> descriptor of its locked file, for the ports this process holds"""


def lease_port() -> int:
    """A port of 127.0.0.1, free together with its bus port, and ours until `release_port` or exit."""
    for _ in range(TRIES):
        port = random.randint(FIRST, LAST)
        if _try_lease(port):
            return port
    raise RuntimeError(f"no free pair of ports between {FIRST} and {LAST}")


def lease_ports(count: int) -> list[int]:
    return [lease_port() for _ in range(count)]


def lease_consecutive(count: int) -> int:
    """The first of `count` neighbouring ports, each leased: for programs that count ports up themselves."""
    for _ in range(1000):
        leased = [lease_port()]
        while len(leased) < count and _try_lease(leased[-1] + 1):
            leased.append(leased[-1] + 1)
        if len(leased) == count:
            return leased[0]
        for port in leased:
            release_port(port)
    raise RuntimeError(f"no {count} neighbouring free ports between {FIRST} and {LAST}")


def release_port(port: int) -> None:
    descriptor = _leases.pop(port, None)
    if descriptor is not None:
        os.close(descriptor)


def _try_lease(port: int) -> bool:
    if port > LAST or port in _leases:
        return False
    descriptor = _try_lock(port)
    if descriptor is None:
        return False
    if _is_free(port) and _is_free(port + BUS_OFFSET):
        _leases[port] = descriptor
        return True
    os.close(descriptor)
    return False


def _try_lock(port: int) -> int | None:
    directory = Path(tempfile.gettempdir()) / f"shoal-test-ports-{os.getuid()}"
    directory.mkdir(exist_ok=True)
    descriptor = os.open(directory / str(port), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port whose last connections linger in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
