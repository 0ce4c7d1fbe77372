"""Workers on this machine are reached by their unix sockets, if they have any.

A request that travels alone then costs the worker a third less, and the proxy a fifth; those of many clients
leave together, and cost the same.

A worker tells the path by CONFIG GET unixsocket. The path may mean another server here, or nothing, where
worker and proxy are in different containers; so who answers there is asked for its node id. Found once, a
path is used for all new connections, and forgotten when it cannot be connected to (dialogue.py); then, and
where there was none, it is looked for again after a while.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import time
from collections.abc import Iterable
from contextlib import closing

from proxy.requests import codec
from proxy.workers.dialogue import UNIX_SOCKETS, Address, Line, Login, open_socket, open_unix, raw_replies

log = logging.getLogger("shoal.proxy")

LOOK_TIMEOUT = 0.3
"""Seconds: the map of the cluster waits for it."""
LOOK_AGAIN = 30.0

_looked: dict[Address, float] = {}
"""When for the last time"""


async def look_for_sockets(addresses: Iterable[Address], login: Login) -> None:
    """Find the sockets of those of these workers that are on this machine and were not looked at lately."""
    now = time.monotonic()
    due = [
        address
        for address in addresses
        if address not in UNIX_SOCKETS
        and now - _looked.get(address, -LOOK_AGAIN) >= LOOK_AGAIN
        and is_local(address[0])
    ]
    _looked.update(dict.fromkeys(due, now))
    await asyncio.gather(*(_look(address, login) for address in due))


def is_local(host: str) -> bool:
    """Is this IP address one of this machine's? Then that is also where a packet to it would come from."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return False
    with socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))  # sends nothing
        except OSError:
            return False
        return bool(probe.getsockname()[0] == host)


async def _look(address: Address, login: Login) -> None:
    words = [(b"AUTH", *login.words)] if login.words else []
    who = [*words, (b"CLUSTER", b"MYID")]
    try:
        async with asyncio.timeout(LOOK_TIMEOUT):
            with closing(Line(await open_socket(address))) as line:
                replies = await raw_replies(line, *who, (b"CONFIG", b"GET", b"unixsocket"))
            found = codec.decode_reply(replies[-1])
            path = found[1].decode() if isinstance(found, list) and len(found) == 2 else ""
            if not path:
                return
            with closing(Line(await open_unix(path))) as line:
                same = (await raw_replies(line, *who))[-1] == replies[-2]
    except (OSError, EOFError, ValueError, TimeoutError) as error:
        log.debug("%s:%d has no socket for us: %r", *address, error)
        return
    if same and not codec.is_error(replies[-2]):
        UNIX_SOCKETS[address] = path
        log.info("%s:%d is reached at %s", *address, path)
